"""The pages on which inboxes are made, found, revealed and taken away."""

import csv
import io
import re
from typing import Any

import pytest

from billing.models import Account
from domains.models import Domain
from events.models import Event
from mailboxes.models import Batch, Mailbox
from mpanel.core.actor import ADMIN
from tenants.models import OneTimeCode
from tests.cast import Person, helper_of
from tests.wizard.rows import Estate, estate
from tests.work import work_off


def requested(**more: object) -> dict[str, object]:
    return {"inbox_count": 3, "naming_convention": "firstname.lastname", **more}


def ready(person: Person) -> Estate:
    adas = estate(person, inboxes=0)
    adas.batch.delete()
    Domain.objects.filter(pk=adas.domain.pk).update(status=Domain.READY)
    return adas


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def test_the_preview_is_what_is_created(ada: Person) -> None:
    base = f"/setup/{ready(ada).domain.pk}/inboxes/"
    partial = ada.client.post(f"{base}preview/", requested(), headers={"HX-Request": "true"})
    shown = re.findall(r">([a-z.]+@example\.test)<", partial.content.decode())
    assert len(shown) == 3
    assert "<html" not in partial.content.decode()
    whole = ada.client.post(f"{base}preview/", requested()).content.decode()
    assert all(address in whole for address in shown)
    assert not Mailbox.objects.exists()
    assert ada.client.post(base, requested(idempotency_key="k")).status_code == 302
    assert ada.client.post(base, requested(idempotency_key="k")).status_code == 302
    made = Mailbox.objects.order_by("pk").values_list("address", flat=True)
    assert list(made) == shown
    page = ada.client.get(base).content.decode()
    assert "0 of 3 verified" in page


def test_names_of_people_are_used(ada: Person) -> None:
    base = f"/setup/{ready(ada).domain.pk}/inboxes/"
    people = "Ada Lovelace\nBlaise Pascal\nÉmilie du Châtelet"
    assert ada.client.post(base, requested(personas=people)).status_code == 302
    addresses = set(Mailbox.objects.values_list("local_part", flat=True))
    assert {"ada.lovelace", "blaise.pascal"} < addresses


def test_mistakes_in_a_list_are_named_with_their_lines(ada: Person) -> None:
    base = f"/setup/{ready(ada).domain.pk}/inboxes/"
    answer = ada.client.post(
        base,
        requested(naming_convention="custom", custom="hello\nb..d\nhello\nme@other.test\nok"),
    )
    assert answer.status_code == 422
    errors = " ".join(answer.context["form"].errors["custom"])
    for line in (2, 3, 4):
        assert f"ine {line}" in errors
    assert "ine 5" not in errors
    preview = ada.client.post(
        f"{base}preview/",
        requested(naming_convention="custom", custom="a..b"),
        headers={"HX-Request": "1"},
    )
    assert "ine 1" in preview.content.decode()
    answer = ada.client.post(base, requested(personas="Madonna"))
    assert "personas" in answer.context["form"].errors
    assert not Mailbox.objects.exists()


def test_limits_are_said_on_the_form(ada: Person) -> None:
    adas = ready(ada)
    base = f"/setup/{adas.domain.pk}/inboxes/"
    answer = ada.client.post(base, requested(inbox_count=51))
    assert answer.status_code == 422
    assert "allows 50 inboxes" in answer.content.decode()
    for count in (0, -1, 1001, "many"):
        assert ada.client.post(base, requested(inbox_count=count)).status_code == 422
    Account.objects.update(trial_ends_at="2000-01-01T00:00Z")
    answer = ada.client.post(base, requested())
    assert answer.status_code == 403
    assert "Your trial has ended" in answer.content.decode()
    assert not Mailbox.objects.exists()


def test_the_list_finds_filters_and_pages(ada: Person) -> None:
    adas = estate(ada, inboxes=25)
    estate(ada, "other.test", inboxes=1)
    Mailbox.objects.filter(pk=adas.mailboxes[3].pk).update(
        status=Mailbox.SUSPENDED, first_name="Grace", last_name="Hopper"
    )
    Mailbox.objects.filter(pk=adas.mailboxes[4].pk).update(status=Mailbox.DELETED)

    def found(query: str) -> list[str]:
        return [box.address for box in ada.client.get(f"/mailboxes/?{query}").context["page"]]

    assert len(found("")) == 20
    assert len(found("page=2")) == 5
    assert found("q=HOPPER") == ["box3@example.test"]
    assert found("status=suspended") == ["box3@example.test"]
    assert found("q=box4%40example") == []
    other = Domain.objects.get(name="other.test")
    assert found(f"domain={other.pk}") == ["box0@other.test"]
    assert found(f"domain={other.pk}&q=hopper") == []


def test_credentials_are_shown_once_on_the_page_and_as_a_file(ada: Person) -> None:
    adas = estate(ada, inboxes=2)
    di = helper_of(ada, "di", ADMIN)
    passwords = {box.address: box.password() for box in adas.mailboxes}
    base = f"/mailboxes/batches/{adas.batch.pk}"
    page = ada.client.post(f"{base}/reveal/")
    assert page["Cache-Control"].startswith("no-store")
    assert all(password in page.content.decode() for password in passwords.values())
    answer = ada.client.post(f"{base}/csv/")
    assert "no-store" in answer["Cache-Control"]
    assert {row["email"]: row["password"] for row in rows_of(answer)} == passwords
    assert ada.client.get(f"{base}/csv/").status_code == 405
    for person in (di, ada):
        if person is ada:
            Batch.objects.update(revealed_at="2000-01-01T00:00Z")
        for path in ("reveal", "csv"):
            late = person.client.post(f"{base}/{path}/")
            assert late.status_code == 409
            assert not any(password in late.content.decode() for password in passwords.values())
    assert Event.objects.filter(action="credentials.revealed").count() == 1
    everything = "".join(str(vars(event)) for event in Event.objects.all())
    assert not any(password in everything for password in passwords.values())


def test_a_batch_without_a_working_inbox_has_nothing_to_show(ada: Person) -> None:
    adas = estate(ada, inboxes=2)
    Mailbox.objects.update(status=Mailbox.FAILED)
    for path in ("reveal", "csv"):
        assert ada.client.post(f"/mailboxes/batches/{adas.batch.pk}/{path}/").status_code == 409
    assert Batch.objects.get().revealed_at is None


def test_the_later_file_hides_passwords_and_harms_no_spreadsheet(ada: Person) -> None:
    adas = estate(ada, inboxes=2)
    Mailbox.objects.filter(pk=adas.mailboxes[0].pk).update(address="=cmd@example.test")
    text = ada.client.get("/mailboxes/csv/")
    rows = rows_of(text)
    assert {row["password"] for row in rows} == {"***HIDDEN***"}
    assert sorted(row["email"] for row in rows) == ["'=cmd@example.test", "box1@example.test"]
    assert not any(box.password() in text.content.decode() for box in adas.mailboxes)
    other = estate(ada, "other.test", inboxes=1)
    assert len(rows_of(ada.client.get(f"/mailboxes/csv/?domain={other.domain.pk}"))) == 1


def code_in(mails: list) -> str:
    found = re.search(r"\b(\d{6})\b", mails[-1].body)
    assert found
    return found[1]


def test_one_password_is_revealed_for_a_fresh_code(
    ada: Person,
    cy: Person,
    mailoutbox: list,
) -> None:
    adas = estate(ada, inboxes=2)
    box, other = adas.mailboxes
    path = f"/mailboxes/{box.pk}/reveal/"
    assert box.password() not in ada.client.get(f"/mailboxes/{box.pk}/").content.decode()
    assert ada.client.post(path).status_code == 302
    work_off()
    assert mailoutbox[-1].to == [ada.user.email]
    code = code_in(mailoutbox)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    answer = ada.client.post(path, {"code": wrong})
    assert answer.status_code == 422
    assert box.password() not in answer.content.decode()
    assert OneTimeCode.objects.get().tries == 1
    # It is for this mailbox alone, and not for signing in.
    assert ada.client.post(f"/mailboxes/{other.pk}/reveal/", {"code": code}).status_code == 422
    answer = ada.client.post(path, {"code": code})
    assert answer.status_code == 200
    assert box.password() in answer.content.decode()
    assert other.password() not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    event = Event.objects.get(action="password.revealed")
    assert (event.user_id, event.subject_id) == (ada.user.pk, box.pk)
    assert ada.client.post(path, {"code": code}).status_code == 422
    assert Event.objects.filter(action="password.revealed").count() == 1
    box.refresh_from_db()
    assert box.revealed_at


def test_five_wrong_codes_end_a_reveal(ada: Person, mailoutbox: list) -> None:
    box = estate(ada).mailboxes[0]
    path = f"/mailboxes/{box.pk}/reveal/"
    ada.client.post(path)
    work_off()
    code = code_in(mailoutbox)
    for _ in range(5):
        ada.client.post(path, {"code": f"{(int(code) + 1) % 1_000_000:06d}"})
    assert ada.client.post(path, {"code": code}).status_code == 422
    assert not Event.objects.filter(action="password.revealed").exists()


def test_deleting_is_asked_twice(ada: Person) -> None:
    adas = estate(ada, inboxes=3)
    box = adas.mailboxes[0]
    path = f"/mailboxes/{box.pk}/delete/"
    assert f"Delete {box.address}?" in ada.client.get(path).content.decode()
    many = {"mailbox": [str(row.pk) for row in adas.mailboxes[1:]]}
    asked = ada.client.post("/mailboxes/delete/", many)
    assert "Delete 2 mailboxes?" in asked.content.decode()
    assert not Mailbox.objects.filter(status=Mailbox.DELETING).exists()
    assert ada.client.post(path)["Location"] == "/mailboxes/"
    assert Mailbox.objects.filter(status=Mailbox.DELETING).count() == 1
    ada.client.post("/mailboxes/delete/", {**many, "sure": "yes"})
    assert Mailbox.objects.filter(status=Mailbox.DELETING).count() == 3
    assert ada.client.post("/mailboxes/delete/", {"mailbox": "x"}).status_code == 400
    assert ada.client.post("/mailboxes/delete/")["Location"] == "/mailboxes/"


def test_a_strangers_ticked_rows_are_not_touched(ada: Person, cy: Person) -> None:
    adas, cys = estate(ada), estate(cy, "cy.test")
    ids = [str(adas.mailboxes[0].pk), str(cys.mailboxes[0].pk)]
    page = cy.client.post("/mailboxes/delete/", {"mailbox": ids}).content.decode()
    assert "cy.test" in page
    assert "example.test" not in page
    cy.client.post("/mailboxes/delete/", {"mailbox": ids, "sure": "yes"})
    moved = Mailbox.objects.filter(status=Mailbox.DELETING)
    assert [box.address for box in moved] == ["box0@cy.test"]


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        ("active", "suspend", "suspended"),
        ("suspended", "activate", "active"),
        ("failed", "retry", "provisioning"),
    ],
)
def test_what_can_be_done_to_one(ada: Person, before: str, action: str, after: str) -> None:
    box = estate(ada).mailboxes[0]
    Mailbox.objects.update(status=before)
    page = ada.client.get(f"/mailboxes/{box.pk}/").content.decode()
    assert f"/mailboxes/{box.pk}/{action}/" in page
    for _ in range(2):
        answer = ada.client.post(f"/mailboxes/{box.pk}/{action}/", {"next": "/mailboxes/"})
        assert answer["Location"] == "/mailboxes/"
    box.refresh_from_db()
    assert box.status == after
