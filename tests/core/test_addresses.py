"""One mailbox is written one way, wherever its address comes in."""

import re
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError
from django.test import Client

from mpanel.core.addresses import address_problem, clean_address
from mpanel.core.errors import Invalid
from tenants.models import Customer, OneTimeCode, ProviderCredential, Tenant, User
from tenants.services import add_credential, open_account
from tenants.services.operators import make_operator
from tests.api import Api
from tests.cast import Person
from tests.google import google_values
from tests.sandboxes import RunningSandbox
from tests.work import work_off

ZWSP = "\u200b"
NO_ADDRESS = {
    "an invisible character": (f"ada@exam{ZWSP}ple.com", "U+200B ZERO WIDTH SPACE"),
    "one before the @": (f"a{ZWSP}da@example.com", "U+200B ZERO WIDTH SPACE"),
    "one at the start": ("\u202aada@example.com", "U+202A LEFT-TO-RIGHT EMBEDDING"),
    "a soft hyphen": ("ada@exam\u00adple.com", "U+00AD SOFT HYPHEN"),
    "a no-break space": ("ada\u00a0l@example.com", "U+00A0 NO-BREAK SPACE"),
    "a mark of bytes": ("ada\ufeff@example.com", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
    "a line break": ("ada@example.com\nBcc: eve@x.test", "U+000A control character"),
    "a letter that is not ASCII": ("ıngo@example.com", "“ı” cannot be used before the @"),
    "full-width letters": ("ａda@example.com", "“ａ” cannot be used before the @"),
    "a number and dot in one": ("me@⒈x.com", "not a domain name"),
    "a label too long once encoded": (f"me@{'ü' * 60}.com", "not a domain name"),
    "a local part too long": (f"{'a' * 65}@example.com", "At most 64 characters"),
    "an address too long": (f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.com", "at most 254"),
    "a domain too long": (f"a@{'.'.join(['b' * 63] * 4)}.com", "at most 253"),
    "two addresses": ("ada@example.com, eve@example.com", "without spaces"),
    "a name": ("Ada <ada@example.com>", "without spaces"),
    "quotes": ('"ada l"@example.com', "without spaces"),
    "quotes without spaces": ('"ada"@example.com', "signs such as"),
    "dots in a row": ("ada..l@example.com", "dots only between"),
    "no @": ("ada.example.com", "you@example.com"),
    "no domain": ("ada@", "you@example.com"),
    "no ending": ("ada@example", "whole domain"),
    "an IP address": ("ada@192.0.2.1", "not at an IP address"),
    "an IP address in brackets": ("ada@[192.0.2.1]", "not a domain name"),
    "a domain without mail": ("ada@example.invalid", "never receive mail"),
}
SPELLINGS = [
    "ada@müller.example.com",
    "ADA@MÜLLER.Example.COM",
    " ada@mu\u0308ller.example.com\u00a0\n",
    "ada@ｍüller．example。com",
    "ada@xn--mller-kva.example.com",
    "ada@müller.example.com.",
]
ADA = "ada@xn--mller-kva.example.com"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_address_is_one_address(spelling: str) -> None:
    assert clean_address(spelling) == ADA
    assert clean_address(clean_address(spelling)) == ADA


@pytest.mark.parametrize("text", ["a+1@gmail.com", "o'hara_x-1@a.co", "!#$%&*/=?^`{|}~@x.test"])
def test_what_is_ascii_already_stays_as_it_is(text: str) -> None:
    """Sub-addresses too: what stands behind a + only the mailbox's own provider knows."""
    assert clean_address(text) == text


@pytest.mark.parametrize(("text", "sentence"), NO_ADDRESS.values(), ids=NO_ADDRESS)
def test_what_is_wrong_with_an_address_is_said(text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_address(text, field="contact")
    assert sentence in caught.value.message
    assert caught.value.details == {"contact": [caught.value.message]}
    assert len(caught.value.message) < 200


def test_a_long_text_is_refused_at_once() -> None:
    assert "too long" in address_problem("ü" * 1_000_000 + "@example.com")


# --- One account per mailbox, on the page and over both APIs ----------------------------------


def newest_code(address: str) -> str:
    work_off()
    found = re.search(r"\b(\d{6})\b", str([m for m in mail.outbox if m.to == [address]][-1].body))
    assert found
    return found[1]


@pytest.mark.django_db
def test_every_spelling_signs_in_to_the_one_account() -> None:
    for spelling in SPELLINGS:
        OneTimeCode.objects.all().delete()
        browser, api = Client(), Api()
        assert browser.post("/sign-in/", {"email": spelling}).status_code == 302
        given = {"code": newest_code(ADA)}
        assert browser.post("/sign-in/code/", given)["Location"] == "/overview/"
        asked = api.post("/api/v1/auth/trial/request-otp", {"email": spelling})
        assert asked.status == 200
        entered = {"email": spelling, "otp": newest_code(ADA)}
        assert api.post("/api/v1/auth/trial/verify-otp", entered).status == 200
    assert {message.to[0] for message in mail.outbox} == {ADA}
    assert [user.email for user in User.objects.all()] == [ADA]
    assert Tenant.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("text", "sentence"), NO_ADDRESS.values(), ids=NO_ADDRESS)
def test_no_entry_takes_what_is_no_address(text: str, sentence: str) -> None:
    api, browser = Api(), Client()
    for path, more in {
        "/api/v1/auth/trial/request-otp": {},
        "/api/v1/auth/trial/verify-otp": {"otp": "123456"},
        "/api/v1/auth/register": {"password": "a long and good one"},
        "/api/v1/auth/login": {"password": "a long and good one"},
        "/api/v1/auth/password/forgot": {},
        "/api/v1/auth/password/reset": {"code": "123456", "password": "a long and good one"},
        "/api/auth/login": {"password": "a long and good one"},
    }.items():
        answer = api.post(path, {"email": text, **more})
        assert (answer.status, answer.error) == (400, "VALIDATION_ERROR"), path
        assert sentence in answer.body["error"]["details"]["email"][0], path
    for path in ("/sign-in/", "/sign-in/password/", "/sign-in/forgot/"):
        page = browser.post(path, {"email": text, "password": "a long and good one"})
        assert page.status_code == 422, path
        assert sentence in page.context["form"].errors["email"][0], path
    assert not OneTimeCode.objects.exists()
    assert not User.objects.exists()


def test_operators_write_addresses_in_the_same_form(ada: Person) -> None:
    make_operator(ada.user)
    api = Api(ada.token)
    made = api.post("/api/customers", {"name": "Di", "email": "Di@MÜLLER.example.com"})
    assert made.body["email"] == "di@xn--mller-kva.example.com"
    again = api.post("/api/customers", {"name": "Di", "email": "di@müller．example.com"})
    assert (again.status, again.error) == (409, "EMAIL_TAKEN")
    user = User.objects.get(email="di@xn--mller-kva.example.com")
    changed = api.put(f"/api/users/{user.pk}", {"email": "DI@MÜLLER.example.com"})
    assert changed.body["email"] == user.email
    path = f"/api/customers/{made.body['id']}"
    assert api.put(path, {"email": "Bills@MÜLLER.example.com"}).status == 200
    assert Customer.objects.get(pk=made.body["id"]).email == "bills@xn--mller-kva.example.com"
    new: dict[str, dict[str, Any]] = {
        "/api/users": {"tenantId": str(ada.tenant.pk), "roles": ["member"]},
        "/api/customers": {"name": "Ed"},
    }
    for path, body in new.items():
        refused = api.post(path, {**body, "email": f"ed@exam{ZWSP}ple.com"})
        assert refused.status == 400, path
        assert "ZERO WIDTH SPACE" in refused.body["error"]["details"]["email"][0]


@pytest.mark.django_db(transaction=True)
def test_the_database_has_one_user_per_mailbox() -> None:
    open_account("ada@people.test")
    for other in ("Ada@people.test", "ada@people.test", f"ada@peo{ZWSP}ple.test", "adä@x.test"):
        with pytest.raises(IntegrityError):
            User.objects.create(email=other)


def test_the_administrator_at_google_is_kept_in_ascii(ada: Person, sandbox: RunningSandbox) -> None:
    values = google_values(sandbox)
    values["admin_email"] = "Admin@MÜLLER.example.com"
    add_credential(ada.actor, port="mail", provider="google-workspace", label="G", values=values)
    kept = ProviderCredential.objects.get(label="G").values()
    assert kept["admin_email"] == "admin@xn--mller-kva.example.com"
