"""The database goes away between a remote call's effect and the storing of its result."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from dnszones.models import ChangePlan
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import apply_plan
from domains.models import Domain
from domains.services import connect_domain, disconnect_domain
from mailboxes.services import provision_mailboxes
from provisioning.engine import advance
from provisioning.models import Job
from tests.cast import Person
from tests.crash.whole import (
    assert_gone,
    assert_inboxes_whole,
    assert_jobs_whole,
    assert_records_whole,
    assert_zone_whole,
    remote_zones,
)
from tests.processes import eventually
from tests.sandboxes import RunningSandbox
from tests.stories import planned, published, verified
from tests.work import ended, sure

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "example.test"
HELD = 0.7


class Runner(threading.Thread):
    """A runner with a database connection of its own, which can be taken away from it."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.backend = 0
        self.failure: Exception | None = None
        self._connected = threading.Event()

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                if connection.vendor == "postgresql":
                    cursor.execute("SELECT pg_backend_pid()")
                    (self.backend,) = cursor.fetchone()
                else:
                    cursor.execute("PRAGMA busy_timeout = 50")  # milliseconds
            self._connected.set()
            advance(self.job.pk)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            self.failure = error
        finally:
            connection.close()

    @contextmanager
    def losing_its_database(self) -> Iterator[None]:
        """While the block runs, this runner can store nothing."""
        assert self._connected.wait(120)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [self.backend])
            yield
            return
        path = connection.settings_dict["NAME"]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


def loses_the_database(job: Job, when: Callable[[], object]) -> None:
    """Run the job, and take its database away as soon as something is so."""
    connection.close()  # nothing of ours is in the way
    runner = Runner(job)
    runner.start()
    eventually(when)
    with runner.losing_its_database():
        runner.join(10)
        assert not runner.is_alive()
    assert runner.failure is None  # the message was taken, and is done with
    job.refresh_from_db()
    assert job.status == "running"  # nothing about it could be stored
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    advance(job.pk)
    assert ended(job).status == "succeeded"
    assert_jobs_whole()


def test_while_the_zone_is_made(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.set_auto_delegate(0)
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", delay=HELD)
    domain = connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
    loses_the_database(Job.objects.get(), lambda: remote_zones(sandbox, NAME))
    assert_zone_whole(domain, sandbox)


def test_while_the_records_are_written(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    job = sure(apply_plan, ada.actor, planned(ada, domain).pk)
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", delay=HELD)
    loses_the_database(job, lambda: sandbox.records(NAME))
    assert_records_whole(domain, sandbox)


def test_while_logins_are_proved(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    batch = provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    sandbox.fault("imap", "delay", delay=HELD, times=3)
    loses_the_database(Job.objects.get(subject_id=batch.pk), lambda: not sandbox.faults())
    assert_inboxes_whole(domain, 3)


def test_while_the_changes_are_taken_back(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    job = sure(revert_plan, ada.actor, ChangePlan.objects.get(status=ChangePlan.APPLIED).pk)
    sandbox.fault("cloudflare", "stall_after_commit", method="POST", delay=HELD)
    loses_the_database(job, lambda: not sandbox.records(NAME))
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED


def test_while_the_zone_is_removed(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, NAME, sandbox)
    job = sure(disconnect_domain, ada.actor, domain.pk)
    sandbox.fault("cloudflare", "stall_after_commit", method="DELETE", delay=HELD)
    loses_the_database(job, lambda: not remote_zones(sandbox, NAME))
    assert_gone(NAME, sandbox)
