"""A runner dies (SIGKILL) before its first statement, then before its second, and so on.

Steps that only change our own database cannot be held up from outside, so here the runner is a
child process that kills itself at a given SQL statement. Each next runner finds what the last one
left, until one comes through: every place between two statements is met.
"""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from dnszones.discovery import services as discovery
from dnszones.dkim.rotation import rotate_dkim
from dnszones.models import ChangePlan, DkimKey, Record, ZoneDiscovery
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import apply_plan, make_plan
from domains.models import Domain
from domains.services import connect_domain, disconnect_domain
from mailboxes.models import Mailbox
from mailboxes.services import delete_mailboxes, provision_mailboxes
from mpanel.core.periodic import all_sweeps
from provisioning.engine import advance
from provisioning.models import Job
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
from tests.elsewhere import zone_file
from tests.sandboxes import RunningSandbox
from tests.stories import OWN_SERVER, connected, planned, provisioned, published, verified
from tests.work import sure, until

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "example.test"
MOST = 80  # statements that one runner needs


def dies(work: Callable[[], object], *, before: int) -> bool:
    """Do this in a process that is killed before its statement of that number; whether it was."""
    connection.close()  # a connection does not survive a fork
    child = os.fork()
    if child == 0:
        _work_until_death(work, before)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the runner failed"
    return False


def _work_until_death(work: Callable[[], object], before: int) -> None:
    """What the child does; it never returns, and a child that hangs ends by alarm, as a failure."""
    signal.alarm(60)
    left = before

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(*arguments)

    failed = 1
    try:
        with connection.execute_wrapper(count):
            work()
        failed = 0
    finally:
        os._exit(failed)


def dies_everywhere(job: Job, *, meanwhile: Callable[[], object] = lambda: None) -> int:
    """Runners die one statement later each time, until the job is over; how many died."""
    OrmQ.objects.all().delete()
    for statement in range(1, MOST):
        meanwhile()
        if not dies(lambda: advance(job.pk), before=statement):
            job.refresh_from_db()
            if not job.is_active:
                return statement - 1
        past = timezone.now() - timedelta(seconds=1)
        Job.objects.filter(pk=job.pk).update(run_at=past)
        Job.objects.filter(pk=job.pk, status="running").update(lease_until=past)
    raise AssertionError("the job does not end")


def latest(workflow: str) -> Job:
    found = Job.objects.filter(workflow=workflow).first()
    assert found is not None
    return found


def test_connecting_and_verifying(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.set_auto_delegate(0)
    domain = connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
    assert dies_everywhere(latest("domains.connect")) > 10
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    assert_zone_whole(domain, sandbox)
    assert_jobs_whole()
    assert sandbox.request_count("cloudflare", "POST", "/zones", 200) == 1


def test_moving_in_from_another_dns_host(ada: Person, sandbox: RunningSandbox) -> None:
    """Looking at what the domain publishes, taking that over, and comparing."""
    sandbox.host_elsewhere(NAME, zone_file(NAME))
    domain = connected(ada, NAME)
    discovery.look_again(ada.actor, domain.pk)
    assert dies_everywhere(latest("dnszones.discover")) > 5
    found = ZoneDiscovery.objects.get()
    assert found.status == ZoneDiscovery.FOUND
    discovery.take_over(ada.actor, domain.pk)
    assert dies_everywhere(latest("dnszones.takeover")) > 10
    assert dies_everywhere(latest("dnszones.compare")) > 5
    assert ZoneDiscovery.objects.get().status == ZoneDiscovery.COMPLETE
    there = remote_records(sandbox, NAME)
    assert set(there.values()) == {1}
    assert len(there) == len(found.found)
    sandbox.set_nameservers(NAME, domain.nameservers)
    until(lambda: not Job.objects.active().exists())
    assert_jobs_whole()


def test_planning(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    plan = make_plan(ada.actor, domain.pk, choices=OWN_SERVER)
    assert dies_everywhere(latest("dnszones.plan")) > 10
    plan.refresh_from_db()
    assert plan.status == ChangePlan.READY
    assert domain.zone.dkim_keys.count() == 1
    assert_jobs_whole()


def test_applying(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    job = sure(apply_plan, ada.actor, planned(ada, domain).pk)
    assert dies_everywhere(job) > 10
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    assert_records_whole(domain, sandbox)
    assert_jobs_whole()


def test_sweeping(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    job = sure(apply_plan, ada.actor, planned(ada, domain).pk)
    advance(job.pk)
    sweep = all_sweeps()["dnszones.propagation"].work
    for statement in range(1, MOST):
        Record.objects.update(next_check_at=timezone.now())
        if not dies(sweep, before=statement):
            break
    assert statement > 10
    domain.refresh_from_db()
    assert domain.status == Domain.READY
    assert_records_whole(domain, sandbox)
    assert_told_once("dns.propagated")


def test_hashing_and_proving(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    provision_mailboxes(ada.actor, domain.pk, count=4, convention="firstname")
    assert dies_everywhere(latest("mailboxes.provision")) > 10
    assert_inboxes_whole(domain, 4)
    assert_jobs_whole()


def test_deleting(ada: Person, sandbox: RunningSandbox) -> None:
    provisioned(ada, NAME, sandbox, count=3)
    job = delete_mailboxes(ada.actor, list(Mailbox.objects.values_list("pk", flat=True)))
    assert dies_everywhere(job) > 5
    assert {row.status for row in Mailbox.objects.all()} == {Mailbox.DELETED}
    assert not Mailbox.objects.exclude(sealed_password="", password_hash="").exists()
    assert_jobs_whole()


def test_taking_back(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    job = sure(revert_plan, ada.actor, ChangePlan.objects.get(status=ChangePlan.APPLIED).pk)
    assert dies_everywhere(job) > 10
    assert sandbox.records(NAME) == []
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    assert not Record.objects.exists()
    assert_jobs_whole()


def test_disconnecting(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    job = sure(disconnect_domain, ada.actor, domain.pk)
    assert dies_everywhere(job) > 5
    assert_gone(NAME, sandbox)
    assert_jobs_whole()


def test_rotating(ada: Person, sandbox: RunningSandbox, settings: LazySettings) -> None:
    settings.DKIM_RETIRE_AFTER = 0
    domain = published(ada, NAME, sandbox)

    def look() -> None:
        Record.objects.update(next_check_at=timezone.now())
        all_sweeps()["dnszones.propagation"].work()

    assert dies_everywhere(rotate_dkim(ada.actor, domain.pk), meanwhile=look) > 15
    keys = [row for row in sandbox.records(NAME) if "._domainkey." in row["name"]]
    old, new = domain.zone.dkim_keys.order_by("pk")
    assert (old.status, old.sealed, new.status) == (DkimKey.RETIRED, "", DkimKey.SIGNING)
    assert [row["name"] for row in keys] == [f"{new.selector}._domainkey.{NAME}"]
    assert [row.name for row in Record.objects.filter(purpose="dkim")] == [keys[0]["name"]]
    assert_told_once("dns.dkim_rotated", "dns.dkim_retired")
    assert_jobs_whole()
