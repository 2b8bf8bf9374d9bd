"""`manage.py worker` and `manage.py tick` as real processes: hangs, deaths, orderly ends."""

import os
import signal
from typing import Any, cast

import pytest
from django.conf import LazySettings
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from mpanel.core import queues
from mpanel.core.periodic import all_sweeps
from provisioning.models import Heartbeat, Lease
from provisioning.services import notify
from tenants.models import OneTimeCode
from tenants.services import ask_for_code
from tests.cast import Person
from tests.processes import Clock, Worker, descendants, eventually, is_alive, is_idle
from tests.provisioning.workshop import fresh, opened
from tests.sandboxes import RunningSandbox

pytestmark = pytest.mark.django_db(transaction=True)


def hasty_worker() -> Worker:
    """Of the jobs' queue, with a watchdog that loses its patience soon."""
    return Worker(queues.JOBS, WORKER_STALE_AFTER=4, LOG_LEVEL="WARNING")


def beats() -> int:
    return Heartbeat.objects.exclude(name="clock").count()


def test_a_hung_cluster_is_killed_and_started_again(ada: Person) -> None:
    """django-q2 hangs for good when the idle process that holds the queue's lock is killed."""
    with opened(["floor"]) as shop, hasty_worker() as worker:
        eventually(lambda: beats() == 1)
        (cluster, sentinel, *_) = worker.cluster
        # The first two are the workers, of which one holds the lock and one waits for it.
        victims = sorted(descendants(sentinel))[:2]
        # One that is still starting holds nothing yet.
        eventually(lambda: is_idle(victims))
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        job = shop.start(ada)
        eventually(lambda: "The cluster of mpanel hangs" in worker.output)
        eventually(lambda: not is_alive(cluster))
        eventually(lambda: worker.cluster and worker.cluster[0] != cluster)
        # The other process does not know this workflow, and says so: the job was worked on.
        Heartbeat.objects.all().delete()
        notify(job.pk)  # what hung keeps its messages for minutes; the clock rings again
        eventually(lambda: fresh(job).error_code == "UNKNOWN_WORKFLOW")
        eventually(lambda: beats() == 1)
        (_, sentinel, *_) = worker.cluster

        tree = worker.tree
        assert len(tree) > 4
        assert worker.terminate() == 0
        eventually(lambda: not any(map(is_alive, tree)))
        assert beats() == 0  # it leaves no trace that looks like a living worker


def test_a_cluster_that_hangs_or_died_does_not_outlive_its_watchdog(ada: Person) -> None:
    with Worker(queues.JOBS, WORKER_STALE_AFTER=30) as worker:
        eventually(lambda: beats() == 1)
        first = worker.cluster
        worker.kill_cluster()
        eventually(lambda: worker.cluster and not any(map(is_alive, first)))
        eventually(lambda: "The cluster of mpanel ended; starting it again." in worker.output)
        Heartbeat.objects.all().delete()
        eventually(lambda: beats() == 1)
        second = worker.cluster
        os.kill(worker.pid, signal.SIGKILL)  # the watchdog alone
        eventually(lambda: not any(map(is_alive, second)), seconds=15)


def test_a_cluster_with_a_backlog_is_let_work() -> None:
    """Its beats come from what it finishes; what it is sent to beat would wait behind the rest."""
    with hasty_worker() as worker:
        eventually(lambda: beats() == 1)
        for _ in range(30):  # much longer than the watchdog's patience, for two processes
            async_task("time.sleep", 0.5, cluster=queues.JOBS)
        eventually(lambda: not OrmQ.objects.exists(), seconds=60)
        assert "hangs" not in worker.output


def test_a_sign_in_code_waits_for_no_job_and_no_sweep(sandbox: RunningSandbox) -> None:
    with Worker() as worker:
        eventually(lambda: beats() == len(queues.ALL))
        for queue in (queues.JOBS, queues.SWEEPS):
            for _ in range(10):
                async_task("time.sleep", 500, cluster=queue)
        asked = ask_for_code("ada@people.test", address="192.0.2.1")
        eventually(lambda: OneTimeCode.objects.get(pk=asked.pk).code_hash)
        assert OrmQ.objects.filter(key__in=(queues.JOBS, queues.SWEEPS)).count() == 20
        worker.kill()


def test_every_queue_has_a_cluster_and_every_sweep_a_queue(settings: LazySettings) -> None:
    clusters = cast("dict[str, Any]", settings.Q_CLUSTER)
    assert {clusters["name"], *clusters["ALT_CLUSTERS"]} == set(queues.ALL)
    assert {sweep.queue for sweep in all_sweeps().values()} <= set(queues.ALL)


def test_a_clock_ends_in_order_and_the_next_takes_over_at_once() -> None:
    with Clock() as first:
        eventually(lambda: Heartbeat.objects.filter(name="clock").exists())
        holder = Lease.objects.get(name="clock").holder
        with Clock() as second:
            assert first.terminate() == 0
            lease = Lease.objects.get(name="clock")
            assert lease.holder != holder or lease.until < timezone.now()  # given back
            eventually(lambda: Lease.objects.get(name="clock").holder != holder)
            assert second.is_running
