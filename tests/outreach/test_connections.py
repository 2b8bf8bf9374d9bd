"""Mailboxes at outreach tools, over services and the API; the stand-ins really log in."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing.models import Account
from domains.models import Domain
from events.models import Event
from mailboxes.models import Mailbox
from mailboxes.passwords import proof_digest
from mailboxes.services import change_password, delete_mailboxes, suspend_mailbox
from mpanel.core.api.waiting import LOOKUPS, outside
from mpanel.core.errors import Forbidden, ProviderError
from outreach import services
from outreach.errors import (
    AccountAlreadyConnected,
    AccountNotFound,
    CampaignElsewhere,
    CampaignsNotIncluded,
    MailboxNotReady,
)
from outreach.models import CampaignSeat, OutreachLink, WarmupDay
from outreach.providers.base import NO_ANSWER, WarmupSettings
from outreach.providers.smartlead import Smartlead
from outreach.records import mark_connected
from outreach.sweep import look_at_warmup
from outreach.vendors import outreach_provider
from provisioning.models import Job
from provisioning.services import retry_job
from tenants.models import ProviderCredential
from tenants.services import add_credential, include_accounts
from tests.api import Api
from tests.cast import Person
from tests.mailboxes.test_services import proved, ready_domain
from tests.sandboxes import RunningSandbox
from tests.work import ended, hurry, until, work_off

pytestmark = pytest.mark.django_db(transaction=True)
TOOLS = ("smartlead", "instantly")
WARMUP = WarmupSettings(max_email_per_day=30, total_per_day=20, daily_rampup=3)


def account(person: Person, provider: str = "smartlead") -> ProviderCredential:
    """The person's own account at a tool, in place of the included one."""
    found = ProviderCredential.objects.filter(
        tenant_id=person.actor.tenant_id, port="outreach", provider=provider
    )
    found.filter(is_included=True).delete()
    return found.first() or add_credential(
        person.actor,
        port="outreach",
        provider=provider,
        label=f"Own {provider}",
        values={"api_key": "sandbox-mpanel"},
    )


@pytest.fixture
def ada(ada: Person) -> Person:
    """Owns a tenant with accounts of its own at the tools."""
    for provider in TOOLS:
        account(ada, provider)
    return ada


def inboxes(person: Person, name: str = "example.test", *, count: int = 2) -> list[Mailbox]:
    """Proved mailboxes on a domain of their own."""
    return list(proved(person, ready_domain(person, name), count).mailboxes.order_by("address"))


def connect(
    person: Person, mailboxes: list[Mailbox], provider: str = "smartlead"
) -> list[OutreachLink]:
    """Those, worked on until nothing is under way."""
    links = services.connect_mailboxes(
        person.actor,
        [mailbox.pk for mailbox in mailboxes],
        credential_id=account(person, provider).pk,
        warmup=WARMUP,
    )
    settle()
    for link in links:
        link.refresh_from_db()
    return links


def settle() -> None:
    until(lambda: not Job.objects.active().exists())


def at_tool(sandbox: RunningSandbox, provider: str = "smartlead") -> list[dict[str, Any]]:
    found: dict[str, Any] = sandbox.control("GET", f"outreach?service={provider}")
    return list(found["senders"])


def campaign_senders(sandbox: RunningSandbox, name: str, provider: str = "smartlead") -> list[str]:
    shown = sandbox.control("GET", f"outreach?service={provider}")["campaigns"]
    return next(list(row["senders"]) for row in shown if row["name"] == name)


def happens(sandbox: RunningSandbox, action: str, **fields: Any) -> None:
    body = {"service": "smartlead", **fields, "action": action}
    sandbox.control("POST", "outreach", body)


def status_of(domain: Domain) -> str:
    domain.refresh_from_db()
    return domain.status


# --- Connecting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", TOOLS)
def test_inboxes_are_connected_seated_and_taken_back(
    ada: Person, sandbox: RunningSandbox, provider: str
) -> None:
    boxes = inboxes(ada)
    domain = boxes[0].domain
    links = connect(ada, boxes, provider)
    assert {link.status for link in links} == {OutreachLink.CONNECTED}
    there = at_tool(sandbox, provider)
    assert sorted(row["email"] for row in there) == [box.address for box in boxes]
    assert {(row["warms"], row["daily"], row["total"], row["rampup"]) for row in there} == {
        (True, 30, 20, 3)
    }
    assert status_of(domain) == Domain.CONNECTED
    assert Event.objects.filter(action="outreach.connected").count() == 2

    found = services.read_campaigns(ada.actor, provider=provider)
    services.assign_campaign(ada.actor, [box.pk for box in boxes], found[0], provider=provider)
    settle()
    assert len(campaign_senders(sandbox, found[0].name, provider)) == 2
    # One more, which the customer chose at the tool.
    happens(sandbox, "seat", service=provider, email=boxes[0].address, campaign="Spring drafts")

    services.disconnect_mailboxes(ada.actor, [boxes[0].pk], provider=provider)
    settle()
    assert campaign_senders(sandbox, found[0].name, provider) == [boxes[1].address]
    assert campaign_senders(sandbox, "Spring drafts", provider) == []
    left, stayed = sorted(at_tool(sandbox, provider), key=lambda row: row["email"])
    assert (left["warms"], stayed["warms"]) == (False, True)
    links[0].refresh_from_db()
    assert (links[0].status, links[0].credential) == (OutreachLink.DISCONNECTED, None)
    assert CampaignSeat.objects.get(link=links[0]).left_at is not None
    assert status_of(domain) == Domain.PROVISIONED

    # Connected again, it is the same one there, and a new row here.
    (again,) = connect(ada, [boxes[0]], provider)
    assert again.status == OutreachLink.CONNECTED
    assert again.pk != links[0].pk
    assert len(at_tool(sandbox, provider)) == 2
    assert status_of(domain) == Domain.CONNECTED


def test_the_domain_is_connected_with_its_last_mailbox(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """Whoever watches stops watching when nothing is under way: then it must be so."""
    (box,) = inboxes(ada, count=1)
    link = services.connect_mailbox(ada.actor, box.pk, provider="smartlead")
    mark_connected(link)
    assert status_of(box.domain) == Domain.CONNECTED


def test_one_that_is_refused_blocks_no_other(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=3)
    sandbox.fault("smartlead", "status", status=406, method="POST", path="/email-accounts/save")
    links = connect(ada, boxes)
    assert sorted(link.status for link in links) == ["connected", "connected", "failed"]
    (failed,) = [link for link in links if link.status == OutreachLink.FAILED]
    assert failed.error_code == "INVALID_CREDENTIALS"
    assert "Smartlead could not log in" in failed.error_message
    job = Job.objects.get(workflow="outreach.connect")
    assert (job.status, job.error_code) == (Job.FAILED, "SOME_FAILED")
    assert "2 of 3 mailboxes are connected; 1 was refused" in job.error_message
    assert status_of(boxes[0].domain) == Domain.PROVISIONED

    services.retry_link(ada.actor, failed.pk)
    services.retry_link(ada.actor, failed.pk)
    settle()
    failed.refresh_from_db()
    assert failed.status == OutreachLink.CONNECTED
    assert status_of(boxes[0].domain) == Domain.CONNECTED
    assert len(at_tool(sandbox)) == 3


def test_a_login_that_stopped_working_is_never_handed_over(
    ada: Person, sandbox: RunningSandbox
) -> None:
    boxes = inboxes(ada)
    other = proof_digest("Another3password")
    Mailbox.objects.filter(pk=boxes[0].pk).update(proof_digest=other)
    links = {link.mailbox_id: link for link in connect(ada, boxes)}
    assert links[boxes[0].pk].error_code == "INVALID_CREDENTIALS"
    assert links[boxes[1].pk].status == OutreachLink.CONNECTED
    assert [row["email"] for row in at_tool(sandbox)] == [boxes[1].address]


def test_a_whole_job_is_retried(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada)
    sandbox.fault("smartlead", "status", status=406, method="POST", path="/email-accounts/save")
    connect(ada, boxes)
    job = Job.objects.get(workflow="outreach.connect")
    retry_job(ada.actor, job.pk)
    assert ended(job).status == Job.SUCCEEDED
    assert set(OutreachLink.objects.values_list("status", flat=True)) == {"connected"}


def test_what_cannot_be_connected(
    ada: Person, cy: Person, bo: Person, sandbox: RunningSandbox
) -> None:
    boxes = inboxes(ada)

    def one(mailbox: Mailbox, person: Person = ada) -> None:
        services.connect_mailbox(person.actor, mailbox.pk, provider="smartlead")

    suspend_mailbox(ada.actor, boxes[0].pk)
    with pytest.raises(MailboxNotReady):
        one(boxes[0])
    one(boxes[1])
    with pytest.raises(AccountAlreadyConnected):
        one(boxes[1])
    with pytest.raises(AccountNotFound):
        one(boxes[1], cy)
    with pytest.raises(Forbidden):
        one(boxes[1], bo)
    assert OutreachLink.objects.count() == 1


def test_the_trials_end_stops_connecting(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    Account.objects.filter(tenant=ada.tenant).update(
        trial_ends_at=timezone.now() - timedelta(days=1)
    )
    answer = Api(ada.token).post(f"/api/v1/email-accounts/{boxes[0].pk}/smartlead", {})
    assert (answer.status, answer.error) == (403, "TRIAL_EXPIRED")


# --- What goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("provider", TOOLS)
@pytest.mark.parametrize("kind", ["drop_after_commit", "status"])
def test_an_answer_that_is_lost_makes_no_second_account(
    ada: Person, sandbox: RunningSandbox, provider: str, kind: str
) -> None:
    boxes = inboxes(ada, count=1)
    path = "/email-accounts/save" if provider == "smartlead" else "/api/v2/accounts$"
    sandbox.fault(provider, kind, method="POST", path=path)
    (link,) = connect(ada, boxes, provider)
    assert link.status == OutreachLink.CONNECTED
    assert len(at_tool(sandbox, provider)) == 1


def test_a_runner_that_dies_after_the_remote_save_leaves_one_account(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """What it had no time to write down is found again."""
    boxes = inboxes(ada, count=1)
    (link,) = connect(ada, boxes)
    OutreachLink.objects.filter(pk=link.pk).update(
        status=OutreachLink.CONNECTING, remote_id="", connected_at=None
    )
    job = Job.objects.get(workflow="outreach.connect")
    job.steps.update(status="running")
    Job.objects.filter(pk=job.pk).update(status=Job.RUNNING, lease_until=timezone.now())
    from provisioning.engine import advance

    advance(job.pk)
    settle()
    link.refresh_from_db()
    assert link.status == OutreachLink.CONNECTED
    assert len(at_tool(sandbox)) == 1


def test_a_key_that_is_revoked_half_way(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada)
    happens(sandbox, "revoke")
    links = connect(ada, boxes)
    assert {(link.status, link.error_code) for link in links} == {("failed", "API_KEY_REFUSED")}
    credential = account(ada)
    assert credential.result == ProviderCredential.REFUSED
    assert "refused the API key" in credential.result_message
    # What never was there is given up at once.
    services.disconnect_mailboxes(ada.actor, [box.pk for box in boxes], provider="smartlead")
    assert set(OutreachLink.objects.values_list("status", flat=True)) == {"disconnected"}


def test_a_revoked_key_keeps_nobody_from_leaving(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    (link,) = connect(ada, boxes)
    happens(sandbox, "revoke")
    services.disconnect_link(ada.actor, link.pk)
    settle()
    link.refresh_from_db()
    assert link.status == OutreachLink.DISCONNECTED
    lines = Job.objects.get(workflow="outreach.disconnect").lines.values_list("text", flat=True)
    assert any("refuses the key" in text for text in lines)


def test_a_tool_that_is_down_is_asked_again(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    sandbox.fault("smartlead", "status", status=503, times=2)
    sandbox.fault("smartlead", "rate_limit", retry_after=1)
    (link,) = connect(ada, boxes)
    assert link.status == OutreachLink.CONNECTED


def test_a_deleted_mailbox_leaves_its_tools_first(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=2)
    connect(ada, boxes)
    connect(ada, boxes[:1], "instantly")
    (campaign, *_) = services.read_campaigns(ada.actor, provider="smartlead")
    services.assign_campaign(ada.actor, [boxes[0].pk], campaign, provider="smartlead")
    settle()
    delete_mailboxes(ada.actor, [boxes[0].pk])
    settle()
    assert campaign_senders(sandbox, campaign.name) == []
    (there,) = [row for row in at_tool(sandbox) if row["email"] == boxes[0].address]
    assert not there["warms"]
    (there,) = at_tool(sandbox, "instantly")
    assert there["is_paused"]
    gone = OutreachLink.objects.filter(mailbox=boxes[0])
    assert set(gone.values_list("status", flat=True)) == {OutreachLink.DISCONNECTED}
    boxes[0].refresh_from_db()
    assert boxes[0].status == Mailbox.DELETED


def test_a_new_password_reaches_the_tools(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    (link,) = connect(ada, boxes)
    saved = sandbox.request_count("smartlead", "POST", "/email-accounts/save", 200)
    change_password(ada.actor, boxes[0].pk)
    settle()
    link.refresh_from_db()
    assert link.status == OutreachLink.CONNECTED
    assert sandbox.request_count("smartlead", "POST", "/email-accounts/save", 200) == saved + 1
    assert len(at_tool(sandbox)) == 1


# --- Warm-up ------------------------------------------------------------------------------------


def sweep() -> None:
    from mpanel.core.periodic import all_sweeps

    all_sweeps()["outreach.warmup"].work()


@pytest.mark.parametrize("provider", TOOLS)
def test_a_week_of_warmup_is_kept(ada: Person, sandbox: RunningSandbox, provider: str) -> None:
    boxes = inboxes(ada)
    links = connect(ada, boxes, provider)
    sweep()
    assert WarmupDay.objects.filter(link=links[0]).count() == 1
    asked = sum(sandbox.request_count(provider, method, None) for method in ("GET", "POST"))
    sweep()  # fresh enough
    assert asked == sum(sandbox.request_count(provider, m, None) for m in ("GET", "POST"))

    sandbox.control("POST", "outreach", {"action": "age", "days": 8})
    OutreachLink.objects.update(stats_at=timezone.now() - timedelta(days=1))
    sweep()
    days = list(WarmupDay.objects.filter(link=links[0]))
    assert [day.sent for day in days] == [9, 12, 15, 18, 20, 20, 20]
    assert days[-1].date == timezone.now().date()
    links[0].refresh_from_db()
    assert links[0].reputation is not None
    answer = Api(ada.token).get(f"/api/v1/email-accounts/{boxes[0].pk}/warmup-stats")
    assert answer.body["warmup_enabled"] is True
    newest = answer.body["stats"][-1]
    assert newest["sent"] == 20
    assert (newest["deliverability_rate"] is None) == (provider == "smartlead")


def test_a_key_that_does_not_open_holds_up_no_other(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    (lost,) = connect(ada, inboxes(ada, count=1))
    (well,) = connect(cy, inboxes(cy, "cy.test", count=1))
    strange = account(cy).sealed
    ProviderCredential.objects.filter(pk=account(ada).pk).update(sealed=strange)
    sweep()
    assert WarmupDay.objects.filter(link=well).exists()
    assert not WarmupDay.objects.filter(link=lost).exists()
    told = account(ada)
    assert told.result == ProviderCredential.REFUSED
    assert told.result_message.startswith("A stored secret cannot be opened.")
    lost.refresh_from_db()
    assert lost.status == OutreachLink.CONNECTED  # the tool has it still


def test_keys_that_do_not_open_fill_one_look_and_not_the_next(
    ada: Person, cy: Person, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two places in a look, as 1,000 are there otherwise."""
    from mpanel.core.periodic import all_sweeps
    from outreach import sweep as sweeping

    connect(ada, inboxes(ada, count=2))
    (well,) = connect(cy, inboxes(cy, "cy.test", count=1))
    ProviderCredential.objects.filter(pk=account(ada).pk).update(sealed=account(cy).sealed)
    monkeypatch.setattr(sweeping, "MOST_PER_KEY", 2)
    monkeypatch.setattr(sweeping, "KEYS_AT_ONCE", 1)
    work = all_sweeps()["outreach.warmup"].work
    work()
    assert account(ada).result == ProviderCredential.REFUSED
    work()
    assert WarmupDay.objects.filter(link=well).exists()


def test_a_tool_that_is_down_takes_nobody_elses_place(
    ada: Person, cy: Person, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two places in a look, and one call of a tool at once."""
    from outreach import sweep as sweeping

    down = connect(ada, inboxes(ada, count=2))
    (well,) = connect(cy, inboxes(cy, "cy.test", count=1), "instantly")
    later = connect(cy, list(Mailbox.objects.filter(pk=well.mailbox_id)))
    monkeypatch.setattr(sweeping, "MOST_PER_KEY", 2)
    monkeypatch.setattr(sweeping, "KEYS_AT_ONCE", 1)
    asked: list[str] = []
    ask = Smartlead.find_senders

    def find_senders(self: Smartlead, emails: Sequence[str]) -> Any:
        asked.extend(emails)
        if down[0].mailbox.address in emails:
            raise ProviderError(NO_ANSWER, "It does not answer.", retryable=True)
        return ask(self, emails)

    monkeypatch.setattr(Smartlead, "find_senders", find_senders)
    assert not look_at_warmup()  # more is due, but not at once
    assert WarmupDay.objects.filter(link=well).exists()
    assert len(asked) == 2
    look_at_warmup()
    assert WarmupDay.objects.filter(link=later[0]).exists()


def test_a_look_at_warmup_gives_way_and_goes_on(
    ada: Person, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mpanel.core import periodic
    from mpanel.core.periodic import all_sweeps

    links = connect(ada, inboxes(ada, count=3))
    monkeypatch.setattr(periodic, "SLICE", 0.0)
    work = all_sweeps()["outreach.warmup"].work
    assert work() is True
    assert WarmupDay.objects.count() == 1  # one call, and what it brought is kept
    while work():
        pass
    assert set(WarmupDay.objects.values_list("link", flat=True)) == {link.pk for link in links}


def test_one_deleted_at_the_tool_is_noticed_and_connected_again(
    ada: Person, sandbox: RunningSandbox
) -> None:
    boxes = inboxes(ada)
    links = connect(ada, boxes)
    happens(sandbox, "delete", email=boxes[0].address)
    sweep()
    lost, kept = (OutreachLink.objects.get(pk=link.pk) for link in links)
    assert (lost.status, lost.error_code) == (OutreachLink.FAILED, "SENDER_GONE")
    assert kept.status == OutreachLink.CONNECTED
    assert status_of(boxes[0].domain) == Domain.PROVISIONED
    assert Event.objects.filter(action="outreach.lost", subject_id=boxes[0].pk).count() == 1
    services.retry_link(ada.actor, lost.pk)
    settle()
    assert len(at_tool(sandbox)) == 2
    assert status_of(boxes[0].domain) == Domain.CONNECTED


def test_a_revoked_key_is_noticed_by_the_sweep(ada: Person, sandbox: RunningSandbox) -> None:
    links = connect(ada, inboxes(ada, count=1))
    happens(sandbox, "revoke")
    sweep()
    links[0].refresh_from_db()
    assert (links[0].status, links[0].error_code) == ("failed", "API_KEY_REFUSED")
    assert account(ada).result == ProviderCredential.REFUSED


def test_more_inboxes_take_the_domain_back_a_step(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    domain = boxes[0].domain
    connect(ada, boxes)
    assert status_of(domain) == Domain.CONNECTED
    more = list(proved(ada, domain, 1).mailboxes.all())
    assert status_of(domain) == Domain.PROVISIONED
    delete_mailboxes(ada.actor, [more[0].pk])
    settle()
    sweep()
    assert status_of(domain) == Domain.CONNECTED


# --- The API ------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", TOOLS)
def test_the_story_over_the_api(ada: Person, sandbox: RunningSandbox, provider: str) -> None:
    (box,) = inboxes(ada, count=1)
    api = Api(ada.token)
    path = f"/api/v1/email-accounts/{box.pk}/{provider}"
    answer = api.post(path, {"max_email_per_day": 30})
    assert (answer.status, answer.body["status"]) == (202, "connecting")
    assert answer.body["warmup"] == {
        "warmup_enabled": True,
        "max_email_per_day": 30,
        "total_warmup_per_day": 40,
        "daily_rampup": 5,
    }
    assert api.post(path, {}).error == "ACCOUNT_ALREADY_CONNECTED"
    assert api.get(f"/api/jobs/{answer.body['deployment_id']}").status == 200
    settle()
    link = OutreachLink.objects.get()
    assert str(link.pk) == answer.body["mapping"]["id"]
    assert link.status == OutreachLink.CONNECTED

    listed = api.get(f"/api/v1/{provider}/campaigns").body
    assert listed["total"] == 3
    campaign = listed["items"][0]
    seats = f"/api/v1/{provider}/campaigns/{campaign['id']}/email-accounts"
    answer = api.post(seats, {"email_account_id": str(box.pk)})
    assert (answer.status, answer.body["items"][0]["status"]) == (202, "joining")
    settle()
    answer = api.post(seats, {"email_account_ids": [str(box.pk)]})
    assert (answer.status, answer.body["items"][0]["status"]) == (200, "joined")
    assert campaign_senders(sandbox, campaign["name"], provider) == [box.address]
    missing = f"/api/v1/{provider}/campaigns/none-such/email-accounts"
    assert api.post(missing, {"email_account_id": str(box.pk)}).error == "CAMPAIGN_NOT_FOUND"

    answer = api.delete(path)
    assert (answer.status, answer.body["status"]) == (202, "disconnecting")
    settle()
    assert campaign_senders(sandbox, campaign["name"], provider) == []
    assert api.delete(path).error == "ACCOUNT_NOT_CONNECTED"


def test_who_waits_is_answered_with_what_came_of_it(ada: Person, sandbox: RunningSandbox) -> None:
    """A failed connection that is asked about is an error with the contract's code."""
    (box,) = inboxes(ada, count=1)
    sandbox.fault("smartlead", "status", status=406, method="POST", path="/email-accounts/save")
    (link,) = connect(ada, [box])
    from outreach.errors import refusal_of

    error = refusal_of(link)
    assert (error.code, error.status) == ("INVALID_CREDENTIALS", 409)
    for code, answered in {
        "NETWORK_ERROR": "NETWORK_ERROR",
        "API_KEY_REFUSED": "SMARTLEAD_API_ERROR",
        "SMARTLEAD_API_ERROR": "SMARTLEAD_API_ERROR",
    }.items():
        link.error_code = code
        assert (refusal_of(link).code, refusal_of(link).status) == (answered, 502)


@contextlib.contextmanager
def a_worker() -> Iterator[None]:
    """Somebody who works off the queue while the test waits for an answer."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            work_off()
            hurry()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_who_prefers_to_wait(ada: Person, sandbox: RunningSandbox, patiently: str) -> None:
    good, bad = inboxes(ada)
    api = Api(ada.token, Prefer=patiently)
    with a_worker():
        answer = api.post(f"/api/v1/email-accounts/{good.pk}/smartlead", {})
        assert (answer.status, answer.body["status"]) == (201, "connected")
        assert answer.body["mapping"]["smartlead_email"] == good.address
        assert answer.body["mapping"]["smartlead_email_account_id"]
        sandbox.fault("smartlead", "status", status=406, method="POST", path="/email-accounts/save")
        answer = api.post(f"/api/v1/email-accounts/{bad.pk}/smartlead", {})
        assert (answer.status, answer.error) == (409, "INVALID_CREDENTIALS")
        answer = api.delete(f"/api/v1/email-accounts/{good.pk}/smartlead")
        assert (answer.status, answer.body["status"]) == (200, "disconnected")


def test_campaigns_of_a_tool_that_fails(ada: Person, sandbox: RunningSandbox) -> None:
    api = Api(ada.token)
    sandbox.fault("smartlead", "status", status=500)
    answer = api.get("/api/v1/smartlead/campaigns")
    assert (answer.status, answer.error) == (502, "SMARTLEAD_API_ERROR")
    sandbox.fault("smartlead", "drop_before")
    assert api.get("/api/v1/smartlead/campaigns").error == "NETWORK_ERROR"
    happens(sandbox, "revoke")
    answer = api.get("/api/v1/smartlead/campaigns")
    assert answer.error == "SMARTLEAD_API_ERROR"
    assert answer.body["error"]["details"] == {"code": "API_KEY_REFUSED"}
    account(ada).delete()
    assert api.get("/api/v1/smartlead/campaigns").error == "OUTREACH_NOT_CONNECTED"


def test_the_hosts_campaigns_are_neither_seen_nor_joined(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """All tenants share the included account, and its campaigns are none of theirs."""
    boxes = inboxes(ada, count=1)
    api, campaigns = Api(ada.token), "/api/v1/smartlead/campaigns"
    account(ada).delete()
    include_accounts([ada.actor.tenant_id])
    included = ProviderCredential.objects.get(
        tenant_id=ada.actor.tenant_id, provider="smartlead", is_included=True
    )
    services.connect_mailboxes(ada.actor, [boxes[0].pk], credential_id=included.pk, warmup=WARMUP)
    settle()
    (hosts, *_) = outreach_provider(included).campaigns()
    own = add_credential(
        ada.actor,
        port="outreach",
        provider="smartlead",
        label="Mine",
        values={"api_key": "sandbox-mpanel"},
    )
    wish = {"email_account_id": str(boxes[0].pk)}
    for answer in (
        api.get(campaigns, {"credential_id": str(included.pk)}),
        api.post(f"{campaigns}/{hosts.id}/email-accounts", wish),
        api.post(f"{campaigns}/{hosts.id}/email-accounts", {**wish, "credential_id": str(own.pk)}),
    ):
        assert (answer.status, answer.error) == (409, "CAMPAIGNS_NOT_INCLUDED")
    shown = ada.client.get(f"/setup/{boxes[0].domain_id}/outreach/")
    assert "Campaigns of an included account belong to the host." in shown.content.decode()
    assert "Show Smartlead" not in shown.content.decode()
    shown = ada.client.get(f"/setup/{boxes[0].domain_id}/outreach/smartlead/campaigns/")
    assert "account of your own" in shown.content.decode()
    assert hosts.name not in shown.content.decode()
    with pytest.raises(CampaignsNotIncluded):
        services.assign_campaign(ada.actor, [boxes[0].pk], hosts, provider="smartlead")
    assert campaign_senders(sandbox, hosts.name) == []
    assert api.get(campaigns).status == 200, "her own account's"


def test_a_stranger_sees_nothing(ada: Person, cy: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    connect(ada, boxes)
    api = Api(cy.token)
    path = f"/api/v1/email-accounts/{boxes[0].pk}"
    for answer in (
        api.post(f"{path}/smartlead", {}),
        api.delete(f"{path}/smartlead"),
        api.get(f"{path}/warmup-stats"),
        api.post(
            "/api/v1/smartlead/campaigns/1/email-accounts", {"email_account_id": str(boxes[0].pk)}
        ),
    ):
        assert (answer.status, answer.error) == (404, "ACCOUNT_NOT_FOUND")
    assert OutreachLink.objects.get().status == OutreachLink.CONNECTED


def test_campaigns_are_read_in_the_last_free_place(ada: Person, sandbox: RunningSandbox) -> None:
    with contextlib.ExitStack() as others:
        for number in range(LOOKUPS - 1):
            others.enter_context(outside(number))
        assert Api(ada.token).get("/api/v1/smartlead/campaigns").status == 200


def test_a_campaign_of_another_account_is_not_joined(ada: Person, sandbox: RunningSandbox) -> None:
    boxes = inboxes(ada, count=1)
    connect(ada, boxes)
    second = add_credential(
        ada.actor,
        port="outreach",
        provider="smartlead",
        label="A second account",
        values={"api_key": "sandbox-mpanel"},
    )
    (campaign, *_) = services.read_campaigns(
        ada.actor, provider="smartlead", credential_id=second.pk
    )
    with pytest.raises(CampaignElsewhere):
        services.assign_campaign(ada.actor, [boxes[0].pk], campaign, provider="smartlead")
    path = f"/api/v1/smartlead/campaigns/{campaign.id}/email-accounts"
    wanted = {"email_account_id": str(boxes[0].pk)}
    refused = Api(ada.token).post(path, {**wanted, "credential_id": str(second.pk)})
    assert (refused.status, refused.error) == (409, "CAMPAIGN_ELSEWHERE")
    # Without one, the account of the mailbox is read.
    assert Api(ada.token).post(path, wanted).status == 202
