"""A real worker is killed (SIGKILL) at every step, after the remote call took effect.

The vendor's answer is held back so that the kill comes after the effect and before anything about
it is stored. The watchdog starts the cluster again, the clock notices the dead runner, and the
job goes on by itself: nobody in these tests touches it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from dnszones.models import ChangePlan, PropagationSession
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import apply_plan, make_plan
from dnszones.propagation.services import check_records_now
from domains.models import Domain
from domains.services import connect_domain, disconnect_domain
from mailboxes.models import Mailbox
from mailboxes.services import delete_mailboxes, provision_mailboxes
from outreach.models import OutreachLink
from outreach.services import connect_mailbox
from provisioning.models import Job, Lease
from tests.cast import Person
from tests.crash.whole import (
    assert_gone,
    assert_inboxes_whole,
    assert_jobs_whole,
    assert_records_whole,
    assert_told_once,
    assert_zone_whole,
    remote_zones,
)
from tests.mailboxes.test_services import ready_domain
from tests.processes import Clock, Worker, eventually
from tests.sandboxes import REGISTRY, RESOLVERS, RunningSandbox
from tests.stories import OWN_SERVER
from tests.work import sure

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "example.test"
# Answers are held back for longer than it takes to kill, and for less than a vendor may take.
HELD = 1.2
TIMES = {
    "JOB_LEASE": 3,
    "VENDOR_TIMEOUT": 1.5,
    "WORKER_STALE_AFTER": 60,
    "MAILBOX_BCRYPT_COST": 11,
}


@pytest.fixture(scope="module")
def worker(sandbox_process: RunningSandbox) -> Iterator[Worker]:
    """One worker and one clock for all tests here."""
    with Worker(**TIMES) as worker, Clock(**TIMES):
        yield worker


@pytest.fixture(autouse=True)
def all_at_rest(worker: Worker) -> Iterator[None]:
    """Nothing is under way when PostgreSQL empties the tables, or both would wait for each other.

    The clock's lease is taken from it, so that it starts nothing; it gets it back with the rows.
    """
    yield
    if connection.vendor != "postgresql":
        return
    Lease.objects.filter(name="clock").update(
        holder=uuid4(), until=timezone.now() + timedelta(minutes=1)
    )
    quiet_since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal quiet_since
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            if cursor.fetchone() != (0,):
                quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > 0.5

    eventually(is_quiet)


def kill(worker: Worker, job: Job, when: Callable[[], object]) -> None:
    """Kill all that works as soon as something is so; the job's result is not stored then."""
    eventually(when)
    worker.kill_cluster()
    job.refresh_from_db()
    assert (job.status, job.finished_at) == ("running", None)


def ends(job: Job) -> None:
    """The job comes to a good end by itself."""
    eventually(lambda: not Job.objects.active().filter(pk=job.pk).exists())
    assert_jobs_whole()


def step_runs(job: Job, name: str) -> Callable[[], bool]:
    running = Job.objects.filter(
        pk=job.pk, status="running", steps__name=name, steps__status="running"
    )
    return running.exists


def test_handing_a_mailbox_to_an_outreach_tool(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    """The tool takes an address as often as it is told; what it has is found first."""
    domain = ready_domain(ada, NAME)
    batch = provision_mailboxes(ada.actor, domain.pk, count=1, convention="firstname")
    eventually(lambda: not batch.mailboxes.unverified().exists())
    sandbox.fault(
        "smartlead",
        "stall_after_commit",
        method="POST",
        path="/email-accounts/save",
        delay=HELD,
    )
    connect_mailbox(ada.actor, batch.mailboxes.get().pk, provider="smartlead")
    job = latest("outreach.connect")
    kill(worker, job, lambda: sandbox.control("GET", "outreach?service=smartlead")["senders"])
    ends(job)
    assert OutreachLink.objects.get().status == OutreachLink.CONNECTED
    assert len(sandbox.control("GET", "outreach?service=smartlead")["senders"]) == 1


def latest(workflow: str) -> Job:
    found = Job.objects.filter(workflow=workflow).first()
    assert found is not None
    return found


# --- The story, worked on by the real worker -------------------------------------------------


def connected(ada: Person) -> Domain:
    return connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)


def reaches(domain: Domain, status: str) -> None:
    eventually(Domain.objects.filter(pk=domain.pk, status=status).exists)
    domain.refresh_from_db()


def verified(ada: Person, sandbox: RunningSandbox) -> Domain:
    domain = connected(ada)
    reaches(domain, Domain.PENDING_NAMESERVERS)
    sandbox.set_nameservers(domain.name, domain.nameservers)
    reaches(domain, Domain.VERIFIED)
    return domain


def planned(ada: Person, domain: Domain) -> ChangePlan:
    plan = make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    eventually(ChangePlan.objects.filter(pk=plan.pk, status=ChangePlan.READY).exists)
    return plan


def published(ada: Person, sandbox: RunningSandbox) -> Domain:
    domain = verified(ada, sandbox)
    sure(apply_plan, ada.actor, planned(ada, domain).pk)
    reaches(domain, Domain.DNS_CONFIGURING)
    check_records_now(ada.actor, domain.pk)  # rather than at the sweep's next time
    reaches(domain, Domain.READY)
    return domain


def provisioned(ada: Person, sandbox: RunningSandbox, count: int = 3) -> Domain:
    domain = published(ada, sandbox)
    provision_mailboxes(ada.actor, domain.pk, count=count, convention="firstname")
    reaches(domain, Domain.PROVISIONED)
    return domain


# --- Step by step ----------------------------------------------------------------------------


def test_while_the_zone_is_made(ada: Person, sandbox: RunningSandbox, worker: Worker) -> None:
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", path="/zones$", delay=HELD)
    domain = connected(ada)
    kill(worker, latest("domains.connect"), lambda: remote_zones(sandbox, NAME))
    assert not domain.nameservers
    reaches(domain, Domain.PENDING_NAMESERVERS)
    sandbox.set_nameservers(domain.name)
    reaches(domain, Domain.VERIFIED)
    ends(latest("domains.connect"))
    assert_zone_whole(domain, sandbox)


def test_while_it_looks_at_the_nameservers(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    sandbox.set_server(REGISTRY, "slow", delay=0.4)
    domain = connected(ada)
    job = latest("domains.connect")
    kill(worker, job, step_runs(job, "nameservers_point_here"))
    sandbox.set_server(REGISTRY, "up")
    sandbox.set_nameservers(domain.name)
    reaches(domain, Domain.VERIFIED)
    ends(job)
    assert_zone_whole(domain, sandbox)


def test_while_the_zone_is_read_for_a_plan(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    domain = verified(ada, sandbox)
    sandbox.fault("cloudflare", "delay", method="GET", path="/zones/.*/dns_records", delay=HELD)
    plan = make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    kill(worker, latest("dnszones.plan"), lambda: not sandbox.faults())
    ends(latest("dnszones.plan"))
    plan.refresh_from_db()
    assert plan.status == ChangePlan.READY
    assert plan.plan
    assert sandbox.records(NAME) == []  # a plan writes nothing


def test_while_the_records_are_written(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    domain = verified(ada, sandbox)
    plan = planned(ada, domain)
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", delay=HELD)
    sure(apply_plan, ada.actor, plan.pk)
    kill(worker, latest("dnszones.apply"), lambda: sandbox.records(NAME))
    ends(latest("dnszones.apply"))
    reaches(domain, Domain.READY)
    assert_zone_whole(domain, sandbox)
    assert_records_whole(domain, sandbox)


def test_while_a_sweep_asks_the_resolvers(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    domain = verified(ada, sandbox)
    plan = planned(ada, domain)
    for address in RESOLVERS:
        sandbox.set_server(address, "slow", delay=0.4)
    sure(apply_plan, ada.actor, plan.pk)
    lease = Lease.objects.filter(name="sweep:dnszones.propagation")

    def sweeps() -> bool:
        """For longer than a sweep takes that has nothing to do."""
        held = lease.filter(until__gt=timezone.now()).first()
        time.sleep(0.1)
        return held is not None and lease.filter(until=held.until).exists()

    eventually(PropagationSession.objects.filter(status="polling").exists)
    eventually(sweeps)
    worker.kill_cluster()
    assert lease.get().until > timezone.now()  # the dead runner's
    for address in RESOLVERS:
        sandbox.set_server(address, "up")
    reaches(domain, Domain.READY)
    assert_records_whole(domain, sandbox)
    assert PropagationSession.objects.get().status == PropagationSession.COMPLETED
    assert_told_once("dns.propagated")


def test_while_passwords_are_hashed(ada: Person, sandbox: RunningSandbox, worker: Worker) -> None:
    domain = published(ada, sandbox)
    provision_mailboxes(ada.actor, domain.pk, count=12, convention="firstname")
    job = latest("mailboxes.provision")
    kill(worker, job, job.steps.filter(name="passwords_are_hashed", done__gte=1).exists)
    assert Mailbox.objects.filter(password_hash="").exists()
    ends(job)
    assert_inboxes_whole(domain, 12)


@pytest.mark.parametrize("service", ["smtp", "imap"])
def test_while_logins_are_proved(
    ada: Person, sandbox: RunningSandbox, worker: Worker, service: str
) -> None:
    domain = published(ada, sandbox)
    sandbox.fault(service, "delay", delay=HELD, times=3)
    provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    job = latest("mailboxes.provision")
    kill(worker, job, lambda: not sandbox.faults())
    assert not Mailbox.objects.exclude(status=Mailbox.PROVISIONING).exists()
    ends(job)
    assert_inboxes_whole(domain, 3)


def test_while_mailboxes_are_deleted(ada: Person, sandbox: RunningSandbox, worker: Worker) -> None:
    domain = provisioned(ada, sandbox)
    first, second = Mailbox.objects.order_by("pk")[:2]
    sandbox.fault("smtp", "delay", delay=HELD, times=2)
    job = delete_mailboxes(ada.actor, [first.pk, second.pk])
    kill(worker, job, lambda: not sandbox.faults())
    assert Mailbox.objects.filter(status=Mailbox.DELETING).count() == 2
    ends(job)
    gone = Mailbox.objects.filter(status=Mailbox.DELETED)
    assert {row.pk for row in gone} == {first.pk, second.pk}
    assert not any(row.sealed_password or row.password_hash for row in gone)
    assert Mailbox.objects.get(status=Mailbox.ACTIVE).domain_id == domain.pk


def test_while_the_changes_are_taken_back(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    domain = published(ada, sandbox)
    sandbox.change_record(NAME, "add", type="TXT", name="@", content="not ours")
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", delay=HELD)
    job = sure(revert_plan, ada.actor, ChangePlan.objects.get(status=ChangePlan.APPLIED).pk)
    kill(worker, job, lambda: len(sandbox.records(NAME)) == 1)
    ends(job)
    assert [row["content"] for row in sandbox.records(NAME)] == ['"not ours"']
    reaches(domain, Domain.VERIFIED)
    assert not domain.zone.records.exists()
    assert ChangePlan.objects.filter(status=ChangePlan.APPLIED).count() == 2
    assert_told_once("dns.plan_reverted")


def test_while_the_zone_is_removed(ada: Person, sandbox: RunningSandbox, worker: Worker) -> None:
    domain = published(ada, sandbox)
    sandbox.fault("cloudflare", "stall_after_commit", method="DELETE", delay=HELD)
    job = sure(disconnect_domain, ada.actor, domain.pk)
    kill(worker, job, lambda: not remote_zones(sandbox, NAME))
    assert Domain.objects.get().status == Domain.DELETING
    ends(job)
    assert_gone(NAME, sandbox)


# --- And at any other moment -----------------------------------------------------------------


def test_at_random_moments(ada: Person, sandbox: RunningSandbox, worker: Worker) -> None:
    """From the domain to its inboxes, while the cluster dies again and again."""
    dice = random.Random(20)  # noqa: S311  (repeatable on purpose)
    over = threading.Event()
    deaths: list[float] = []

    def murderer() -> None:
        pause = dice.uniform(0.1, 0.4)
        while len(deaths) < 4 and not over.wait(pause):
            worker.kill_cluster()
            deaths.append(time.monotonic())
            pause = dice.uniform(2.2, 3.4)  # it takes two seconds to be back

    thread = threading.Thread(target=murderer)
    thread.start()
    try:
        domain = provisioned(ada, sandbox, count=5)
    finally:
        over.set()
        thread.join()
    assert len(deaths) > 1
    eventually(lambda: not Job.objects.active().exists())
    assert_jobs_whole()
    assert_zone_whole(domain, sandbox)
    assert_records_whole(domain, sandbox)
    assert_inboxes_whole(domain, 5)


def test_when_everything_dies_and_is_started_again(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    """Watchdog, cluster and clock at once, as when the machine loses its power."""
    worker.kill()
    try:
        sandbox.fault("cloudflare", "stall_after_commit", method="POST", path="/zones$", delay=HELD)
        domain = connected(ada)
        with Worker(**TIMES) as doomed, Clock(**TIMES) as clock:
            eventually(lambda: remote_zones(sandbox, NAME))
            doomed.kill()
            clock.kill()
        job = latest("domains.connect")
        assert job.status == "running"
    finally:
        worker.start()
    sandbox.set_nameservers(domain.name, remote_zones(sandbox, NAME)[0]["name_servers"])
    reaches(domain, Domain.VERIFIED)
    ends(job)
    assert_zone_whole(domain, sandbox)


@pytest.mark.postgresql
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no server to lose")
def test_when_the_database_server_ends_every_connection(
    ada: Person, sandbox: RunningSandbox, worker: Worker
) -> None:
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", path="/zones$", delay=HELD)
    domain = connected(ada)
    eventually(lambda: remote_zones(sandbox, NAME))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name <> 'sandbox'"
        )
    reaches(domain, Domain.PENDING_NAMESERVERS)
    sandbox.set_nameservers(domain.name)
    reaches(domain, Domain.VERIFIED)
    ends(latest("domains.connect"))
    assert_zone_whole(domain, sandbox)
