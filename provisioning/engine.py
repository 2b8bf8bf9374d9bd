"""The engine: observe, apply if missing, observe again.

It owns order, retries, waiting, deadlines, leases and recovery, and knows no app. The queue is a
doorbell only: `advance` may be called too often, too late, twice at once, or by nobody (then the
clock calls), and a runner may die at any line: whoever comes next observes first, and what
already matches is not applied again.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import Error, transaction
from django.utils import timezone

from events.services import record
from mpanel.core.actor import system
from mpanel.core.database import drop_connections, is_unavailable
from mpanel.core.errors import MPanelError, NotFound, ProviderError
from provisioning import backoff
from provisioning.desired import DesiredState, Observation, Workflow, workflow_called
from provisioning.models import Heartbeat, Job, JobLog, JobStep
from provisioning.run import bound

logger = logging.getLogger(__name__)

PROGRESS_EVERY = 0.4  # seconds between two writes of a step's progress


class LeaseLost(Exception):
    """Another runner took this job over; whatever this one does next would be a second effect."""


class JobLease:
    """This process's hold on a job: a lease that is renewed as the work goes on."""

    def __init__(self, job: Job, token: UUID) -> None:
        self.job = job
        self.token = token
        self.step: JobStep | None = None
        self._written = 0.0

    def renew(self, **changes: Any) -> None:
        """Renew the lease and change these columns of the job. Raises `LeaseLost`."""
        now = timezone.now()
        changes.setdefault("lease_until", now + timedelta(seconds=settings.JOB_LEASE))
        held = Job.objects.filter(pk=self.job.pk, status=Job.RUNNING, lease_token=self.token)
        if held.update(updated_at=now, **changes) != 1:
            raise LeaseLost(str(self.job.pk))

    def let_go(self, status: str, **changes: Any) -> None:
        """Give the job another status than running, and the lease back."""
        self.renew(status=status, lease_token=None, lease_until=None, **changes)

    def say(self, message: str, level: str = JobLog.INFO) -> None:
        JobLog.objects.create(job_id=self.job.pk, text=message, level=level)

    def progress(self, done: int, total: int) -> None:
        assert self.step is not None
        if done < total and time.monotonic() - self._written < PROGRESS_EVERY:
            return
        self._written = time.monotonic()
        self.renew()
        self.step.done, self.step.total = done, total
        self.step.save(update_fields=["done", "total", "updated_at"])
        Heartbeat.beat_of_worker()


def advance(job_id: UUID) -> None:
    """Bring a job as far as it goes now; harmless for a job that is not due or not ours."""
    token = uuid4()
    lease = timedelta(seconds=settings.JOB_LEASE)
    if not Job.objects.claim(job_id, token=token, lease=lease):
        _end_if_cancelled(job_id)
        return
    hold = JobLease(Job.objects.get(pk=job_id), token)
    try:
        with bound(hold):
            _Runner(hold).run()
    except LeaseLost:
        logger.warning("job %s was taken over by another runner", job_id)
    except Error as error:
        if not is_unavailable(error):
            raise
        # The database went away. The lease runs out, and the clock notifies workers again.
        logger.exception("job %s lost the database", job_id)
        drop_connections()


def _end_if_cancelled(job_id: UUID) -> None:
    """End a cancelled job that nobody runs: it need not wait for the lock of another one."""
    idle = Job.objects.filter(status__in=(Job.PENDING, Job.WAITING), cancel_requested=True)
    with transaction.atomic():
        if job := idle.select_for_update().filter(pk=job_id).first():
            job.move(Job.CANCELLED, finished_at=timezone.now(), waiting_for="")
            runner = _Runner(JobLease(job, uuid4()))
            with suppress(KeyError):
                runner.workflow = workflow_called(job.workflow)
                runner.settle_cancelled()


class _Runner:
    """One runner's way through a job's states."""

    workflow: Workflow[Any]
    state: DesiredState[Any]
    step: JobStep
    subject: Any = None

    def __init__(self, hold: JobLease) -> None:
        self.hold = hold
        self.job = hold.job

    def run(self) -> None:
        """Bring about one state after the other, until one must wait or fails."""
        try:
            self.workflow = workflow_called(self.job.workflow)
        except KeyError:
            message = f"Nothing here does {self.job.workflow}."
            with transaction.atomic():
                self.hold.say(message, JobLog.ERROR)
                self._end_as_failed("UNKNOWN_WORKFLOW", message)
            return
        if self.job.started_at is None:
            self.hold.renew(started_at=timezone.now())
            self.hold.say(f"Started: {self.job.label}.")
        steps = {step.name: step for step in self.job.steps.all()}
        for position, state in enumerate(self.workflow.states):
            self.state = state
            self.hold.step = self.step = steps.get(state.name) or self._added(position, state)
            if self.step.status == JobStep.DONE:
                continue
            if self._is_cancelled() or not self._bring_about():
                return
            Heartbeat.beat_of_worker()
        self._succeed()

    def _added(self, position: int, state: DesiredState[Any]) -> JobStep:
        """The step of a state that joined the workflow after the job was written."""
        return JobStep.objects.create(
            job=self.job, position=position, name=state.name, label=state.label
        )

    def _succeed(self) -> None:
        try:
            with transaction.atomic():
                self._end(Job.SUCCEEDED)
                if self.workflow.on_success:
                    self.workflow.on_success(self.workflow.load(self.job))
                self.hold.say("Done.")
        except LeaseLost:
            raise
        except MPanelError as error:
            self._fail(error.code, error.message)
        except Exception as error:  # the engine's edge: a bug must not lose the job
            if is_unavailable(error):
                raise
            logger.exception("job %s, step %s", self.job.pk, self.step.name)
            self._try_after_bug(error)

    def _is_cancelled(self) -> bool:
        """End the job here if somebody asked for it."""
        if not Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists():
            return False
        with transaction.atomic():
            if self.step.status == JobStep.RUNNING:
                self.step.status = JobStep.PENDING
                self.step.save()
            self._end(Job.CANCELLED)
            self.settle_cancelled()
        return True

    def settle_cancelled(self) -> None:
        """Tell the app and the log, in the caller's transaction."""
        # What is gone meanwhile needs no settling.
        with suppress(NotFound):
            self._settle(self.workflow.on_cancel, self.workflow.load(self.job))
        self.hold.say("Cancelled. What was done so far stays.", JobLog.WARNING)

    def _settle(self, callback: Callable[..., None] | None, *arguments: Any) -> None:
        """Tell the app how the job ended; what it makes of that cannot keep the job from ending."""
        if callback is None:
            return
        try:
            with transaction.atomic():
                callback(*arguments)
        except LeaseLost:
            raise
        except Exception as error:
            if is_unavailable(error):
                raise
            logger.exception("job %s could not be settled", self.job.pk)

    def _bring_about(self) -> bool:
        """Observe, apply if missing, observe again. True when the state now matches."""
        with transaction.atomic():
            self.hold.renew()
            if self.step.status != JobStep.RUNNING:
                self.step.status = JobStep.RUNNING
                self.step.started_at = self.step.started_at or timezone.now()
                self.step.save(update_fields=["status", "started_at", "updated_at"])
        try:
            self.subject = self.workflow.load(self.job)
            seen = self.state.observe(self.subject)
            if seen.verdict == "missing" and self.state.interval is None:
                self.hold.renew()
                self.state.apply(self.subject)
                self.hold.renew()
                self.subject = self.workflow.load(self.job)
                seen = self.state.observe(self.subject)
        except ProviderError as error:
            if error.retryable or error.ambiguous:
                self._try_later(error.error_code, error.message, at_least=error.retry_after or 0.0)
            else:
                self._fail(error.error_code, error.message)
            return False
        except MPanelError as error:
            self._fail(error.code, error.message)
            return False
        except LeaseLost:
            raise
        except Exception as error:  # the engine's edge: a bug must not lose the job
            if is_unavailable(error):
                raise
            logger.exception("job %s, step %s", self.job.pk, self.step.name)
            self._try_after_bug(error)
            return False
        return self._decide(seen)

    def _decide(self, seen: Observation) -> bool:
        """Act on what was seen. True when the step is done."""
        self.step.observed = seen.to_json()
        match seen.verdict:
            case "matches":
                with transaction.atomic():
                    self.hold.renew(waiting_for="", error_code="", error_message="")
                    self.step.status = JobStep.DONE
                    self.step.finished_at = timezone.now()
                    self.step.save()
                    self.hold.say(seen.summary)
                return True
            case "conflicts":
                self._fail(seen.code, seen.summary)
            case "missing" | "unknown" if self.state.interval is not None:
                self._wait(seen)
            case "missing":
                self._try_later("NOT_THERE_YET", seen.summary)
            case "unknown":
                self._try_later("NO_ANSWER", seen.summary)
        return False

    def _wait(self, seen: Observation) -> None:
        """Look again later, unless the deadline has passed."""
        assert self.state.interval is not None
        assert self.step.started_at is not None
        deadline = self.state.deadline
        if deadline and timezone.now() - self.step.started_at > deadline:
            self._fail("TIMED_OUT", f"Gave up after {_span(deadline)}. {seen.summary}")
            return
        self.step.attempts = 0  # it answered: only failures in a row make us give up
        with transaction.atomic():
            waits = self._pause(self.state.interval, seen.summary)
            if waits and self.job.waiting_for != seen.summary:
                self.hold.say(seen.summary)

    def _try_after_bug(self, error: Exception) -> None:
        name = type(error).__name__
        self._try_later("INTERNAL_ERROR", f"Something went wrong on our side ({name}).")

    def _try_later(self, code: str, message: str, *, at_least: float = 0.0) -> None:
        """Back off after a temporary failure; after many, give up and say why."""
        self.step.attempts += 1
        if backoff.gives_up(self.step.attempts):
            tries = f"We tried {self.step.attempts} times. Fix the cause, then retry."
            self._fail(code, f"{message} {tries}")
            return
        wait = backoff.delay(self.step.attempts, at_least=at_least)
        with transaction.atomic():
            if self._pause(timedelta(seconds=wait), message):
                self.hold.say(f"{message} Trying again in {wait:.0f} s.", JobLog.WARNING)

    def _pause(self, span: timedelta, why: str) -> bool:
        """Wait for so long, in the caller's transaction; False where the job was cancelled."""
        # This holds the row: a request to cancel came before it, or finds the job waiting.
        self.hold.renew()
        if self._is_cancelled():
            return False
        self.step.status = JobStep.WAITING
        self.step.save()
        self.hold.let_go(Job.WAITING, run_at=timezone.now() + span, waiting_for=why)
        return True

    def _fail(self, code: str, message: str) -> None:
        """End the job with a stable code and a sentence for the person who must act."""
        with transaction.atomic():
            self.step.status = JobStep.FAILED
            self.step.finished_at = timezone.now()
            self.step.save()
            self._end_as_failed(code, message)
            if self.subject is None:  # the runner that loaded it died after the last step
                with suppress(NotFound):
                    self.subject = self.workflow.load(self.job)
            if self.subject is not None:
                self._settle(self.workflow.on_failure, self.subject, code, message)
            self.hold.say(message, JobLog.ERROR)

    def _end_as_failed(self, code: str, message: str) -> None:
        """Whoever is told of it reads the sentence that the job's page shows."""
        self._end(Job.FAILED, error_code=code, error_message=message)
        record(
            system(self.job.tenant_id),
            "job.failed",
            self.job,
            f"{self.job} failed: {message}",
            changes={"code": code, "message": message, "workflow": self.job.workflow},
        )

    def _end(self, status: str, **changes: Any) -> None:
        self.hold.let_go(status, finished_at=timezone.now(), waiting_for="", **changes)


def look_again(job_id: UUID) -> None:
    """Observe every state of a finished job, to tell drift. Changes nothing outside."""
    job = Job.objects.get(pk=job_id)
    workflow = workflow_called(job.workflow)
    steps = {step.name: step for step in job.steps.all()}
    for state in workflow.states:
        try:
            seen = state.observe(workflow.load(job))
        except MPanelError as error:
            seen = Observation.unknown(error.message)
        if state.name in steps:
            steps[state.name].drift = seen.to_json()
    JobStep.objects.bulk_update(steps.values(), ["drift"])
    Job.objects.filter(pk=job_id).update(checked_at=timezone.now())


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours >= 2 else f"{span.total_seconds() / 60:.0f} minutes"
