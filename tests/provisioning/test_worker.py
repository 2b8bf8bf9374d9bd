"""`manage.py worker` and `manage.py tick` as real processes: hangs, deaths, orderly ends."""

import os
import signal

import pytest
from django.utils import timezone

from provisioning.models import Heartbeat, Lease
from provisioning.services import ring
from tests.cast import Person
from tests.processes import Clock, Worker, descendants, eventually, is_alive, is_idle
from tests.provisioning.workshop import fresh, opened

pytestmark = pytest.mark.django_db(transaction=True)


def beats() -> int:
    return Heartbeat.objects.exclude(name="clock").count()


def test_a_hung_cluster_is_killed_and_started_again(ada: Person) -> None:
    """django-q2 hangs for good when the idle process that holds the queue's lock is killed."""
    with opened(["floor"]) as shop, Worker(WORKER_STALE_AFTER=2, LOG_LEVEL="WARNING") as worker:
        eventually(lambda: beats() == 1)
        (cluster, sentinel, *_) = worker.cluster
        # The first two are the workers, of which one holds the lock and one waits for it.
        victims = sorted(descendants(sentinel))[:2]
        # One that is still starting holds nothing yet.
        eventually(lambda: is_idle(victims))
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        job = shop.start(ada)
        eventually(lambda: "The cluster hangs" in worker.output)
        eventually(lambda: not is_alive(cluster))
        eventually(lambda: worker.cluster and worker.cluster[0] != cluster)
        # The other process does not know this workflow, and says so: the job was worked on.
        Heartbeat.objects.all().delete()
        ring(job.pk)  # what hung keeps its messages for minutes; the clock rings again
        eventually(lambda: fresh(job).error_code == "UNKNOWN_WORKFLOW")
        eventually(lambda: beats() == 1)
        (_, sentinel, *_) = worker.cluster

        tree = worker.tree
        assert len(tree) > 4
        assert worker.terminate() == 0
        eventually(lambda: not any(map(is_alive, tree)), seconds=5)
        assert beats() == 0  # it leaves no trace that looks like a living worker


def test_a_cluster_that_hangs_or_died_does_not_outlive_its_watchdog(ada: Person) -> None:
    with Worker(WORKER_STALE_AFTER=30) as worker:
        eventually(lambda: beats() == 1)
        first = worker.cluster
        worker.kill_cluster()
        eventually(lambda: worker.cluster and not any(map(is_alive, first)))
        eventually(lambda: "The cluster ended; starting it again." in worker.output)
        Heartbeat.objects.all().delete()
        eventually(lambda: beats() == 1)
        second = worker.cluster
        os.kill(worker.pid, signal.SIGKILL)  # the watchdog alone
        eventually(lambda: not any(map(is_alive, second)), seconds=15)


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
