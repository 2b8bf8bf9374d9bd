"""The clock notifies workers of due jobs and dead runners; one holds the lease."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from mpanel.core import periodic, queues
from provisioning import clock, engine, sweeps
from provisioning.models import Heartbeat, Job, Lease, Sweep
from tests.cast import Person
from tests.processes import at_once
from tests.provisioning.workshop import Workshop, fresh, let_time_pass
from tests.work import span, work_off

pytestmark = pytest.mark.django_db


def messages(name: str) -> list[str]:
    """The first argument of every message for a task that waits in the queue."""
    tasks = [SignedPackage.loads(row.payload) for row in OrmQ.objects.all()]
    return [task["args"][0] for task in tasks if task["func"] == f"provisioning.tasks.{name}"]


@contextmanager
def sweeping(work: Callable[[], bool | None], *, every: float = 60) -> Iterator[str]:
    """A sweep of that work, known while the block runs."""
    name = f"test.{uuid4()}"
    periodic.register(name, every=every, work=work)
    try:
        yield name
    finally:
        del periodic._sweeps[name]


# --- Jobs ------------------------------------------------------------------------------------


def test_a_due_job_is_rung_once(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    OrmQ.objects.all().delete()
    assert clock.notify_of_due_jobs() == 0  # workers were notified when it was written
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(status="waiting", run_at=now)
    assert [clock.notify_of_due_jobs() for _ in range(3)] == [1, 0, 0]
    assert messages("advance") == [str(job.pk)]
    work_off()
    assert fresh(job).status == "succeeded"
    assert clock.notify_of_due_jobs() == 0


def test_what_is_not_due_is_not_rung(ada: Person, workshop: Workshop) -> None:
    later = timezone.now() + timedelta(seconds=30)
    job = workshop.start(ada)
    OrmQ.objects.all().delete()
    Job.objects.update(status="waiting", run_at=later)
    assert clock.notify_of_due_jobs() == 0
    Job.objects.update(status="running", lease_until=later)
    assert clock.notify_of_due_jobs() == 0
    Job.objects.filter(pk=job.pk).update(status="failed", lease_until=None)
    assert clock.notify_of_due_jobs() == 0


def test_a_lost_doorbell_is_rung_again(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    OrmQ.objects.all().delete()  # the message is lost
    before = timezone.now() - clock.NOTIFY_AGAIN_AFTER - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(run_at=before, notified_at=before)
    assert clock.notify_of_due_jobs() == 1
    work_off()
    assert fresh(job).status == "succeeded"


def test_a_dead_runner_is_noticed_as_soon_as_its_lease_ran_out(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)
    OrmQ.objects.all().delete()
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(
        status="running",
        lease_token=uuid4(),
        notified_at=now - timedelta(seconds=5),
        lease_until=now - timedelta(seconds=1),
    )
    assert [clock.notify_of_due_jobs(), clock.notify_of_due_jobs()] == [1, 0]
    work_off()
    assert fresh(job).status == "succeeded"


# --- The lease -------------------------------------------------------------------------------


def test_of_two_clocks_one_works(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    OrmQ.objects.all().delete()
    let_time_pass(job)
    first, second = uuid4(), uuid4()
    assert clock.tick(first)
    assert not clock.tick(second)
    assert clock.tick(first)  # it renews
    assert messages("advance") == [str(job.pk)]
    Lease.release("clock", holder=second)  # not the second's to give back
    assert not clock.tick(second)
    Lease.release("clock", holder=first)
    time.sleep(0.002)
    assert clock.tick(second)


def test_a_dead_clock_is_replaced() -> None:
    with span() as ticking:
        assert clock.tick(uuid4())
    assert ticking.waits(Lease.objects.get(name="clock").until, least=3, most=3)
    Lease.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert clock.tick(uuid4())


@pytest.mark.django_db(transaction=True)
def test_clocks_that_start_together_agree_on_one() -> None:
    results = at_once(*(partial(clock.tick, uuid4()) for _ in range(6)))
    assert sorted(map(str, results)) == ["False"] * 5 + ["True"]


def test_the_clock_shows_that_it_lives() -> None:
    before = timezone.now()
    clock.tick(uuid4())
    assert Heartbeat.objects.get(name="clock").seen_at >= before


def test_a_worker_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPANEL_WORKER", "here:1")
    monkeypatch.setenv("Q_CLUSTER_NAME", queues.SWEEPS)
    monkeypatch.setattr(Heartbeat, "_last_beat", float("-inf"))
    before = timezone.now()
    for _ in range(2):
        async_task("provisioning.tasks.heartbeat", sync=True)
    beat = Heartbeat.objects.get()
    assert (beat.name, beat.queue, beat.seen_at >= before) == ("here:1", queues.SWEEPS, True)


def test_a_busy_worker_shows_that_it_lives_too(
    ada: Person, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a worker that computes for minutes would be taken for one that hangs."""
    from provisioning import run

    monkeypatch.setenv("MPANEL_WORKER", "here:2")
    monkeypatch.setattr(Heartbeat, "_last_beat", float("-inf"))
    workshop.world.before_apply["floor"] = lambda: run.progress(1, 1)
    job = workshop.start(ada)

    def beat_again() -> None:
        """The step before this one has beaten; forget that, to see this one's."""
        seen.append(Heartbeat.objects.filter(name="here:2").delete()[0])
        monkeypatch.setattr(Heartbeat, "_last_beat", float("-inf"))

    seen: list[int] = []
    workshop.world.before_apply["walls"] = workshop.world.before_apply["roof"] = beat_again
    engine.advance(job.pk)
    assert seen == [1, 1]  # the progress of the floor, and the walls without any
    assert Heartbeat.objects.filter(name="here:2").exists()


# --- Sweeps ----------------------------------------------------------------------------------


def test_ticking_twice_starts_a_sweep_once() -> None:
    ran = []
    with sweeping(lambda: ran.append(1)) as name:
        assert name in sweeps.start_due()
        assert name not in sweeps.start_due()
        assert messages("sweep").count(name) == 1
        work_off()
        assert ran == [1]
        Sweep.objects.filter(name=name).update(due_at=timezone.now())
        assert name in sweeps.start_due()


@pytest.mark.django_db(transaction=True)
def test_two_clocks_start_a_sweep_once() -> None:
    with sweeping(lambda: None) as name:
        for _ in range(2):  # at its first time and later
            results = at_once(*[sweeps.start_due] * 4)
            started = [name in found for found in results if isinstance(found, list)]
            assert sorted(started) == [False, False, False, True]
            Sweep.objects.filter(name=name).update(due_at=timezone.now())
        assert messages("sweep").count(name) == 2


def test_a_sweep_that_was_late_is_not_made_up_for() -> None:
    with sweeping(lambda: None) as name:
        sweeps.start_due()
        Sweep.objects.filter(name=name).update(due_at=timezone.now() - timedelta(hours=1))
        assert name in sweeps.start_due()
        assert name not in sweeps.start_due()


def test_a_clock_that_was_set_back_stops_no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    done: list[int] = []
    with sweeping(lambda: done.append(1)) as name:
        with monkeypatch.context() as wrong:
            wrong.setattr(timezone, "now", lambda: tomorrow)
            sweeps.start_due()
            assert sweeps.run(name)
            assert Lease.take("clock", holder=uuid4(), seconds=3)  # and then it dies
        assert name in sweeps.start_due()
        assert name not in sweeps.start_due()
        assert sweeps.run(name)
    assert len(done) == 2
    assert Lease.take("clock", holder=uuid4(), seconds=3)
    assert not Lease.take("clock", holder=uuid4(), seconds=3)


@pytest.mark.django_db(transaction=True)
def test_a_sweep_never_overlaps_itself() -> None:
    inside, most, counter = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with counter:
            inside += 1
            most = max(inside, most)
        time.sleep(0.2)
        with counter:
            inside -= 1

    with sweeping(work) as name:
        results = at_once(*[partial(sweeps.run, name)] * 5)
        assert sorted(map(str, results)) == ["False"] * 4 + ["True"]
        assert most == 1
        time.sleep(0.002)
        assert sweeps.run(name)  # the next one may


@pytest.mark.django_db(transaction=True)
def test_a_long_sweep_keeps_its_lease(settings: pytest.FixtureRequest) -> None:
    settings.JOB_LEASE = 0.6  # type: ignore[attr-defined]
    others: list[bool] = []

    def work() -> None:
        time.sleep(1.0)  # longer than the lease
        others.append(Lease.take(f"sweep:{name}", holder=uuid4(), seconds=1))

    with sweeping(work) as name:
        assert sweeps.run(name)
    assert others == [False]


def test_a_dead_sweeper_blocks_its_sweep_only_until_the_lease_ran_out() -> None:
    ran = []
    with sweeping(lambda: ran.append(1)) as name:
        assert Lease.take(f"sweep:{name}", holder=uuid4(), seconds=60)
        assert not sweeps.run(name)
        Lease.objects.filter(name=f"sweep:{name}").update(until=timezone.now() - timedelta(1))
        assert sweeps.run(name)
    assert ran == [1]


def test_a_failing_sweep_gives_its_lease_back() -> None:
    def work() -> None:
        raise RuntimeError("a bug")

    with sweeping(work) as name:
        with pytest.raises(RuntimeError):
            sweeps.run(name)
        lease = Lease.objects.get(name=f"sweep:{name}")
        assert lease.until <= timezone.now()
