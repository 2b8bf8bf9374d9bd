"""Cancelling and retrying jobs: heard at any moment, and harmless twice."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.utils import timezone

from mpanel.core.errors import Conflict, Forbidden
from mpanel.core.models import new_id
from provisioning.desired import Observation
from provisioning.models import Job
from provisioning.selectors import JobNotFound, get_job
from provisioning.services import cancel_job, retry_job
from provisioning.services import look_again as ask_to_look_again
from tests.cast import Person
from tests.provisioning.test_engine import PAUSE, temporary
from tests.provisioning.workshop import (
    Thing,
    Workshop,
    World,
    fresh,
    log_of,
    opened,
    steps_of,
)
from tests.work import work_off

pytestmark = pytest.mark.django_db


def test_a_pending_job_is_cancelled_before_it_does_anything(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)
    cancel_job(ada.actor, job.pk)
    work_off()
    assert fresh(job).status == "cancelled"
    assert workshop.world.touched == []
    assert workshop.world.ended == ["cancel"]


def test_a_waiting_job_is_cancelled_at_once(ada: Person) -> None:
    world = World()
    with opened([Thing(world, "paint", interval=PAUSE)], world=world) as shop:
        job = shop.start(ada)
        work_off()
        cancel_job(ada.actor, job.pk)
        cancel_job(ada.actor, job.pk)  # twice is harmless
        work_off()
        assert fresh(job).status == "cancelled"
        assert world.ended == ["cancel"]
        cancel_job(ada.actor, job.pk)
    assert sum("asked to cancel" in line for line in log_of(job)) == 1


def test_a_running_job_stops_before_its_next_step(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    workshop.world.before_apply["floor"] = lambda: cancel_job(ada.actor, job.pk)
    work_off()
    assert fresh(job).status == "cancelled"
    assert workshop.world.applied == ["floor"]
    assert steps_of(job) == [("floor", "done"), ("walls", "pending"), ("roof", "pending")]
    assert log_of(job)[-1] == "Cancelled. What was done so far stays."


@pytest.mark.parametrize("seen", ["missing", "unknown", "no answer"])
def test_a_cancel_is_heard_while_a_state_is_observed(ada: Person, seen: str) -> None:
    """The runner is about to wait, for a long time perhaps: it must not do so first."""
    world = World()
    with opened([Thing(world, "paint", interval=PAUSE)], world=world) as shop:
        job = shop.start(ada)

        def cancel() -> None:
            cancel_job(ada.actor, job.pk)
            if seen == "no answer":
                raise temporary()

        if seen == "unknown":
            world.found["paint"] = Observation.unknown("It is too dark.")
        world.before_observe["paint"] = cancel
        work_off()
    assert fresh(job).status == "cancelled"
    assert world.ended == ["cancel"]
    assert steps_of(job) == [("paint", "pending")]
    assert [line for line in log_of(job) if "Trying again" in line] == []


def test_a_cancelled_job_does_not_wait_for_the_lock_of_another(
    ada: Person, workshop: Workshop
) -> None:
    first, second = (workshop.start(ada, lock="house") for _ in range(2))
    until = timezone.now() + timedelta(hours=1)
    Job.objects.filter(pk=first.pk).update(
        status="running", lease_token=new_id(), lease_until=until
    )
    cancel_job(ada.actor, second.pk)
    work_off()
    assert fresh(second).status == "cancelled"
    assert fresh(first).status == "running"
    assert workshop.world.touched == []
    assert workshop.world.ended == ["cancel"]
    assert log_of(second)[-1] == "Cancelled. What was done so far stays."


def test_asking_to_cancel_again_wakes_the_job_again(ada: Person) -> None:
    world = World()
    with opened([Thing(world, "paint", interval=PAUSE)], world=world) as shop:
        job = shop.start(ada)
        work_off()
        Job.objects.filter(pk=job.pk).update(cancel_requested=True)  # and nobody came
        cancel_job(ada.actor, job.pk)
        work_off()
    assert fresh(job).status == "cancelled"


def test_only_provisioning_asks_jobs_to_end() -> None:
    """One door, which wakes them: a flag that an app writes is seen at the next look only."""
    root = Path(__file__).resolve().parents[2]
    ours = [Path(app.path) for app in apps.get_app_configs() if root in Path(app.path).parents]
    writers = {
        path.relative_to(root).parts[0]
        for app in ours
        for path in app.rglob("*.py")
        if ".venv" not in path.parts
        if re.search(r"cancel_requested\s*=\s*True", path.read_text())
    }
    assert writers == {"provisioning"}


def test_what_is_over_cannot_be_cancelled(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    with pytest.raises(Conflict, match="over already"):
        cancel_job(ada.actor, job.pk)


def test_some_jobs_cannot_be_stopped_half_way(ada: Person) -> None:
    with opened(["floor"], cancellable=False) as shop:
        job = shop.start(ada)
        with pytest.raises(Conflict, match="half-way"):
            cancel_job(ada.actor, job.pk)
        work_off()
    assert fresh(job).status == "succeeded"


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_a_retry_skips_what_is_done(ada: Person, workshop: Workshop, ending: str) -> None:
    world = workshop.world
    job = workshop.start(ada)
    if ending == "failed":
        world.found["walls"] = Observation.conflicts("TAKEN", "It is taken.")
    else:
        world.after_apply["floor"] = lambda: cancel_job(ada.actor, job.pk)
    work_off()
    assert fresh(job).status == ending
    world.found.clear()
    world.touched.clear()
    retry_job(ada.actor, job.pk)
    retry_job(ada.actor, job.pk)  # twice is harmless
    job = fresh(job)
    assert (job.status, job.error_code, job.finished_at) == ("pending", "", None)
    work_off()
    assert fresh(job).status == "succeeded"
    assert world.touched[0] == "observe walls"
    assert world.applied == ["walls", "roof"]
    assert world.ended[1:] == ["success"]


def test_a_retry_opens_again_what_was_given_up(ada: Person) -> None:
    world = World()
    with opened(
        ["floor"], world=world, on_retry=lambda _: world.ended.append("opened again")
    ) as shop:
        world.found["floor"] = Observation.conflicts("TAKEN", "It is taken.")
        job = shop.start(ada)
        work_off()
        retry_job(ada.actor, job.pk)
    assert world.ended == ["failure TAKEN", "opened again"]


def test_a_retry_hurries_a_job_that_waits(ada: Person) -> None:
    world = World()
    with opened([Thing(world, "paint", interval=PAUSE)], world=world) as shop:
        job = shop.start(ada)
        work_off()
        world.there.add("paint")
        assert retry_job(ada.actor, job.pk).status == "waiting"
        work_off()
    assert fresh(job).status == "succeeded"


def test_a_job_that_succeeded_cannot_be_retried(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    with pytest.raises(Conflict):
        retry_job(ada.actor, job.pk)


def test_a_member_may_neither_cancel_nor_retry(ada: Person, bo: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    for forbidden in (cancel_job, retry_job):
        with pytest.raises(Forbidden):
            forbidden(bo.actor, job.pk)
    assert not fresh(job).cancel_requested


def test_a_job_of_another_tenant_is_not_found(ada: Person, cy: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    for service in (get_job, cancel_job, retry_job, ask_to_look_again):
        with pytest.raises(JobNotFound) as foreign:
            service(cy.actor, job.pk)
        with pytest.raises(JobNotFound) as unknown:
            service(cy.actor, new_id())
        assert foreign.value.message == unknown.value.message
    work_off()
    assert fresh(job).status == "succeeded"
