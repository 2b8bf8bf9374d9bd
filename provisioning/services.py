"""Starting, cancelling and retrying jobs. Every function runs in the caller's transaction."""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from events.services import record
from mpanel.core import queues
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict
from provisioning import selectors
from provisioning.desired import workflow_called
from provisioning.models import Job, JobLog, JobQuerySet, JobStep


def notify(job_id: UUID) -> None:
    """Wake the engine for a job: the queue message is written in the caller's transaction."""
    queues.send("provisioning.tasks.advance", str(job_id))


@transaction.atomic
def start_job(
    actor: Actor,
    workflow: str,
    *,
    subject_id: UUID,
    subject_label: str,
    label: str = "",
    params: dict[str, Any] | None = None,
    lock: str = "",
    idempotency_key: str = "",
) -> Job:
    """Write a job and notify workers of it. `params` never holds a secret.

    Jobs with one `lock` run one after the other. The same `idempotency_key` of a tenant gives the
    same job again.
    """
    same = Job.objects.filter(tenant_id=actor.tenant_id, idempotency_key=idempotency_key)
    if idempotency_key and (known := same.first()):
        return known
    plan = workflow_called(workflow)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                tenant_id=actor.tenant_id,
                created_by_id=actor.user_id,
                workflow=workflow,
                label=label or plan.label,
                subject_id=subject_id,
                subject_label=subject_label,
                params=params or {},
                status=Job.PENDING,
                lock=lock,
                idempotency_key=idempotency_key,
            )
    except IntegrityError:
        # Somebody else was faster with this key.
        if idempotency_key and (known := same.first()):
            return known
        raise
    JobStep.objects.bulk_create(
        JobStep(job=job, position=position, name=state.name, label=state.label)
        for position, state in enumerate(plan.states)
    )
    notify(job.pk)
    return job


@transaction.atomic
def cancel_job(actor: Actor, job_id: UUID) -> Job:
    """Stop a job before its next step. What was done stays. Twice is harmless."""
    actor.require(ADMIN, "jobs:write")
    job = _locked(actor, job_id)
    if not job.is_active:
        if job.status == Job.CANCELLED:
            return job
        raise Conflict(f"This job is over already: {job.status_label.lower()}.")
    if not workflow_called(job.workflow).cancellable:
        raise Conflict("This job cannot be stopped half-way.")
    if not job.cancel_requested:
        JobLog.objects.create(job=job, text=f"{actor.email} asked to cancel.", level="warning")
        record(actor, "job.cancelled", job, f"Cancelled the job “{job}”.")
    _request_cancel(Job.objects.filter(pk=job.pk))
    job.refresh_from_db()
    return job


def cancel_jobs(subjects: selectors.Subjects, *workflows: str) -> None:
    """Have the jobs about these subjects end, of these workflows or of all.

    Nobody is told; `cancel_job` is for people.
    """
    _request_cancel(selectors.jobs_about(subjects, *workflows))


@transaction.atomic
def _request_cancel(jobs: JobQuerySet) -> None:
    """Have these jobs end: one that waits now, one that runs before its next step or wait.

    Asking again wakes them again.
    """
    now = timezone.now()
    # Held until the flag is committed, so that a runner that is about to wait sees it.
    held = jobs.active().select_for_update().order_by("pk").values_list("pk", "status")
    wanted = list(held)
    Job.objects.filter(pk__in=[pk for pk, _ in wanted]).update(cancel_requested=True)
    waking = [pk for pk, status in wanted if status != Job.RUNNING]
    Job.objects.filter(pk__in=waking).update(run_at=now, notified_at=now)
    for job_id in waking:
        notify(job_id)


@transaction.atomic
def retry_job(actor: Actor, job_id: UUID) -> Job:
    """Try a failed or cancelled job again; what already matches is skipped. Twice is harmless.

    A job that waits for its next try or look does so now.
    """
    actor.require(ADMIN, "jobs:write")
    job = _locked(actor, job_id)
    if job.is_active:
        check_now(job)
        job.refresh_from_db()
        return job
    job.move(
        Job.PENDING,
        run_at=timezone.now(),
        notified_at=timezone.now(),
        error_code="",
        error_message="",
        finished_at=None,
        cancel_requested=False,
    )
    _reset(job.steps.exclude(status=JobStep.DONE))
    plan = workflow_called(job.workflow)
    if plan.on_retry:
        plan.on_retry(plan.load(job))
    JobLog.objects.create(job=job, text=f"{actor.email} asked to try again.")
    record(actor, "job.retried", job, f"Retried the job “{job}”.")
    notify(job.pk)
    return job


def reset_steps(job_id: UUID, *names: str) -> None:
    """Have steps of a job be done again, these or all, where it is retried as a whole."""
    steps = JobStep.objects.filter(job_id=job_id)
    _reset(steps.filter(name__in=names) if names else steps)


def _reset(steps: QuerySet[JobStep]) -> None:
    steps.update(status=JobStep.PENDING, attempts=0, started_at=None, finished_at=None)


def _locked(actor: Actor, job_id: UUID) -> Job:
    """The job, held until the transaction ends, so that of two clicks the second sees the first."""
    job = selectors.get_job(actor, job_id)
    return Job.objects.select_for_update().get(pk=job.pk)


@transaction.atomic
def look_again(actor: Actor, job_id: UUID) -> Job:
    """Ask the engine to observe a finished job's states once more, to tell drift."""
    job = selectors.get_job(actor, job_id)
    if job.is_active:
        raise Conflict("This job is still under way.")
    queues.send("provisioning.tasks.look_again", str(job.pk))
    return job


@transaction.atomic
def forget_failed_jobs(subjects: selectors.Subjects, *workflows: str) -> None:
    """Delete the failed jobs about these subjects: a newer one does their work. Events stay."""
    selectors.jobs_about(subjects, *workflows).filter(status=Job.FAILED).delete()


def wake_jobs(subjects: selectors.Subjects, *workflows: str) -> None:
    """Let the jobs about these subjects that wait look now, of these workflows or of all."""
    for job in selectors.jobs_about(subjects, *workflows).active():
        check_now(job)


@transaction.atomic
def check_now(job: Job) -> None:
    """Let a waiting job look now rather than at its next interval."""
    now = timezone.now()
    waiting = Job.objects.filter(pk=job.pk, status=Job.WAITING)
    if waiting.update(run_at=now, notified_at=now):
        notify(job.pk)
