"""Two of everything at once, on the real database: locks, leases, doubled messages, same keys."""

import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mpanel.core.models import new_id
from provisioning import run
from provisioning.engine import advance
from provisioning.models import Job
from provisioning.services import retry_job
from tests.cast import Person
from tests.processes import at_once
from tests.provisioning.workshop import Workshop, fresh, let_time_pass, log_of, opened
from tests.work import span, work_off

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_message_that_comes_again_has_no_second_effect(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    before, lines = fresh(job), log_of(job)
    touched = list(workshop.world.touched)
    for _ in range(3):
        advance(job.pk)
    assert workshop.world.touched == touched
    assert log_of(job) == lines
    assert fresh(job).updated_at == before.updated_at


def test_ten_messages_at_once_have_one_effect(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_apply["floor"] = lambda: time.sleep(0.1)
    job = workshop.start(ada)
    results = at_once(*[partial(advance, job.pk)] * 10)
    assert results == [None] * 10
    assert workshop.world.applied == ["floor", "walls", "roof"]
    assert workshop.world.ended == ["success"]
    assert log_of(job).count("Done.") == 1
    assert fresh(job).status == "succeeded"


def test_two_jobs_of_one_lock_never_run_at_once(ada: Person, workshop: Workshop) -> None:
    inside, most = 0, 0
    counter = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with counter:
            inside += 1
            most = max(most, inside)
        time.sleep(0.05)
        with counter:
            inside -= 1

    for thing in ("floor", "walls", "roof"):
        workshop.world.before_observe[thing] = work
    jobs = [workshop.start(ada, lock="house") for _ in range(4)]
    for _ in range(20):
        at_once(*(partial(advance, job.pk) for job in jobs))
        # Who found the lock taken comes back by itself shortly.
        Job.objects.filter(status=Job.PENDING).update(run_at=timezone.now())
        if all(fresh(job).status == "succeeded" for job in jobs):
            break
    assert [fresh(job).status for job in jobs] == ["succeeded"] * 4
    assert most == 1
    assert workshop.world.ended == ["success"] * 4


def test_jobs_of_different_locks_do_run_at_once(ada: Person, workshop: Workshop) -> None:
    meeting = threading.Barrier(2, timeout=10)
    workshop.world.before_observe["floor"] = meeting.wait
    workshop.world.there.add("floor")
    jobs = [workshop.start(ada, lock=lock) for lock in ("house", "barn")]
    assert at_once(*(partial(advance, job.pk) for job in jobs)) == [None, None]
    assert [fresh(job).status for job in jobs] == ["succeeded"] * 2


def test_who_finds_the_lock_taken_comes_back_shortly(ada: Person, workshop: Workshop) -> None:
    first, second = (workshop.start(ada, lock="house") for _ in range(2))
    now = timezone.now()
    Job.objects.filter(pk=first.pk).update(
        status="running", lease_token=new_id(), lease_until=now + timedelta(seconds=60)
    )
    with span() as look:
        advance(second.pk)
    second = fresh(second)
    assert second.status == "pending"
    assert look.waits(second.run_at, least=1, most=5)
    assert workshop.world.touched == []


def test_a_dead_runners_job_is_taken_over_when_its_lease_ran_out(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)
    lease = timezone.now() + timedelta(seconds=60)
    Job.objects.filter(pk=job.pk).update(status="running", lease_token=new_id(), lease_until=lease)
    advance(job.pk)
    assert workshop.world.touched == []  # its runner may live
    let_time_pass(job)
    advance(job.pk)
    assert fresh(job).status == "succeeded"
    assert workshop.world.applied == ["floor", "walls", "roof"]


@pytest.mark.parametrize("moment", ["before_observe", "before_apply", "after_apply"])
def test_a_runner_that_lost_its_lease_stops_without_a_second_effect(
    ada: Person, workshop: Workshop, moment: str
) -> None:
    """The old runner sleeps over its lease; another does all the work; then the old one wakes."""
    world, job = workshop.world, workshop.start(ada)
    asleep, wake = threading.Event(), threading.Event()

    def oversleep() -> None:
        getattr(world, moment).pop("walls")  # the second runner is not held up
        asleep.set()
        assert wake.wait(10)

    getattr(world, moment)["walls"] = oversleep

    def old_runner() -> None:
        advance(job.pk)

    def new_runner() -> None:
        assert asleep.wait(10)
        let_time_pass(job)
        advance(job.pk)
        assert fresh(job).status == "succeeded"
        wake.set()

    assert at_once(old_runner, new_runner) == [None, None]
    # Only a change that was under way already may be there twice; nothing follows it.
    assert world.applied.count("walls") == (2 if moment == "before_apply" else 1)
    assert world.applied.count("roof") == 1
    assert world.ended == ["success"]
    assert log_of(job).count("Done.") == 1
    assert fresh(job).lease_token is None


def test_a_runner_that_lost_its_lease_stops_at_its_next_sign_of_progress(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)
    went_on: list[str] = []

    def work() -> None:
        Job.objects.filter(pk=job.pk).update(lease_token=new_id())  # somebody else's now
        run.progress(1, 1)
        went_on.append("too far")

    workshop.world.before_apply["floor"] = work
    advance(job.pk)
    assert went_on == []
    assert workshop.world.applied == []
    assert fresh(job).status == "running"  # the other runner's


def test_progress_renews_the_lease(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    leases: list[Any] = []

    def work() -> None:
        for done in (1, 2):
            time.sleep(0.05)
            run.progress(done, 1)
            leases.append(fresh(job).lease_until)

    workshop.world.before_apply["floor"] = work
    advance(job.pk)
    assert leases[0] < leases[1]


def test_one_key_gives_one_job(ada: Person, cy: Person, workshop: Workshop) -> None:
    subject = new_id()
    first = workshop.start(ada, subject_id=subject, idempotency_key="key")
    results = at_once(
        *[partial(workshop.start, ada, subject_id=subject, idempotency_key="key")] * 8
    )
    assert [getattr(found, "pk", found) for found in results] == [first.pk] * 8
    assert workshop.start(cy, idempotency_key="key").pk != first.pk  # a tenant's keys are its own
    assert workshop.start(ada, idempotency_key="other").pk != first.pk


def test_one_key_gives_one_job_to_all_who_are_first(ada: Person, workshop: Workshop) -> None:
    results = at_once(*[partial(workshop.start, ada, idempotency_key="key")] * 8)
    assert len({getattr(found, "pk", found) for found in results}) == 1
    assert Job.objects.count() == 1
    assert Job.objects.get().steps.count() == 3
    work_off()
    assert workshop.world.applied == ["floor", "walls", "roof"]


def test_two_clicks_on_retry_are_one(ada: Person) -> None:
    opened_again: list[Any] = []
    with opened(["floor"], on_retry=opened_again.append) as shop:
        job = shop.start(ada)
        Job.objects.filter(pk=job.pk).update(status="failed")
        results = at_once(*[partial(retry_job, ada.actor, job.pk)] * 4)
        assert {getattr(found, "pk", found) for found in results} == {job.pk}
        work_off()
    assert len(opened_again) == 1
    assert fresh(job).status == "succeeded"


def test_a_lost_database_leaves_the_job_to_whoever_comes_next(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)

    def lose() -> None:
        workshop.world.before_apply.clear()
        lose_the_database()

    workshop.world.before_apply["walls"] = lose
    advance(job.pk)  # does not raise: the queue's message is done with
    assert fresh(job).status == "running"
    let_time_pass(job)
    advance(job.pk)
    assert fresh(job).status == "succeeded"
    assert workshop.world.ended == ["success"]


def lose_the_database() -> None:
    """What a server that goes away looks like to this connection."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    else:
        # SQLite's counterpart: somebody holds the file for longer than we wait.
        import sqlite3
        from contextlib import closing

        path = connection.settings_dict["NAME"]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 100")
            Job.objects.update(label="never written")
