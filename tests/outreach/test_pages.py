"""The wizard's sixth step, the mailbox's page, the list and the files, as people use them."""

import csv
import io
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from domains.models import Domain
from mailboxes.models import Batch, Mailbox
from mailboxes.passwords import make_password
from outreach import services
from outreach.models import OutreachLink, WarmupDay
from provisioning.models import Job
from tests.cast import Person
from tests.outreach.test_connections import (
    TOOLS,
    account,
    at_tool,
    connect,
    happens,
    inboxes,
    settle,
    sweep,
)
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database("pages over services whose own tests run on both databases"),
]


@pytest.fixture
def ada(ada: Person) -> Person:
    """Owns a tenant with accounts of its own at the tools."""
    for provider in TOOLS:
        account(ada, provider)
    return ada


def step(domain: Domain) -> str:
    return f"/setup/{domain.pk}/outreach/"


def page(person: Person, path: str, **headers: str) -> str:
    answer = person.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def choices(person: Person, provider: str = "smartlead", **more: object) -> dict[str, object]:
    return {
        "credential": str(account(person, provider).pk),
        "warmup_enabled": "on",
        "max_email_per_day": 30,
        "total_warmup_per_day": 20,
        "daily_rampup": 3,
        **more,
    }


def test_the_sixth_step(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada)
    domain = boxes[0].domain
    shown = page(ada, step(domain))
    assert "Connect 2 inboxes" in shown
    assert "Own smartlead" in shown
    assert "Skip for now" in shown

    sandbox.fault("smartlead", "status", status=406, method="POST", path="/email-accounts/save")
    assert ada.client.post(step(domain), choices(ada))["Location"] == step(domain)
    live = page(ada, step(domain), **{"HX-Request": "true"})
    assert 'hx-trigger="every 1s"' in live
    assert live.count("Connecting") == 2
    settle()
    shown = page(ada, step(domain))
    assert "1 of 2 connected. 1 refused." in shown
    assert "Smartlead could not log in to this mailbox." in shown
    assert 'hx-trigger="every 1s"' not in shown

    retry = re.search(r'action="(/mailboxes/outreach/[^"]+/retry/)"', shown)
    assert retry
    assert ada.client.post(retry[1], {"next": step(domain)})["Location"] == step(domain)
    settle()
    domain.refresh_from_db()
    assert domain.status == Domain.CONNECTED
    shown = page(ada, step(domain))
    assert "Done" in shown
    assert "Connect 2 inboxes" not in shown

    listed = page(ada, f"{step(domain)}smartlead/campaigns/", **{"HX-Request": "true"})
    (campaign, *_) = re.findall(r'<option value="(\d+)"', listed)
    assert "Founders in Europe (active)" in listed
    answer = ada.client.post(f"{step(domain)}smartlead/campaigns/", {"campaign": campaign})
    assert answer["Location"] == step(domain)
    assert "Founders in Europe (joining)" in page(ada, step(domain))
    settle()
    assert page(ada, step(domain)).count("Founders in Europe") == 2


def test_a_wrong_choice_is_shown_beside_its_field(ada: Person, sandbox: RunningSandbox) -> None:
    domain = inboxes(ada, count=1)[0].domain
    answer = ada.client.post(step(domain), choices(ada, max_email_per_day=0))
    assert answer.status_code == 422
    assert "greater than or equal to 1" in answer.content.decode()
    answer = ada.client.post(step(domain), choices(ada, credential=str(ada.credential.pk)))
    assert answer.status_code == 422
    assert not OutreachLink.objects.exists()


def test_campaigns_that_cannot_be_read(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    connect(ada, boxes)
    sandbox.fault("smartlead", "status", status=500)
    shown = page(ada, f"{step(boxes[0].domain)}smartlead/campaigns/")
    assert "Smartlead has a problem of its own" in shown
    answer = ada.client.get(f"{step(boxes[0].domain)}instantly/campaigns/")
    assert answer.status_code == 302


def test_without_an_account_one_is_added_first(ada: Person, sandbox: RunningSandbox) -> None:
    domain = inboxes(ada, count=1)[0].domain
    for provider in ("smartlead", "instantly"):
        account(ada, provider).delete()
    shown = page(ada, step(domain))
    assert "No account yet" in shown
    add = f"/credentials/add/outreach/smartlead/?next={step(domain)}"
    assert add in shown
    answer = ada.client.post(
        add, {"label": "Ours", "api_key": "sandbox-agency", "next": step(domain)}
    )
    assert answer["Location"] == step(domain)
    assert "Ours" in page(ada, step(domain))


def test_the_mailbox_page_shows_and_disconnects(ada: Person, sandbox: RunningSandbox) -> None:
    (box,) = inboxes(ada, count=1)
    path = f"/mailboxes/{box.pk}/"
    assert "This mailbox is at no outreach tool." in page(ada, path)
    (link,) = connect(ada, [box], "instantly")
    (campaign, *_) = services.read_campaigns(ada.actor, provider="instantly")
    services.assign_campaign(ada.actor, [box.pk], campaign, provider="instantly")
    settle()
    sandbox.control("POST", "outreach", {"action": "age", "days": 8})
    sweep()
    shown = page(ada, path)
    assert "Founders in Europe" in shown
    assert re.search(r'role="img" aria-label="114 warm-up messages in 7 days, \d+ of them', shown)
    assert shown.count("<rect") >= 7
    assert "Reputation" in shown

    ask = f"/mailboxes/outreach/{link.pk}/disconnect/"
    assert "keeps the account and its history" in page(ada, ask)
    assert ada.client.post(ask)["Location"] == path
    settle()
    shown = page(ada, path)
    assert "Disconnected on" in shown
    assert 'role="img"' in shown  # the history stays
    (there,) = at_tool(sandbox, "instantly")
    assert there["is_paused"]


def test_one_that_was_lost_says_so(ada: Person, sandbox: RunningSandbox) -> None:
    (box,) = inboxes(ada, count=1)
    connect(ada, [box])
    happens(sandbox, "delete", email=box.address)
    sweep()
    shown = page(ada, f"/mailboxes/{box.pk}/")
    assert "no longer at Smartlead" in shown
    assert "Connect again" in shown


def test_ticked_mailboxes_are_connected(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=3)
    ticked = [str(box.pk) for box in boxes[:2]]
    path = "/mailboxes/outreach/connect/"
    shown = ada.client.post(path, {"mailbox": ticked}).content.decode()
    assert "Connect 2 inboxes" in shown
    assert not OutreachLink.objects.exists()
    answer = ada.client.post(path, {"mailbox": ticked, "sure": "yes", **choices(ada)})
    assert answer["Location"] == "/mailboxes/"
    settle()
    assert len(at_tool(sandbox)) == 2
    assert Job.objects.filter(workflow="outreach.connect").count() == 1
    # Nothing ticked, and those that are connected already.
    assert ada.client.post(path)["Location"] == "/mailboxes/"
    again = {"mailbox": ticked, "sure": "yes"}
    answer = ada.client.post(path, {**again, **choices(ada)})
    assert answer.status_code == 422
    assert "This mailbox is connected already." in answer.content.decode()
    answer = ada.client.post(path, {**again, **choices(ada, "instantly")})
    assert answer["Location"] == "/mailboxes/"
    settle()
    assert len(at_tool(sandbox, "instantly")) == 2


def test_strangers_and_members(
    ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    boxes = inboxes(ada, count=1)
    (link,) = connect(ada, boxes)
    for path in ("disconnect", "retry"):
        url = f"/mailboxes/outreach/{link.pk}/{path}/"
        assert cy.client.post(url).status_code == 404
        assert bo.client.post(url).status_code == 403
    assert cy.client.get(step(boxes[0].domain)).status_code == 404
    answer = cy.client.post("/mailboxes/outreach/connect/", {"mailbox": str(boxes[0].pk)})
    assert answer.status_code == 302
    link.refresh_from_db()
    assert link.status == OutreachLink.CONNECTED


# --- Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "columns"),
    [
        ("smartlead", {"from_email": 0, "password": 1, "imap_password": 1, "user_name": 0}),
        ("instantly", {"Email": 0, "IMAP Password": 1, "SMTP Password": 1, "SMTP Username": 0}),
    ],
)
def test_credentials_in_a_tools_own_format(
    ada: Person, sandbox: RunningSandbox, wanted: str, columns: dict[str, int]
) -> None:
    boxes = inboxes(ada)
    Mailbox.objects.filter(pk=boxes[0].pk).update(first_name="=cmd()", last_name="")
    path = f"/mailboxes/batches/{boxes[0].batch_id}/csv/"
    assert ada.client.post(path, {"format": "outlook"}).status_code == 400
    answer = ada.client.post(path, {"format": wanted})
    assert f'filename="example.test-{wanted}.csv"' in answer["Content-Disposition"]
    assert answer["Cache-Control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    told = {(box.address, box.password()) for box in boxes}
    for column, which in columns.items():
        assert {row[column] for row in rows} == {pair[which] for pair in told}
    assert rows[0].get("from_name", rows[0].get("First Name")) == "'=cmd()"
    # It was the one reveal, for ten minutes and for who asked.
    assert ada.client.post(path, {"format": ""}).status_code == 200
    Batch.objects.update(revealed_at=timezone.now() - timedelta(hours=1))
    assert ada.client.post(path, {"format": wanted}).status_code == 409


def test_passwords_never_begin_like_a_formula() -> None:
    from mpanel.core.csvcells import inert

    assert all(inert(password) == password for password in (make_password() for _ in range(200)))


# --- Queries ------------------------------------------------------------------------------------


def test_the_step_takes_as_many_queries_for_thirty_as_for_three(ada: Person) -> None:
    def queries(name: str, number: int) -> int:
        theirs = estate(ada, name, inboxes=number)
        credential = account(ada)
        links = OutreachLink.objects.bulk_create(
            OutreachLink(
                tenant=ada.tenant,
                mailbox=mailbox,
                provider="smartlead",
                credential=credential,
                status=OutreachLink.CONNECTED,
            )
            for mailbox in theirs.mailboxes
        )
        WarmupDay.objects.bulk_create(
            WarmupDay(link=link, date=timezone.now().date(), sent=1) for link in links
        )
        ada.client.get(step(theirs.domain))
        with CaptureQueriesContext(connection) as counted:
            ada.client.get(step(theirs.domain))
        return len(counted)

    assert queries("three.test", 3) == queries("thirty.test", 30)
