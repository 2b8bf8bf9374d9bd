"""Vendors that are down, ask for patience, or act without answering."""

from collections import Counter
from collections.abc import Callable

import pytest
from django.utils import timezone

from dnszones.models import ChangePlan, Record
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import apply_plan, make_plan
from domains.models import Domain
from domains.services import connect_domain, disconnect_domain
from mailboxes.models import Mailbox
from mailboxes.services import delete_mailboxes, provision_mailboxes
from provisioning.models import Job
from provisioning.services import cancel_job, retry_job
from tests.cast import Person
from tests.crash.whole import (
    assert_gone,
    assert_inboxes_whole,
    assert_jobs_whole,
    assert_records_whole,
    assert_zone_whole,
    remote_zones,
)
from tests.sandboxes import RunningSandbox
from tests.stories import OWN_SERVER, connected, planned, provisioned, published, verified
from tests.work import ended, hurry, span, sure, work_off

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "example.test"

# Each calls the vendor at least once; in the order in which a domain lives.
STEPS: dict[str, Callable[[Person, RunningSandbox], Job]] = {}


def step(start: Callable[[Person, RunningSandbox], Job]) -> Callable[..., Job]:
    STEPS[start.__name__] = start
    return start


@step
def connecting(ada: Person, sandbox: RunningSandbox) -> Job:
    sandbox.set_auto_delegate(0)
    domain = connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
    return Job.objects.get(subject_id=domain.pk)


@step
def planning(ada: Person, sandbox: RunningSandbox) -> Job:
    domain = verified(ada, NAME, sandbox)
    plan = make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    return Job.objects.get(subject_id=plan.pk)


@step
def applying(ada: Person, sandbox: RunningSandbox) -> Job:
    domain = verified(ada, NAME, sandbox)
    return sure(apply_plan, ada.actor, planned(ada, domain).pk)


@step
def taking_back(ada: Person, sandbox: RunningSandbox) -> Job:
    published(ada, NAME, sandbox)
    return sure(revert_plan, ada.actor, ChangePlan.objects.get(status=ChangePlan.APPLIED).pk)


@step
def disconnecting(ada: Person, sandbox: RunningSandbox) -> Job:
    return sure(disconnect_domain, ada.actor, published(ada, NAME, sandbox).pk)


def assert_whole_after(name: str, sandbox: RunningSandbox) -> None:
    assert_jobs_whole()
    if name == "disconnecting":
        assert_gone(NAME, sandbox)
        return
    domain = Domain.objects.get()
    assert_zone_whole(domain, sandbox)
    if name == "applying":
        assert_records_whole(domain, sandbox)
    if name == "taking_back":
        assert sandbox.records(NAME) == []
        assert not Record.objects.exists()
    if name == "planning":
        assert ChangePlan.objects.get().status == ChangePlan.READY


@pytest.mark.parametrize("name", STEPS)
def test_a_vendor_that_is_down_for_a_while(ada: Person, sandbox: RunningSandbox, name: str) -> None:
    job = STEPS[name](ada, sandbox)
    before = None if name == "connecting" else sandbox.records(NAME)
    sandbox.fault("cloudflare", "status", status=503, times=None)
    work_off()
    for _ in range(3):
        job.refresh_from_db()
        assert (job.status, job.waiting_for) == ("waiting", "Cloudflare has a problem of its own.")
        assert job.run_at > timezone.now()  # it backs off
        hurry()
    sandbox.clear_faults()
    assert (sandbox.records(NAME) if remote_zones(sandbox, NAME) else None) == before
    assert ended(job).status == "succeeded"
    assert_whole_after(name, sandbox)


@pytest.mark.parametrize("kind", ["timeout_after_commit", "drop_after_commit"])
@pytest.mark.parametrize("name", [name for name in STEPS if name != "planning"])
def test_a_vendor_that_acts_without_an_answer(
    ada: Person, sandbox: RunningSandbox, name: str, kind: str
) -> None:
    job = STEPS[name](ada, sandbox)
    method = "DELETE" if name == "disconnecting" else "POST"
    sandbox.fault("cloudflare", kind, method=method)
    sandbox.forget_requests()
    work_off()
    assert sandbox.faults() == []  # it happened
    job.refresh_from_db()
    assert job.status == "waiting"
    assert ended(job).status == "succeeded"
    assert_whole_after(name, sandbox)
    # It looked, and did not act again. Connecting makes a zone, writes the proof into it, and may
    # have it scanned.
    acted = Counter[str]()
    for row in sandbox.control("GET", "requests")["counts"]:
        if (row["service"], row["method"]) == ("cloudflare", method):
            acted[row["path"]] += row["count"]
    assert set(acted.values()) == {1}, acted


@pytest.mark.parametrize("name", STEPS)
def test_a_vendor_that_asks_for_patience(ada: Person, sandbox: RunningSandbox, name: str) -> None:
    job = STEPS[name](ada, sandbox)
    sandbox.fault("cloudflare", "rate_limit", retry_after=40, times=1)
    with span() as run:
        work_off()
    job.refresh_from_db()
    assert job.waiting_for == "Cloudflare asks to send fewer requests."
    assert run.waits(job.run_at, least=40, most=55)
    assert ended(job).status == "succeeded"
    assert_whole_after(name, sandbox)


def test_a_token_that_is_refused_is_told_at_once_and_the_retry_goes_on(
    ada: Person, sandbox: RunningSandbox
) -> None:
    job = connecting(ada, sandbox)
    sandbox.fault("cloudflare", "status", status=403)
    job = ended(job)
    assert (job.status, job.error_code) == ("failed", "INVALID_CREDENTIALS")
    retry_job(ada.actor, job.pk)
    assert ended(job).status == "succeeded"
    assert_whole_after("connecting", sandbox)


# --- The mail server -------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_a_mail_server_that_is_down_for_a_while(
    ada: Person, sandbox: RunningSandbox, service: str
) -> None:
    domain = published(ada, NAME, sandbox)
    sandbox.fault(service, "refuse", times=None)
    batch = provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    job = Job.objects.get(subject_id=batch.pk)
    work_off()
    for _ in range(2):
        job.refresh_from_db()
        assert job.status == "waiting"
        assert job.waiting_for.startswith("3 of 3 inboxes could not be verified yet.")
        hurry()
    assert set(Mailbox.objects.values_list("status", flat=True)) == {Mailbox.PROVISIONING}
    sandbox.clear_faults()
    assert ended(job).status == "succeeded"
    assert_inboxes_whole(domain, 3)
    assert_jobs_whole()


def test_a_mail_server_that_refuses_one_login_fails_that_one_only(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, NAME, sandbox)
    sandbox.fault("smtp", "reject_auth", times=1)
    batch = provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    job = ended(Job.objects.get(subject_id=batch.pk))
    assert (job.status, job.error_code) == ("failed", "SOME_FAILED")
    assert batch.mailboxes.filter(status=Mailbox.ACTIVE).count() == 2
    assert batch.mailboxes.get(status=Mailbox.FAILED).error_code == "LOGIN_REFUSED"
    retry_job(ada.actor, job.pk)
    assert ended(job).status == "succeeded"
    assert_inboxes_whole(domain, 3)


def test_a_cancelled_provisioning_is_retried_from_where_it_stood(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, NAME, sandbox)
    batch = provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    job = Job.objects.get(subject_id=batch.pk)
    cancel_job(ada.actor, job.pk)
    assert ended(job).status == "cancelled"
    assert set(Mailbox.objects.values_list("error_code", flat=True)) == {"CANCELLED"}
    retry_job(ada.actor, job.pk)
    assert ended(job).status == "succeeded"
    assert_inboxes_whole(domain, 3)


def test_no_mailbox_is_forgotten_before_the_mail_server_refuses_it(
    ada: Person, sandbox: RunningSandbox
) -> None:
    provisioned(ada, NAME, sandbox, count=2)
    sandbox.fault("smtp", "refuse", times=None)
    job = delete_mailboxes(ada.actor, list(Mailbox.objects.values_list("pk", flat=True)))
    work_off()
    job.refresh_from_db()
    assert (job.status, job.waiting_for) == (
        "waiting",
        "The mail server does not answer, so nothing is certain.",
    )
    assert set(Mailbox.objects.values_list("status", flat=True)) == {Mailbox.DELETING}
    sandbox.clear_faults()
    assert ended(job).status == "succeeded"
    assert set(Mailbox.objects.values_list("status", flat=True)) == {Mailbox.DELETED}


# --- Plans that were overtaken ---------------------------------------------------------------


def test_a_plan_that_was_replaced_while_it_was_computed_is_left_alone(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    first = make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    second = make_plan(ada.actor, domain.pk, choices={**OWN_SERVER, "dmarc_policy": "reject"})
    work_off()
    for plan in (first, second):
        plan.refresh_from_db()
    assert (first.status, second.status) == (ChangePlan.SUPERSEDED, ChangePlan.READY)
    assert_jobs_whole()


def test_a_replaced_plan_is_not_written_by_a_retry_of_its_job(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    first = planned(ada, domain)
    job = sure(apply_plan, ada.actor, first.pk)
    sandbox.fault("cloudflare", "status", status=403)
    assert ended(job).error_code == "INVALID_CREDENTIALS"
    planned(ada, domain, dmarc_policy="reject")
    retry_job(ada.actor, job.pk)
    assert ended(job).error_code == "PLAN_REPLACED"
    assert sandbox.records(NAME) == []


def test_a_failed_plan_is_written_by_a_retry_of_its_job(
    ada: Person, sandbox: RunningSandbox
) -> None:
    job = applying(ada, sandbox)
    sandbox.fault("cloudflare", "status", status=403)
    assert ended(job).status == "failed"
    assert ChangePlan.objects.get().status == ChangePlan.FAILED
    retry_job(ada.actor, job.pk)
    assert ended(job).status == "succeeded"
    assert_whole_after("applying", sandbox)


def test_a_plan_that_could_not_be_made_is_made_when_its_job_is_retried(
    ada: Person, sandbox: RunningSandbox
) -> None:
    job = planning(ada, sandbox)
    sandbox.fault("cloudflare", "status", status=403)
    assert ended(job).status == "failed"
    plan = ChangePlan.objects.get(pk=job.subject_id)
    assert plan.status == ChangePlan.FAILED
    retry_job(ada.actor, job.pk)
    assert ended(job).status == "succeeded"
    plan.refresh_from_db()
    assert plan.status == ChangePlan.READY


def test_disconnecting_ends_the_waiting_for_nameservers(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, NAME)
    waiting = Job.objects.get(workflow="domains.connect")
    assert waiting.status == "waiting"
    job = sure(disconnect_domain, ada.actor, domain.pk)
    assert ended(job).status == "succeeded"
    assert ended(waiting).status == "cancelled"
    assert_gone(NAME, sandbox)
