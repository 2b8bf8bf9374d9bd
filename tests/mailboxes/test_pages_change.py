"""The pages on which mailboxes are made one by one or from a list, and changed."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Account
from domains.models import Domain
from events.models import Event
from mailboxes.models import Alias, Mailbox
from mailboxes.services import create_alias
from mailservers.models import MailDomain
from provisioning.models import Job
from tests.cast import Person
from tests.contract.test_source_5_email import second_server
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import Estate, estate
from tests.work import work_off

pytestmark = pytest.mark.one_database("pages over services whose own tests run on both databases")

PASSWORD = re.compile(r">([a-zA-Z0-9]{24})<")


def text_of(answer: Any) -> str:
    assert "no-store" in answer["Cache-Control"]
    return str(answer.content.decode())


def ready(person: Person, *, inboxes: int = 2) -> Estate:
    adas = estate(person, inboxes=inboxes)
    Domain.objects.filter(pk=adas.domain.pk).update(status=Domain.READY)
    return adas


# --- Several at once -------------------------------------------------------------------------


def ticked(adas: Estate, **more: str) -> dict[str, object]:
    return {"mailbox": [str(box.pk) for box in adas.mailboxes], **more}


def test_the_ticked_ones_are_suspended_and_activated(ada: Person, cy: Person) -> None:
    adas, theirs = estate(ada, inboxes=3), estate(cy, "cy.test")
    Mailbox.objects.filter(pk=adas.mailboxes[0].pk).update(status=Mailbox.FAILED)
    wish = ticked(adas, action="suspend")
    wish["mailbox"] = [*wish["mailbox"], str(theirs.mailboxes[0].pk)]  # type: ignore[misc]
    page = text_of(ada.client.post("/mailboxes/bulk/", wish, follow=True))
    assert "2 mailboxes can no longer log in or send" in page
    assert "box0@example.test: Its status is failed" in page
    assert "A mailbox that is not there" in page
    assert "cy.test" not in page
    statuses = dict(Mailbox.objects.values_list("address", "status"))
    assert statuses == {
        "box0@example.test": "failed",
        "box1@example.test": "suspended",
        "box2@example.test": "suspended",
        "box0@cy.test": "active",
        "box1@cy.test": "active",
    }
    ada.client.post("/mailboxes/bulk/", ticked(adas, action="activate"))
    assert Mailbox.objects.filter(tenant=ada.tenant, status=Mailbox.ACTIVE).count() == 2
    assert ada.client.post("/mailboxes/bulk/", {"action": "suspend"})["Location"] == "/mailboxes/"
    assert ada.client.post("/mailboxes/bulk/", ticked(adas, action="x")).status_code == 400


def fresh_code(person: Person, path: str, given: dict[str, object], mails: list[Any]) -> str:
    """The code that a page sends when its button is pressed."""
    assert person.client.post(path, {**given, "send-code": "yes"}).status_code in {200, 302}
    work_off()
    found = re.search(r"\b(\d{6})\b", mails[-1].body)
    assert found
    return found[1]


def test_passwords_are_reset_after_a_question_and_a_code_and_shown_once(
    ada: Person, cy: Person, sandbox: RunningSandbox, mailoutbox: list[Any]
) -> None:
    adas, theirs = estate(ada, inboxes=2), estate(cy, "cy.test")
    asked = text_of(ada.client.post("/mailboxes/bulk/", ticked(adas, action="reset-password")))
    assert "New passwords for 2 mailboxes?" in asked
    assert not Mailbox.objects.filter(password_pending=True).exists()
    sure = ticked(adas, action="reset-password", sure="yes")
    for without in ({}, {"code": "000000"}):
        assert ada.client.post("/mailboxes/bulk/", sure | without).status_code == 422
    assert not Mailbox.objects.filter(password_pending=True).exists()
    code = fresh_code(ada, "/mailboxes/bulk/", ticked(adas, action="reset-password"), mailoutbox)
    shown = text_of(ada.client.post("/mailboxes/bulk/", sure | {"code": code}))
    boxes = Mailbox.objects.filter(tenant=ada.tenant)
    assert set(PASSWORD.findall(shown)) == {box.password() for box in boxes}
    assert Job.objects.filter(workflow="mailboxes.enforce").count() == 1
    for box in boxes:
        page = text_of(ada.client.get(f"/mailboxes/{box.pk}/"))
        assert box.password() not in page
    foreign = ticked(theirs, action="reset-password")
    assert ada.client.post("/mailboxes/bulk/", foreign).status_code == 404


# --- Making ----------------------------------------------------------------------------------


def test_one_mailbox_is_made_and_shown_once(ada: Person) -> None:
    adas = ready(ada)
    wish = {"domain_id": str(adas.domain.pk), "local_part": "Anna", "quota_mb": "2048"}
    form = text_of(ada.client.get("/mailboxes/new/"))
    assert "example.test" in form
    made = ada.client.post("/mailboxes/new/", wish)
    (password,) = PASSWORD.findall(text_of(made))
    box = Mailbox.objects.get(local_part="anna")
    assert (box.password(), box.quota_mb) == (password, 2048)
    again = ada.client.post("/mailboxes/new/", wish)
    assert again.status_code == 422
    assert "no address is given twice" in text_of(again)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"local_part": "a..b"}, "local_part"),
        ({"local_part": "box0"}, "local_part"),
        ({"local_part": "box.alias"}, "local_part"),
        ({"first_name": "=1+1"}, "first_name"),
        ({"password": "short"}, "password"),
        ({"quota_mb": "0"}, "quota_mb"),
        ({"domain_id": "00000000-0000-0000-0000-000000000000"}, "domain_id"),
    ],
)
def test_what_is_wrong_with_a_mailbox_is_named(
    ada: Person, changes: dict[str, str], field: str
) -> None:
    adas = ready(ada)
    wish = {"domain_id": str(adas.domain.pk), "local_part": "anna", "quota_mb": "1", **changes}
    answer = ada.client.post("/mailboxes/new/", wish)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {field}
    assert Mailbox.objects.count() == 2


def test_the_plans_limit_and_missing_domains_are_said(ada: Person) -> None:
    assert "No domain is ready yet" in text_of(ada.client.get("/mailboxes/new/"))
    adas = ready(ada, inboxes=50)
    wish = {"domain_id": str(adas.domain.pk), "local_part": "anna", "quota_mb": "1"}
    answer = ada.client.post("/mailboxes/new/", wish)
    assert "allows 50 inboxes" in text_of(answer)
    Account.objects.update_or_create(
        tenant=ada.tenant, defaults={"trial_ends_at": "2000-01-01T00:00Z"}
    )
    assert ada.client.post("/mailboxes/new/", wish).status_code == 403


def test_a_list_is_looked_at_before_it_is_made(ada: Person) -> None:
    ready(ada)
    raw = "\ufeffemail;first_name\nanna@example.test;Zoë\nbox0@example.test;\n=1+1@example.test;\n"
    file = SimpleUploadedFile("list.csv", raw.encode(), content_type="text/csv")
    looked = ada.client.post("/mailboxes/import/", {"file": file})
    shown = text_of(looked)
    assert "1 mailbox would be made" in shown
    assert "no address is given twice" in shown
    assert Mailbox.objects.count() == 2
    hidden = looked.context["text"]
    made = text_of(ada.client.post("/mailboxes/import/", {"text": hidden, "sure": "yes"}))
    (password,) = PASSWORD.findall(made)
    box = Mailbox.objects.get(local_part="anna")
    assert (box.first_name, box.password()) == ("Zoë", password)
    assert Mailbox.objects.count() == 3


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "one of them is email"),
        (b"name\nx\n", "one of them is email"),
        (b"email\n", "no row"),
        (b"email\n" + b"a@b.test\n" * 1001, "at most 1,000 rows"),
        (b"email\n" + b"x" * 1_100_000, "at most 1 MB"),
        (b"\x89PNG\0\0", "no CSV file"),
    ],
    ids=["empty", "no email", "no rows", "too many", "too large", "picture"],
)
def test_files_that_are_no_list_are_refused(ada: Person, raw: bytes, said: str) -> None:
    file = SimpleUploadedFile("list.csv", raw)
    answer = ada.client.post("/mailboxes/import/", {"file": file})
    assert answer.status_code == 422
    assert said in text_of(answer)


# --- Changing one ----------------------------------------------------------------------------


def test_a_password_is_changed_for_a_code_and_shown_once(
    ada: Person, sandbox: RunningSandbox, mailoutbox: list[Any]
) -> None:
    box = estate(ada).mailboxes[0]
    path = f"/mailboxes/{box.pk}/password/"
    assert "stops working at once" in text_of(ada.client.get(path))
    for without in ({"password": ""}, {"password": "", "code": "000000"}):
        assert ada.client.post(path, without).status_code == 422
    code = fresh_code(ada, path, {}, mailoutbox)
    assert ada.client.post(path, {"password": "short", "code": code}).status_code == 422
    assert not Mailbox.objects.get(pk=box.pk).password_pending
    shown = text_of(ada.client.post(path, {"password": "", "code": code}))
    box.refresh_from_db()
    assert box.password() in shown
    assert box.password_pending
    assert ada.client.post(path, {"password": "", "code": code}).status_code == 422, "used"
    chosen = {"password": "SecurePass123!", "code": fresh_code(ada, path, {}, mailoutbox)}
    assert "SecurePass123!" in text_of(ada.client.post(path, chosen))
    assert "SecurePass123!" not in text_of(ada.client.get(f"/mailboxes/{box.pk}/"))
    events = Event.objects.filter(action="mailbox.password_changed")
    assert {event.subject_id for event in events} == {box.pk}
    assert "SecurePass123!" not in repr(list(Event.objects.values()))
    Mailbox.objects.update(status=Mailbox.PROVISIONING)
    code = fresh_code(ada, path, {}, mailoutbox)
    assert ada.client.post(path, {"password": "", "code": code}).status_code == 409


def test_over_the_api_a_browser_sets_no_password(ada: Person) -> None:
    box = estate(ada).mailboxes[0]
    for method, path, body in (
        ("put", f"/api/mailboxes/{box.pk}/password", {}),
        ("put", f"/api/email/mailboxes/{box.pk}", {"password": "SecurePass123!"}),
        ("post", "/api/mailboxes/bulk", {"action": "reset-password", "ids": [str(box.pk)]}),
    ):
        call = getattr(ada.client, method)
        answer = call(path, body, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "TOKEN_NEEDED"), path
        headers = {"Authorization": f"Bearer {ada.token}"}
        answer = call(path, body, content_type="application/json", headers=headers)
        assert answer.status_code == 200, path


def test_a_quota_is_changed(ada: Person) -> None:
    box = estate(ada).mailboxes[0]
    path = f"/mailboxes/{box.pk}/quota/"
    assert ada.client.post(path, {"quota_mb": "50"})["Location"] == f"/mailboxes/{box.pk}/"
    assert Mailbox.objects.get(pk=box.pk).quota_mb == 50
    wrong = ada.client.post(path, {"quota_mb": "many"})
    assert wrong.status_code == 422
    assert "Enter a whole number" in text_of(wrong)


def test_aliases_of_a_mailbox_come_and_go(ada: Person) -> None:
    adas = estate(ada)
    box = adas.mailboxes[0]
    here = f"/mailboxes/{box.pk}/"
    assert ada.client.post(f"{here}aliases/", {"local_part": "sales"})["Location"] == here
    assert ada.client.post(f"{here}aliases/", {"local_part": "*"})["Location"] == here
    page = text_of(ada.client.get(here))
    assert "sales@<wbr>example.<wbr>test" in page
    assert "Catch-all of example.test" in page
    taken = ada.client.post(f"{here}aliases/", {"local_part": "box1"})
    assert taken.status_code == 422
    assert "in use already" in text_of(taken)
    alias = Alias.objects.get(local_part="sales")
    path = f"/mailboxes/aliases/{alias.pk}/delete/"
    asked = text_of(ada.client.get(f"{path}?next=/mailboxes/domains/{adas.domain.pk}/"))
    assert "Take sales@example.test away from box0@example.test?" in asked
    assert f'action="{path}?next=/mailboxes/domains/{adas.domain.pk}/"' in asked
    assert ada.client.post(path)["Location"] == here
    assert not Alias.objects.filter(pk=alias.pk).exists()


# --- A domain's mail -------------------------------------------------------------------------


def test_a_domains_aliases_are_found_and_paged(ada: Person) -> None:
    adas = estate(ada)
    for number in range(25):
        create_alias(ada.actor, adas.mailboxes[number % 2].pk, local_part=f"a{number:02}")
    path = reverse("domain-mail", args=[adas.domain.pk])

    def found(query: str) -> list[str]:
        page = ada.client.get(f"{path}?{query}").context["page"]
        return [alias.local_part for alias in page]

    assert len(found("")) == 20
    assert found("page=2") == ["a20", "a21", "a22", "a23", "a24", "box.alias"]
    assert found("q=A07") == ["a07"]
    assert "No alias matches" in text_of(ada.client.get(f"{path}?q=zzz"))
    add = reverse("domain-alias-add", args=[adas.domain.pk])
    for mailbox in ("box0", "BOX1@example.test"):
        wish = {"local_part": "*", "mailbox": mailbox}
        assert ada.client.post(add, wish)["Location"] == path
    assert [alias.mailbox.local_part for alias in ada.client.get(path).context["catch_all"]] == [
        "box0",
        "box1",
    ]
    wrong = ada.client.post(add, {"local_part": "x", "mailbox": "nobody"})
    assert set(wrong.context["form"].errors) == {"mailbox"}
    taken = ada.client.post(add, {"local_part": "box0", "mailbox": "box1"})
    assert set(taken.context["form"].errors) == {"local_part"}


def test_a_region_is_chosen_while_there_are_no_mailboxes(ada: Person) -> None:
    adas = estate(ada, inboxes=0)
    path = reverse("domain-mail", args=[adas.domain.pk])
    assert "Place it there" not in text_of(ada.client.get(path)), "there is one region only"
    second_server()
    assert "Place it there" in text_of(ada.client.get(path))
    region = reverse("domain-region", args=[adas.domain.pk])
    assert ada.client.post(region, {"region": "oslo"})["Location"] == path
    assert MailDomain.objects.get().server.slug == "oslo"  # type: ignore[union-attr]
    assert "mail.oslo.test" in text_of(ada.client.get(path))
    assert ada.client.post(region, {"region": "atlantis"}).status_code == 400
    estate(ada, "other.test")
    other = reverse("domain-mail", args=[Domain.objects.get(name="other.test").pk])
    assert "Place it there" not in text_of(ada.client.get(other))


def test_pages_cost_the_same_for_many(ada: Person) -> None:
    adas = estate(ada, inboxes=3)
    paths = ["/mailboxes/", "/mailboxes/csv/", reverse("domain-mail", args=[adas.domain.pk])]
    for path in paths:
        ada.client.get(path)

    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert ada.client.get(path).status_code == 200
        return len(seen)

    few = [cost(path) for path in paths]
    for number in range(20):
        create_alias(ada.actor, adas.mailboxes[0].pk, local_part=f"b{number}")
    for number in range(3):
        estate(ada, f"d{number}.test", inboxes=9)
    assert [cost(path) for path in paths] == few
