"""Signing in on the pages: by password, with a second factor, by a link from another device."""

import re
from datetime import timedelta

import pyotp
import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from events.models import Event
from tenants import services
from tenants.models import LoginLink, OneTimeCode, SecondFactor, Session, Tenant, User
from tenants.services import proofs
from tenants.services.guesses import PER_PAIR
from tests.cast import Person
from tests.work import work_off

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

PASSWORD = "a long and good one"
NEW = "an even longer and better one"


@pytest.fixture
def visitor(db: None) -> Client:
    """A browser that nobody has signed in with."""
    return Client()


def with_password(person: Person, password: str = PASSWORD) -> Person:
    """They have set a password."""
    path = "/settings/security/password/"
    assert person.client.post(path).status_code == 200
    given = {"code": newest_code(person.user.email), "new": password}
    answer = person.client.post(path, given)
    assert answer.status_code == 302, answer.content
    return person


def with_second_factor(person: Person) -> tuple[pyotp.TOTP, list[str]]:
    """They have an authenticator that nobody has signed in with yet, and recovery codes."""
    totp = pyotp.TOTP(services.begin_second_factor(person.actor).secret)
    codes = services.confirm_second_factor(person.actor, totp.now())
    SecondFactor.objects.update(last_step=0)
    return totp, codes


def newest_code(email: str) -> str:
    work_off()
    newest = [message for message in mail.outbox if email in message.to][-1]
    found = re.search(r"\b(\d{6})\b", str(newest.body))
    assert found
    return found[1]


def by_password(browser: Client, person: Person, password: str = PASSWORD, **more: str) -> str:
    """Where the password leads."""
    given = {"email": person.user.email, "password": password, **more}
    answer = browser.post("/sign-in/password/", given)
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def is_in(browser: Client) -> bool:
    return browser.get("/overview/").status_code == 200


# --- Password --------------------------------------------------------------------------------


def test_a_password_signs_in(visitor: Client, ada: Person) -> None:
    with_password(ada)
    assert "/sign-in/password/" in visitor.get("/sign-in/").content.decode()
    assert by_password(visitor, ada, next="/mailboxes/") == "/mailboxes/"
    assert is_in(visitor)
    assert visitor.get("/sign-in/password/")["Location"] == "/overview/"


def test_next_never_leads_away(visitor: Client, ada: Person) -> None:
    with_password(ada)
    assert by_password(visitor, ada, next="https://evil.test/") == "/overview/"


def test_a_refusal_does_not_tell_whether_there_is_an_account(
    visitor: Client, ada: Person, cy: Person
) -> None:
    with_password(ada)
    texts = set()
    # A wrong password, an account without one, and nobody.
    for email in (ada.user.email, cy.user.email, "nobody@people.test"):
        answer = visitor.post("/sign-in/password/", {"email": email, "password": "wrong"})
        assert answer.status_code == 422
        texts.add(re.sub(r'"\w{64}"', "", answer.content.decode().replace(email, "…")))
        assert "wrong" not in answer.context["form"]["password"].as_widget()
    (text,) = texts
    assert "do not match" in text
    assert not is_in(visitor)


def test_too_many_tries_say_how_long_to_wait(visitor: Client, ada: Person) -> None:
    with_password(ada)
    wrong = {"email": ada.user.email, "password": "wrong"}
    for _ in range(PER_PAIR):
        assert "do not match" in visitor.post("/sign-in/password/", wrong).content.decode()
    # The right password does not help any more, from there.
    answer = visitor.post("/sign-in/password/", {**wrong, "password": PASSWORD})
    assert answer.status_code == 422
    assert "Too many tries. Wait 15 minutes and try again" in answer.content.decode()
    assert not is_in(visitor)


# --- A forgotten password --------------------------------------------------------------------


def test_a_forgotten_password_is_replaced_and_every_session_ends(
    visitor: Client, ada: Person
) -> None:
    with_password(ada)
    assert is_in(ada.client)
    email = ada.user.email
    assert visitor.post("/sign-in/forgot/", {"email": email})["Location"] == "/sign-in/reset/"
    code = newest_code(email)
    short = visitor.post("/sign-in/reset/", {"code": code, "password": "short"})
    assert short.status_code == 422
    assert set(short.context["form"].errors) == {"password"}
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    refused = visitor.post("/sign-in/reset/", {"code": wrong, "password": NEW})
    assert set(refused.context["form"].errors) == {"code"}
    done = visitor.post("/sign-in/reset/", {"code": code, "password": NEW})
    assert done.status_code == 200
    assert "All sessions of your account have ended" in done.content.decode()
    assert not is_in(ada.client)
    assert by_password(visitor, ada, NEW) == "/overview/"
    # The code is used up, and the page has nothing more to do.
    assert visitor.get("/sign-in/reset/")["Location"] == "/sign-in/forgot/"


@pytest.mark.parametrize("revoke", [True, False])
def test_a_reset_offers_to_revoke_api_keys(visitor: Client, ada: Person, revoke: bool) -> None:
    key = services.create_api_key(ada.actor, name="CI", scopes=["domains:read"]).key
    email = ada.user.email
    visitor.post("/sign-in/forgot/", {"email": email})
    assert "Revoke my API keys as well" in visitor.get("/sign-in/reset/").content.decode()
    given = {"code": newest_code(email), "password": NEW}
    if revoke:
        given["revoke_api_keys"] = "on"
    assert visitor.post("/sign-in/reset/", given).status_code == 200
    key.refresh_from_db()
    assert bool(key.revoked_at) == revoke
    revoked = Event.objects.filter(action="api_key.revoked", tenant=ada.tenant, subject_id=key.pk)
    assert revoked.count() == revoke


def test_a_reset_revokes_keys_in_a_suspended_organisation_too(visitor: Client, ada: Person) -> None:
    key = services.create_api_key(ada.actor, name="CI", scopes=["domains:read"]).key
    Tenant.objects.update(status=Tenant.SUSPENDED)
    visitor.post("/sign-in/forgot/", {"email": ada.user.email})
    given = {"code": newest_code(ada.user.email), "password": NEW, "revoke_api_keys": "on"}
    assert visitor.post("/sign-in/reset/", given).status_code == 200
    key.refresh_from_db()
    assert key.revoked_at


def test_resetting_does_not_tell_whether_there_is_an_account(visitor: Client, ada: Person) -> None:
    pages = []
    for email in (ada.user.email, "nobody@people.test"):
        browser = Client()
        browser.post("/sign-in/forgot/", {"email": email})
        form = browser.get("/sign-in/reset/").content.decode()
        done = browser.post("/sign-in/reset/", {"code": newest_code(email), "password": NEW})
        pages.append(re.sub(r'"\w{64}"', "", form.replace(email, "…") + done.content.decode()))
    assert pages[0] == pages[1]
    assert User.objects.count() == 1


# --- The second factor -----------------------------------------------------------------------


def test_password_and_authenticator(visitor: Client, ada: Person) -> None:
    totp, _ = with_second_factor(with_password(ada))
    assert by_password(visitor, ada, next="/jobs/") == "/sign-in/second-factor/"
    assert not is_in(visitor)
    wrong = visitor.post("/sign-in/second-factor/", {"code": "000000"})
    assert wrong.status_code == 422
    assert "wrong or was used" in wrong.content.decode()
    assert not is_in(visitor)
    right = visitor.post("/sign-in/second-factor/", {"code": totp.now()})
    assert right["Location"] == "/jobs/"
    assert is_in(visitor)
    # The same digits do not work again, and nothing of the first factor is left.
    again = Client()
    by_password(again, ada)
    assert again.post("/sign-in/second-factor/", {"code": totp.now()}).status_code == 422
    assert "second_factor" not in visitor.session


def test_code_by_email_and_a_recovery_code(visitor: Client, ada: Person) -> None:
    _, codes = with_second_factor(ada)
    email = ada.user.email
    visitor.post("/sign-in/", {"email": email, "next": "/jobs/"})
    code = newest_code(email)
    first = visitor.post("/sign-in/code/", {"code": code})
    assert first["Location"] == "/sign-in/second-factor/"
    # The e-mailed code is not used up before the second factor is right, nor kept anywhere.
    assert OneTimeCode.objects.get().used_at is None
    assert code not in repr(dict(visitor.session))
    done = visitor.post("/sign-in/second-factor/", {"code": f" {codes[0].upper()} "})
    assert done["Location"] == "/jobs/"
    assert is_in(visitor)
    assert OneTimeCode.objects.get().used_at is not None
    assert len(SecondFactor.objects.get().recovery_hashes) == len(codes) - 1
    other = Client()
    other.post("/sign-in/", {"email": email})
    other.post("/sign-in/code/", {"code": newest_code(email)})
    assert other.post("/sign-in/second-factor/", {"code": codes[0]}).status_code == 422


def test_an_emailed_code_signs_in_once_also_with_two_good_second_factors(
    visitor: Client, ada: Person
) -> None:
    _, codes = with_second_factor(ada)
    visitor.post("/sign-in/", {"email": ada.user.email})
    visitor.post("/sign-in/code/", {"code": newest_code(ada.user.email)})
    twin = Client()
    twin.cookies.load(visitor.cookies.output(header="", sep=";"))
    proof = visitor.session["second_factor"]["proof"]
    visitor.post("/sign-in/second-factor/", {"code": codes[0]})
    with pytest.raises(services.codes.CodeRefused):
        services.sign_in_by_proof(proof, second_factor=codes[1], address="127.0.0.1")
    assert not is_in(twin)


def test_the_session_holds_no_password(visitor: Client, ada: Person) -> None:
    with_second_factor(with_password(ada))
    by_password(visitor, ada)
    assert PASSWORD not in repr(dict(visitor.session))
    ada.user.refresh_from_db()
    assert ada.user.password not in repr(dict(visitor.session))


def test_half_a_sign_in_lasts_a_few_minutes(
    visitor: Client, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    totp, _ = with_second_factor(with_password(ada))
    by_password(visitor, ada)
    monkeypatch.setattr(proofs, "LASTS", timedelta(seconds=-1))
    answer = visitor.post("/sign-in/second-factor/", {"code": totp.now()}, follow=True)
    assert answer.redirect_chain == [("/sign-in/", 302)]
    assert "longer than five minutes" in answer.content.decode()
    assert not is_in(visitor)
    assert visitor.get("/sign-in/second-factor/")["Location"] == "/sign-in/"


def test_half_a_sign_in_dies_with_the_password_and_the_account(
    visitor: Client, ada: Person
) -> None:
    totp, _ = with_second_factor(with_password(ada))
    by_password(visitor, ada)
    services.change_password(ada.actor, present=PASSWORD, new=NEW)
    answer = visitor.post("/sign-in/second-factor/", {"code": totp.now()})
    assert answer["Location"] == "/sign-in/"
    assert not is_in(visitor)
    by_password(visitor, ada, NEW)
    User.objects.filter(pk=ada.user.pk).update(is_active=False)
    assert visitor.post("/sign-in/second-factor/", {"code": totp.now()})["Location"] == "/sign-in/"
    assert not is_in(visitor)


def test_a_proof_cannot_be_made_up(ada: Person) -> None:
    totp, _ = with_second_factor(with_password(ada))
    proof = proofs.first_factor_proof(User.objects.get(pk=ada.user.pk))
    for forged in ("", "x", proof[:-1], f"{proof}x"):
        with pytest.raises(services.ProofExpired):
            services.sign_in_by_proof(forged, second_factor=totp.now(), address="127.0.0.1")
    assert (
        services.sign_in_by_proof(proof, second_factor=totp.now(), address="127.0.0.1").pk
        == ada.user.pk
    )


def test_guessing_the_second_factor_is_throttled(visitor: Client, ada: Person) -> None:
    totp, _ = with_second_factor(with_password(ada))
    by_password(visitor, ada)
    for number in range(PER_PAIR):
        assert (
            visitor.post("/sign-in/second-factor/", {"code": f"00000{number}"}).status_code == 422
        )
    # Signing in afresh gives no more tries.
    other = Client()
    by_password(other, ada)
    for browser in (visitor, other):
        answer = browser.post("/sign-in/second-factor/", {"code": totp.now()})
        assert answer.status_code == 422
        assert "Too many tries. Wait" in answer.content.decode()
        assert not is_in(browser)


def test_who_begins_later_gets_another_secret(ada: Person) -> None:
    first = services.begin_second_factor(ada.actor).secret
    assert services.begin_second_factor(ada.actor).secret == first
    SecondFactor.objects.update(updated_at=timezone.now() - timedelta(hours=2))
    assert services.begin_second_factor(ada.actor).secret != first


# --- The one-time link -----------------------------------------------------------------------


def link_of(person: Person) -> str:
    answer = person.client.post("/settings/security/login-link/")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store, private"
    path = "/" + str(answer.context["url"]).split("/", 3)[3]
    assert path in answer.content.decode()
    return path


def test_looking_at_a_link_does_not_use_it(visitor: Client, ada: Person) -> None:
    path = link_of(ada)
    for _ in range(3):  # a mail scanner, a preview, and the person
        page = visitor.get(path)
        assert page.status_code == 200
        assert ada.user.email in page.content.decode()
        assert "no-store" in page["Cache-Control"]
        assert page["Referrer-Policy"] == "strict-origin"
    assert not is_in(visitor)
    assert visitor.post(path)["Location"] == "/overview/"
    assert is_in(visitor)


def test_a_link_works_once_and_not_for_long(visitor: Client, ada: Person) -> None:
    path = link_of(ada)
    assert visitor.post(path).status_code == 302
    late = link_of(ada)
    LoginLink.objects.filter(used_at=None).update(expires_at=timezone.now())
    for dead in (path, late, "/login/session/made-up"):
        for method in ("get", "post"):
            answer = getattr(Client(), method)(dead)
            assert answer.status_code == 410
            assert 'href="/sign-in/"' in answer.content.decode()
            assert "no-store" in answer["Cache-Control"]
            assert answer["Referrer-Policy"] == "strict-origin"


def test_a_link_signs_somebody_else_out(ada: Person, cy: Person) -> None:
    path = link_of(ada)
    assert "Somebody else is signed in here" in cy.client.get(path).content.decode()
    assert cy.client.post(path).status_code == 302
    assert ada.user.email in cy.client.get("/settings/profile/").content.decode()
    assert not Session.objects.live().filter(membership__user=cy.user).exists()
    assert Event.objects.filter(action="session.ended", tenant=cy.tenant).count() == 1


def test_a_link_needs_its_form(ada: Person) -> None:
    careful = Client(enforce_csrf_checks=True)
    path = link_of(ada)
    assert careful.post(path).status_code == 403
    assert careful.get(path).status_code == 200
