"""The engine with small states: order, verdicts, failures, waiting, cancelling, retrying."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mpanel.core.errors import Conflict, NotFound, ProviderError
from provisioning import backoff, run
from provisioning.desired import Observation, register
from provisioning.engine import advance, look_again
from provisioning.models import Job, JobStep
from provisioning.services import cancel_job, check_now, retry_job
from provisioning.services import look_again as ask_to_look_again
from tests.cast import Person
from tests.provisioning.workshop import (
    Thing,
    Workshop,
    World,
    fresh,
    let_time_pass,
    log_of,
    opened,
    steps_of,
)
from tests.work import span, work_off

pytestmark = pytest.mark.django_db


def raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def temporary(code: str = "TIMEOUT", **more: Any) -> ProviderError:
    return ProviderError(code, "The vendor did not answer.", retryable=True, **more)


# --- The one loop ----------------------------------------------------------------------------


def test_states_are_brought_about_in_order_and_each_is_looked_at_again(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada, label="Build a house")
    assert (job.status, workshop.world.touched) == ("pending", [])
    work_off()
    assert workshop.world.touched == [
        "observe floor",
        "apply floor",
        "observe floor",
        "observe walls",
        "apply walls",
        "observe walls",
        "observe roof",
        "apply roof",
        "observe roof",
    ]
    job = fresh(job)
    assert (job.status, job.progress, job.lease_token) == ("succeeded", 100, None)
    assert job.started_at and job.finished_at and job.started_at <= job.finished_at
    assert log_of(job) == [
        "Started: Build a house.",
        "The floor is there.",
        "The walls is there.",
        "The roof is there.",
        "Done.",
    ]


def test_what_matches_already_is_not_applied(ada: Person, workshop: Workshop) -> None:
    workshop.world.there.add("walls")
    job = workshop.start(ada)
    work_off()
    assert workshop.world.applied == ["floor", "roof"]
    assert fresh(job).status == "succeeded"


def test_unknown_is_never_applied(ada: Person, workshop: Workshop) -> None:
    workshop.world.found["walls"] = Observation.unknown("Nobody answers.")
    job = workshop.start(ada)
    work_off()
    job = fresh(job)
    assert workshop.world.applied == ["floor"]
    assert (job.status, job.waiting_for) == ("waiting", "Nobody answers.")
    del workshop.world.found["walls"]
    let_time_pass(job)
    advance(job.pk)
    assert workshop.world.applied == ["floor", "walls", "roof"]
    assert fresh(job).status == "succeeded"


def test_a_conflict_fails_with_its_code_and_sentence(ada: Person, workshop: Workshop) -> None:
    workshop.world.found["walls"] = Observation.conflicts(
        "WALLS_OF_OTHERS", "Somebody else's walls stand there.", expected="ours", found="theirs"
    )
    job = workshop.start(ada)
    work_off()
    job = fresh(job)
    assert workshop.world.applied == ["floor"]
    assert (job.status, job.error_code) == ("failed", "WALLS_OF_OTHERS")
    assert job.error_message == "Somebody else's walls stand there."
    assert steps_of(job) == [("floor", "done"), ("walls", "failed"), ("roof", "pending")]
    seen = job.steps.get(name="walls").observation
    assert seen is not None
    assert (seen.verdict, seen.expected, seen.found) == ("conflicts", "ours", "theirs")
    assert log_of(job)[-1] == "Somebody else's walls stand there."


def test_what_is_still_missing_after_applying_is_tried_again(
    ada: Person, workshop: Workshop
) -> None:
    workshop.world.found["floor"] = Observation.missing("The floor is wet.")
    job = workshop.start(ada)
    work_off()
    assert workshop.world.touched == ["observe floor", "apply floor", "observe floor"]
    assert fresh(job).status == "waiting"
    assert fresh(job).steps.get(name="floor").attempts == 1


def test_the_subject_is_loaded_anew_for_every_look(ada: Person) -> None:
    loaded: list[Job] = []

    def load(job: Job) -> Job:
        loaded.append(job)
        return job

    with opened(["floor", "roof"], load=load) as shop:
        shop.start(ada)
        work_off()
    # Before and after each application, and for `on_success`.
    assert len(loaded) == 5


def test_a_subject_that_is_gone_fails_the_job(ada: Person) -> None:
    def gone(job: Job) -> Any:
        raise NotFound("The house was removed meanwhile.")

    with opened(["floor"], load=gone) as shop:
        job = shop.start(ada)
        work_off()
    job = fresh(job)
    assert (job.status, job.error_code) == ("failed", "NOT_FOUND")
    assert job.error_message == "The house was removed meanwhile."
    assert shop.world.touched == []


def test_a_workflow_that_nobody_registered_fails_the_job(ada: Person) -> None:
    with opened(["floor"]) as shop:
        job = shop.start(ada)
    work_off()
    job = fresh(job)
    assert (job.status, job.error_code) == ("failed", "UNKNOWN_WORKFLOW")
    assert shop.workflow.name in job.error_message


def test_two_workflows_cannot_share_a_name(workshop: Workshop) -> None:
    register(workshop.workflow)  # the same again is harmless
    with (
        pytest.raises(ValueError, match="two workflows"),
        opened(["floor"]) as other,
    ):
        register(type(other.workflow)(workshop.workflow.name, "Another", (), load=lambda job: job))


def test_a_state_that_joined_the_workflow_is_brought_about_too(
    ada: Person, workshop: Workshop
) -> None:
    job = workshop.start(ada)
    job.steps.filter(name="roof").delete()  # as a job that was written before a release
    work_off()
    assert fresh(job).status == "succeeded"
    assert workshop.world.applied == ["floor", "walls", "roof"]
    assert steps_of(job)[-1] == ("roof", "done")


# --- Failures --------------------------------------------------------------------------------


def test_a_temporary_failure_waits_and_goes_on(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_apply["walls"] = raising(temporary())
    job = workshop.start(ada)
    with span() as run:
        work_off()
    job = fresh(job)
    assert (job.status, job.waiting_for) == ("waiting", "The vendor did not answer.")
    assert run.waits(job.run_at, least=2, most=3.5)
    assert "The vendor did not answer. Trying again in" in log_of(job)[-1]
    assert steps_of(job) == [("floor", "done"), ("walls", "waiting"), ("roof", "pending")]
    advance(job.pk)  # notified too early: nothing happens
    assert fresh(job).steps.get(name="walls").attempts == 1

    workshop.world.before_apply.clear()
    let_time_pass(job)
    advance(job.pk)
    job = fresh(job)
    assert (job.status, job.waiting_for, job.error_code) == ("succeeded", "", "")
    assert workshop.world.applied == ["floor", "walls", "roof"]


def test_a_permanent_failure_fails_at_once(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_apply["floor"] = raising(
        ProviderError("INVALID_CREDENTIALS", "The token was refused.", retryable=False)
    )
    job = workshop.start(ada)
    work_off()
    job = fresh(job)
    assert (job.status, job.error_code) == ("failed", "INVALID_CREDENTIALS")
    assert job.error_message == "The token was refused."
    assert workshop.world.ended == ["failure INVALID_CREDENTIALS"]


def test_after_an_ambiguous_failure_it_looks_before_it_acts(
    ada: Person, workshop: Workshop
) -> None:
    """Sent, no answer: the walls may stand. They do, so they are not built again."""
    workshop.world.after_apply["walls"] = raising(
        ProviderError("TIMEOUT", "No answer in time.", retryable=False, ambiguous=True)
    )
    job = workshop.start(ada)
    work_off()
    assert fresh(job).status == "waiting"
    let_time_pass(job)
    advance(job.pk)
    assert fresh(job).status == "succeeded"
    assert workshop.world.applied == ["floor", "walls", "roof"]


def test_retry_after_is_honoured(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_observe["floor"] = raising(temporary("RATE_LIMITED", retry_after=90.0))
    job = workshop.start(ada)
    with span() as run:
        work_off()
    assert run.waits(fresh(job).run_at, least=90, most=120)


def test_it_gives_up_after_the_limit_and_says_so(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_observe["walls"] = raising(temporary())
    job = workshop.start(ada)
    work_off()
    for attempt in range(1, backoff.MAX_ATTEMPTS):
        assert (fresh(job).status, attempt) == ("waiting", attempt)
        let_time_pass(job)
        advance(job.pk)
    job = fresh(job)
    assert (job.status, job.error_code) == ("failed", "TIMEOUT")
    assert job.error_message == (
        "The vendor did not answer. We tried 12 times. Fix the cause, then retry."
    )
    assert workshop.world.touched.count("observe walls") == backoff.MAX_ATTEMPTS
    assert workshop.world.ended == ["failure TIMEOUT"]


def test_a_bug_in_a_state_does_not_lose_the_job(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_apply["floor"] = raising(ZeroDivisionError("secret detail"))
    job = workshop.start(ada)
    work_off()
    job = fresh(job)
    assert job.status == "waiting"
    assert job.waiting_for == "Something went wrong on our side (ZeroDivisionError)."
    assert not any("secret detail" in line for line in log_of(job))
    workshop.world.before_apply.clear()
    let_time_pass(job)
    advance(job.pk)
    assert fresh(job).status == "succeeded"


def test_a_refusal_of_ours_fails_with_its_own_code(ada: Person, workshop: Workshop) -> None:
    workshop.world.before_apply["floor"] = raising(Conflict("The ground is taken."))
    job = workshop.start(ada)
    work_off()
    assert (fresh(job).error_code, fresh(job).error_message) == ("CONFLICT", "The ground is taken.")


@pytest.mark.parametrize("error", [Conflict("Not now."), RuntimeError("a bug")])
def test_a_failing_end_keeps_no_job_running(ada: Person, error: Exception) -> None:
    """`on_success` that raises undoes its transaction, and the job still comes to an end."""
    with opened(["floor"], on_success=lambda _: raising(error)()) as shop:
        job = shop.start(ada)
        work_off()
        for _ in range(backoff.MAX_ATTEMPTS):
            let_time_pass(job)
            advance(job.pk)
    job = fresh(job)
    assert job.status == "failed"
    assert job.error_code == ("CONFLICT" if isinstance(error, Conflict) else "INTERNAL_ERROR")
    assert len(shop.world.ended) == 1
    assert "Done." not in log_of(job)


def test_a_runner_that_died_after_the_last_step_loses_no_failure(ada: Person) -> None:
    """Whoever comes next has observed nothing, and must tell the app nevertheless."""
    with opened(["floor"], on_success=lambda _: raising(Conflict("Not now."))()) as shop:
        job = shop.start(ada)
        JobStep.objects.filter(job=job).update(status=JobStep.DONE)
        work_off()
    assert fresh(job).status == "failed"
    assert shop.world.ended == ["failure CONFLICT"]


@pytest.mark.parametrize("hook", ["on_failure", "on_cancel"])
def test_a_failing_hook_keeps_no_job_running(ada: Person, hook: str) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    hooks: dict[str, Any] = {hook: broken}
    with opened(["floor"], **hooks) as shop:
        shop.world.found["floor"] = Observation.conflicts("TAKEN", "It is taken.")
        job = shop.start(ada)
        if hook == "on_cancel":
            cancel_job(ada.actor, job.pk)
        work_off()
    expected = ("cancelled", "") if hook == "on_cancel" else ("failed", "TAKEN")
    assert (fresh(job).status, fresh(job).error_code) == expected


def test_a_cancelled_job_ends_although_its_subject_is_gone(ada: Person) -> None:
    def gone(job: Job) -> Any:
        raise NotFound

    with opened(["floor"], load=gone) as shop:
        job = shop.start(ada)
        cancel_job(ada.actor, job.pk)
        work_off()
    assert fresh(job).status == "cancelled"


# --- Waiting ---------------------------------------------------------------------------------

PAUSE = timedelta(seconds=30)


def test_a_waiting_state_is_looked_at_at_intervals_and_never_applied(ada: Person) -> None:
    world = World()
    with opened(["floor", Thing(world, "paint", interval=PAUSE), "roof"], world=world) as shop:
        job = shop.start(ada)
        with span() as run:
            work_off()
        job = fresh(job)
        assert (job.status, job.waiting_for) == ("waiting", "The paint is not there.")
        assert run.waits(job.run_at, least=29, most=35)
        for _ in range(backoff.MAX_ATTEMPTS + 2):  # waiting is no failure: it may take long
            let_time_pass(job)
            advance(job.pk)
        assert fresh(job).status == "waiting"
        assert log_of(job).count("The paint is not there.") == 1
        world.there.add("paint")
        check_now(fresh(job))
        work_off()
    assert fresh(job).status == "succeeded"
    assert world.applied == ["floor", "roof"]


def test_unknown_does_not_end_the_waiting(ada: Person) -> None:
    world = World()
    with opened([Thing(world, "paint", interval=PAUSE)], world=world) as shop:
        world.found["paint"] = Observation.unknown("It is dark.")
        job = shop.start(ada)
        work_off()
    assert (fresh(job).status, fresh(job).waiting_for) == ("waiting", "It is dark.")


def test_failures_of_a_waiting_state_count_only_in_a_row(ada: Person) -> None:
    world = World()
    with opened([Thing(world, "paint", interval=PAUSE)], world=world) as shop:
        job = shop.start(ada)
        work_off()
        for _ in range(backoff.MAX_ATTEMPTS + 1):
            world.before_observe["paint"] = raising(temporary())
            let_time_pass(job)
            advance(job.pk)
            world.before_observe.clear()
            let_time_pass(job)
            advance(job.pk)
    assert fresh(job).status == "waiting"


def test_a_deadline_ends_the_waiting_with_what_was_seen_last(ada: Person) -> None:
    world = World()
    paint = Thing(world, "paint", interval=PAUSE, deadline=timedelta(hours=5))
    with opened([paint], world=world) as shop:
        job = shop.start(ada)
        work_off()
        JobStep.objects.filter(job=job).update(started_at=timezone.now() - timedelta(hours=6))
        let_time_pass(job)
        advance(job.pk)
        job = fresh(job)
        assert (job.status, job.error_code) == ("failed", "TIMED_OUT")
        assert job.error_message == "Gave up after 5 hours. The paint is not there."
        # A retry starts the deadline anew.
        retry_job(ada.actor, job.pk)
        work_off()
    assert fresh(job).status == "waiting"


def test_what_comes_true_at_the_last_look_counts(ada: Person) -> None:
    world = World()
    paint = Thing(world, "paint", interval=PAUSE, deadline=timedelta(hours=5))
    with opened([paint], world=world) as shop:
        job = shop.start(ada)
        work_off()
        JobStep.objects.filter(job=job).update(started_at=timezone.now() - timedelta(hours=6))
        world.there.add("paint")
        let_time_pass(job)
        advance(job.pk)
    assert fresh(job).status == "succeeded"


# --- Progress and drift ----------------------------------------------------------------------


def test_progress_is_told_within_a_step_and_over_the_job(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    seen: list[tuple[int, int, int]] = []

    def work() -> None:
        run.progress(0, 10)
        run.say("Half of the walls stand.")
        run.progress(10, 10)  # the last one is always written
        step = fresh(job).steps.get(name="walls")
        seen.append((step.done, step.total, fresh(job).progress))

    workshop.world.before_apply["walls"] = work
    workshop.world.before_observe["floor"] = lambda: seen.append((0, 0, fresh(job).progress))
    work_off()
    assert seen == [(0, 0, 0), (0, 0, 0), (10, 10, 63)]
    assert "Half of the walls stand." in log_of(job)
    assert fresh(job).progress == 100


def test_progress_is_less_than_all_while_nothing_is_proved(ada: Person) -> None:
    with opened(["floor"]) as shop:
        job = shop.start(ada)
        JobStep.objects.filter(job=job).update(done=2, total=2)
        assert fresh(job).progress == 90


def test_progress_never_says_all_before_it_is_all(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    JobStep.objects.filter(job=job).update(status="done")
    assert fresh(job).progress == 99


def test_outside_of_a_run_nothing_is_told() -> None:
    run.say("nobody listens")
    run.progress(1, 2)


def test_looking_again_tells_drift_and_changes_nothing(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    work_off()
    workshop.world.touched.clear()
    workshop.world.there.remove("walls")
    workshop.world.before_observe["roof"] = raising(temporary())
    ask_to_look_again(ada.actor, job.pk)
    work_off()
    assert workshop.world.touched == ["observe floor", "observe walls", "observe roof"]
    assert "walls" not in workshop.world.there
    steps = {step.name: step for step in fresh(job).steps.all()}
    assert steps["floor"].drifted is None
    walls, roof = steps["walls"].drifted, steps["roof"].drifted
    assert walls and roof
    assert (walls.verdict, roof.verdict) == ("missing", "unknown")
    assert fresh(job).status == "succeeded"
    assert fresh(job).checked_at is not None
    # What was seen while it was done stays beside it.
    assert steps["walls"].observation and steps["walls"].observation.verdict == "matches"

    workshop.world.before_observe.clear()
    workshop.world.there.add("walls")
    look_again(job.pk)
    assert all(step.drifted is None for step in fresh(job).steps.all())


def test_an_active_job_is_not_looked_at_again(ada: Person, workshop: Workshop) -> None:
    job = workshop.start(ada)
    with pytest.raises(Conflict, match="under way"):
        ask_to_look_again(ada.actor, job.pk)
