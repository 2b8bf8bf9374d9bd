"""The pages on which a new domain is looked up, bought and watched."""

from typing import Any

import pytest

from domains.models import Domain, Registration
from provisioning.models import Job
from tests.cast import Person
from tests.domains.test_registration import ADA, CREATE, NAME, asked, finished, purchases
from tests.domains.test_registration import registrar_of as registrar_account
from tests.sandboxes import RunningSandbox
from tests.work import work_off

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

PAGE = "/setup/register/"


def looked_up(person: Person, name: str = NAME, **more: str) -> Any:
    fields = {"domain": name, "years": "1", "credential": str(registrar_account(person).pk), **more}
    return person.client.get(PAGE, fields)


def form_of(page: Any) -> dict[str, str]:
    """The fields of the offer as a browser without scripts sends them."""
    form = page.context["form"]
    values = {field.name: str(field.value() or "") for field in form}
    return {**values, "max_cost": str(page.context["quote"].price.amount)}


def bought(person: Person, page: Any, **changes: str) -> Any:
    return person.client.post(PAGE, {**form_of(page), **ADA, "agreed": "on", **changes})


def test_from_a_name_to_a_verified_domain(ada: Person, sandbox: RunningSandbox) -> None:
    first = ada.client.get("/setup/")
    assert PAGE in first.content.decode()
    assert ada.client.get(PAGE).status_code == 200
    assert sandbox.request_count("namecheap", "POST") == 0
    page = looked_up(ada, "WWW.Example.test")
    shown = page.content.decode()
    assert page.status_code == 200
    assert "9.98 USD" in shown
    assert "Included registrar (Namecheap)" in shown
    assert "1,000.00 USD" not in shown, "what the host's account has is the host's to know"
    answer = bought(ada, page)
    domain = Domain.objects.get()
    assert answer["Location"] == f"/setup/{domain.pk}/nameservers/"
    progress = ada.client.get(answer["Location"])
    assert "Being registered" in progress.content.decode() or "To be registered" in (
        progress.content.decode()
    )
    assert "Buy the domain" in progress.content.decode()
    finished(Registration.objects.get())
    done = ada.client.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "The nameservers point here" in done
    for path in ("/domains/", f"/domains/{domain.pk}/", f"/setup/{domain.pk}/domain/"):
        shown = ada.client.get(path).content.decode()
        assert "Namecheap" in shown
        assert "until" in shown, path
    # The contact is proposed the next time.
    again = looked_up(ada, "second.test")
    assert again.context["form"]["last_name"].value() == "Byron"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("taken.test", "registered already"),
        ("mail.example.test", "Connect example.test instead"),
        ("", "required"),
    ],
)
def test_what_cannot_be_had_is_said_beside_the_name(
    ada: Person, sandbox: RunningSandbox, name: str, says: str
) -> None:
    page = looked_up(ada, name)
    assert page.status_code == 200
    (error,) = page.context["search"].errors["domain"]
    assert says in error
    assert page.context["quote"] is None


def test_the_registrar_does_not_answer(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.fault("namecheap", "rate_limit")
    page = looked_up(ada)
    assert page.context["search"].errors["domain"] == [
        "Namecheap asks to send fewer requests. Nothing was bought. Try again in a few minutes."
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"agreed": ""}, "agreed"),
        ({"city": ""}, "city"),
        ({"phone": "030 1234"}, "phone"),
        ({"country": "XXX"}, "country"),
    ],
)
def test_what_is_missing_is_said_beside_its_field(
    ada: Person, sandbox: RunningSandbox, changes: dict[str, str], field: str
) -> None:
    answer = bought(ada, looked_up(ada), **changes)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {field}
    assert not Domain.objects.exists()


def test_a_new_price_is_shown_before_it_is_agreed_to(ada: Person, sandbox: RunningSandbox) -> None:
    page = looked_up(ada)
    sandbox.namecheap(ending="test", price=2000)
    answer = bought(ada, page)
    assert answer.status_code == 422
    shown = answer.content.decode()
    assert "more than was agreed" in shown
    assert 'name="max_cost" value="2018"' in shown
    assert not Domain.objects.exists()
    assert bought(ada, answer).status_code == 302
    assert Registration.objects.get().max_cost == 2018


def test_without_funds_it_says_so_before_and_after(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.namecheap(balance=100)
    page = looked_up(ada)
    assert "Not enough funds" in page.content.decode()
    answer = bought(ada, page)
    assert answer.status_code == 422
    assert "account cannot pay for" in answer.content.decode()


def test_a_second_click_buys_nothing_more(ada: Person, sandbox: RunningSandbox) -> None:
    page = looked_up(ada)
    assert bought(ada, page).status_code == 302
    assert bought(ada, page).status_code == 422
    finished(Registration.objects.get())
    assert purchases(sandbox) == [NAME]
    assert sandbox.request_count("namecheap", "POST", CREATE) == 1


def test_without_accounts_it_says_which_is_missing(ada: Person) -> None:
    registrar_account(ada).delete()
    assert "First, a registrar" in ada.client.get(PAGE, {"domain": NAME}).content.decode()
    ada.credential.delete()
    assert "First, a DNS account" in ada.client.get(PAGE).content.decode()


def test_a_member_and_a_stranger(
    ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    page = looked_up(ada)
    assert looked_up(bo).status_code == 403
    assert bought(bo, page).status_code == 403
    # Nobody pays with another tenant's account.
    theirs = cy.client.get(
        PAGE, {"domain": NAME, "years": "1", "credential": str(registrar_account(ada).pk)}
    )
    assert "credential" in theirs.context["search"].errors
    assert bought(cy, page, dns_credential=str(cy.credential.pk)).status_code == 404
    assert not Domain.objects.exists()
    assert purchases(sandbox) == []


def test_a_purchase_that_failed_can_be_retried_or_given_up(
    ada: Person, sandbox: RunningSandbox
) -> None:
    registration = asked(ada)
    sandbox.namecheap(balance=500)
    finished(registration)
    path = f"/setup/{registration.domain_id}/nameservers/"
    shown = ada.client.get(path).content.decode()
    assert "The domain was not registered" in shown
    assert f"/domains/{registration.domain_id}/disconnect/" in shown
    assert "Not registered" in ada.client.get("/domains/").content.decode()
    sandbox.namecheap(balance=100_000)
    job = Job.objects.get(workflow="domains.register")
    ada.client.post(f"/jobs/{job.pk}/retry/", {"next": path})
    work_off()
    assert finished(registration).status == "succeeded"
    assert "The nameservers point here" in ada.client.get(path).content.decode()
