"""Everything twice at once: clicks, tabs, workers, clocks, messages; and a race for the last."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from django.http import HttpResponse

from billing.models import Account
from dnszones.models import ChangePlan
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import apply_plan, make_plan
from domains.models import Domain
from domains.services import connect_domain, disconnect_domain
from mailboxes.models import Batch, Mailbox
from mailboxes.services import delete_mailboxes, provision_mailboxes
from mpanel.core.errors import LimitExceeded, MPanelError
from provisioning import tasks
from provisioning.models import Job
from provisioning.services import notify
from tests.cast import Person
from tests.crash.whole import (
    assert_gone,
    assert_inboxes_whole,
    assert_jobs_whole,
    assert_records_whole,
    assert_told_once,
    assert_zone_whole,
    remote_records,
)
from tests.processes import Clock, Worker, at_once, eventually
from tests.sandboxes import RunningSandbox
from tests.stories import OWN_SERVER, connected, planned, provisioned, published, verified
from tests.work import ended, sure, until, work_off

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "example.test"
TABS = 4


def clicks(person: Person, url: str, **fields: object) -> list[HttpResponse]:
    """The same form from so many tabs of one browser, at the same moment."""
    results = at_once(*[partial(person.client.post, url, fields)] * TABS)
    answers = [result for result in results if not isinstance(result, Exception)]
    assert len(answers) == TABS, results
    return answers  # type: ignore[return-value]


def statuses(answers: list[HttpResponse]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


# --- Clicks and tabs -------------------------------------------------------------------------


def test_connecting_from_several_tabs(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.set_auto_delegate(0)
    answers = clicks(
        ada, "/setup/", domain=NAME, provider="other", credential=ada.credential.pk, notes=""
    )
    assert statuses(answers)[302] == 1
    assert set(statuses(answers)) <= {302, 422}  # the others are told that it is connected
    until(lambda: not Job.objects.active().exists())
    assert_zone_whole(Domain.objects.get(), sandbox)
    assert_jobs_whole()


def typed(person: Person, path: str) -> dict[str, str]:
    """What a person fills in who was told what goes dark."""
    digest = person.client.get(path).context["typed"].digest
    return {"typed_name": NAME, "confirmation": digest}


def test_planning_from_several_tabs(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    answers = clicks(
        ada,
        f"/setup/{domain.pk}/dns/",
        platform="mailserver",
        dmarc_policy="none",
        tracking_provider="none",
    )
    assert statuses(answers) == {302: TABS}
    until(lambda: not Job.objects.active().exists())
    plans = Counter(ChangePlan.objects.values_list("status", flat=True))
    assert plans == {ChangePlan.READY: 1, ChangePlan.SUPERSEDED: TABS - 1}  # the last one counts
    assert_jobs_whole()


def test_applying_from_several_tabs(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    plan = planned(ada, domain)
    answers = clicks(ada, f"/setup/{domain.pk}/dns/{plan.pk}/apply/")
    # One moves the plan; who comes in the same instant may be told that it was moved already.
    assert set(statuses(answers)) <= {302, 409}
    assert statuses(answers)[302] >= 1
    until(lambda: not Job.objects.active().exists())
    assert Job.objects.filter(workflow="dnszones.apply").count() == 1
    assert_records_whole(domain, sandbox)


@pytest.mark.parametrize("key", ["one form in two tabs", ""])
def test_provisioning_from_several_tabs(ada: Person, sandbox: RunningSandbox, key: str) -> None:
    """The same key is the same wish; without one, each click is a wish of its own."""
    domain = published(ada, NAME, sandbox)
    answers = clicks(
        ada,
        f"/setup/{domain.pk}/inboxes/",
        inbox_count=3,
        naming_convention="firstname",
        idempotency_key=key,
    )
    assert statuses(answers) == {302: TABS}
    until(lambda: not Job.objects.active().exists())
    if key:
        assert_inboxes_whole(domain, 3)
        assert Job.objects.filter(workflow="mailboxes.provision").count() == 1
    else:
        addresses = set(Mailbox.objects.filter(status="active").values_list("address", flat=True))
        assert len(addresses) == 3 * TABS
        assert Batch.objects.count() == TABS
    assert_jobs_whole()


def test_provisioning_with_different_keys(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    results = at_once(
        *(
            partial(
                provision_mailboxes,
                ada.actor,
                domain.pk,
                count=2,
                convention="firstname",
                idempotency_key=key,
            )
            for key in ("a", "b", "a", "b")
        )
    )
    first, second, third, fourth = (getattr(found, "pk", found) for found in results)
    assert (first, second) == (third, fourth)
    assert first != second
    until(lambda: not Job.objects.active().exists())
    assert Mailbox.objects.filter(status="active").values("address").distinct().count() == 4


def test_taking_back_from_several_tabs(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    plan = ChangePlan.objects.get(status=ChangePlan.APPLIED)
    path = f"/domains/plans/{plan.pk}/revert/"
    answers = clicks(ada, path, **typed(ada, path))
    # The zone is read by a few at once; who comes beside them is told to come back.
    assert set(statuses(answers)) <= {302, 409, 429}
    assert statuses(answers)[302] >= 1
    until(lambda: not Job.objects.active().exists())
    assert remote_records(sandbox, NAME) == Counter()
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    assert ChangePlan.objects.filter(reverts=plan).count() == 1
    assert_jobs_whole()


def test_deleting_from_several_tabs(ada: Person, sandbox: RunningSandbox) -> None:
    provisioned(ada, NAME, sandbox, count=1)
    mailbox = Mailbox.objects.get()
    answers = clicks(ada, f"/mailboxes/{mailbox.pk}/delete/")
    assert set(statuses(answers)) <= {302, 409}
    assert statuses(answers)[302] >= 1
    until(lambda: not Job.objects.active().exists())
    mailbox.refresh_from_db()
    assert (mailbox.status, mailbox.sealed_password, mailbox.password_hash) == ("deleted", "", "")
    assert_told_once("mailbox.deleting", "mailbox.deleted")
    assert_jobs_whole()


def test_disconnecting_from_several_tabs(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    path = f"/domains/{domain.pk}/disconnect/"
    answers = clicks(ada, path, **typed(ada, path))
    assert set(statuses(answers)) <= {302, 409, 429}
    assert statuses(answers)[302] >= 1
    until(lambda: not Job.objects.active().exists())
    assert_gone(NAME, sandbox)
    assert Job.objects.filter(workflow="domains.disconnect").count() == 1


def test_twenty_at_once_for_the_last_free_slots(ada: Person, sandbox: RunningSandbox) -> None:
    """The trial allows 50 inboxes; 47 are taken."""
    domain = published(ada, NAME, sandbox)
    assert Account.objects.get().plan == "trial"
    provision_mailboxes(ada.actor, domain.pk, count=47, convention="firstname")
    results = at_once(
        *[
            partial(
                provision_mailboxes, ada.actor, domain.pk, count=1, convention="firstname.lastname"
            )
        ]
        * 20
    )
    assert Counter(type(found) for found in results) == {Batch: 3, LimitExceeded: 17}
    assert Mailbox.objects.present().count() == 50
    assert Mailbox.objects.values("address").distinct().count() == 50


# --- Workers, clocks, messages ---------------------------------------------------------------


def test_two_workers_and_two_clocks(ada: Person, sandbox: RunningSandbox) -> None:
    """Every message is there several times, and two of everything takes them."""
    sandbox.set_auto_delegate(0)
    times = {"JOB_LEASE": 6, "VENDOR_TIMEOUT": 3}

    def rung_often(job: Job) -> Job:
        for _ in range(6):
            notify(job.pk)
        return job

    with Worker(**times), Worker(**times), Clock(**times), Clock(**times):
        domain = connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
        rung_often(Job.objects.get())
        eventually(Domain.objects.filter(status=Domain.VERIFIED).exists)
        plan = make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
        rung_often(Job.objects.get(workflow="dnszones.plan"))
        eventually(ChangePlan.objects.filter(pk=plan.pk, status=ChangePlan.READY).exists)
        rung_often(sure(apply_plan, ada.actor, plan.pk))
        eventually(Domain.objects.filter(status=Domain.READY).exists)
        provision_mailboxes(ada.actor, domain.pk, count=6, convention="firstname")
        rung_often(Job.objects.get(workflow="mailboxes.provision"))
        eventually(Domain.objects.filter(status=Domain.PROVISIONED).exists)
        eventually(lambda: not Job.objects.active().exists())
    assert_jobs_whole()
    assert_zone_whole(domain, sandbox)
    assert_records_whole(domain, sandbox)
    assert_inboxes_whole(domain, 6)
    assert sandbox.request_count("cloudflare", "POST", "/zones", 200) == 1


WORK: dict[str, Callable[[Person, RunningSandbox], Job]] = {
    "connect": lambda ada, sandbox: Job.objects.get(
        subject_id=connect_domain(ada.actor, NAME, credential_id=ada.credential.pk).pk
    ),
    "apply": lambda ada, sandbox: sure(
        apply_plan, ada.actor, planned(ada, verified(ada, NAME, sandbox)).pk
    ),
    "provision": lambda ada, sandbox: Job.objects.get(
        subject_id=provision_mailboxes(
            ada.actor, published(ada, NAME, sandbox).pk, count=3, convention="firstname"
        ).pk
    ),
    "revert": lambda ada, sandbox: sure(
        revert_plan,
        ada.actor,
        ChangePlan.objects.get(
            zone__domain=published(ada, NAME, sandbox), status=ChangePlan.APPLIED
        ).pk,
    ),
    "delete": lambda ada, sandbox: delete_mailboxes(
        ada.actor, [row.pk for row in provisioned(ada, NAME, sandbox, count=2)[1].mailboxes.all()]
    ),
    "disconnect": lambda ada, sandbox: sure(
        disconnect_domain, ada.actor, published(ada, NAME, sandbox).pk
    ),
}


WRITES = (
    ("POST", "/zones"),
    ("DELETE", "/zones/{id}"),
    ("POST", "/zones/{id}/dns_records/batch"),
)


@pytest.mark.parametrize("name", WORK)
def test_a_message_that_comes_again_and_again(
    ada: Person, sandbox: RunningSandbox, name: str
) -> None:
    sandbox.set_auto_delegate(0)
    job = WORK[name](ada, sandbox)
    sandbox.forget_requests()
    assert at_once(*[partial(tasks.advance, str(job.pk))] * 5) == [None] * 5
    job = ended(job)
    assert job.status == "succeeded"
    # A look at what the domain publishes may ask for a scan, which changes nothing.
    writes = sum(sandbox.request_count("cloudflare", *write, 200) for write in WRITES)
    assert writes == {"connect": 2, "apply": 1, "revert": 1, "disconnect": 1}.get(name, 0)
    before = job.updated_at
    for _ in range(3):
        tasks.advance(str(job.pk))
    job.refresh_from_db()
    assert job.updated_at == before
    assert_jobs_whole()


def test_connecting_again_after_the_end_is_refused_or_new(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, NAME)
    with pytest.raises(MPanelError, match="already"):
        connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
    sure(disconnect_domain, ada.actor, domain.pk)
    work_off()
    again = connected(ada, NAME)
    assert again.status == Domain.PENDING_NAMESERVERS
    assert len(again.nameservers) == 2
