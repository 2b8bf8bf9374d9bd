"""Reading jobs; an actor sees their own tenant's only."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound
from provisioning.models import Job, JobLog, JobQuerySet

# One subject's id, several, or a query for them.
Subjects = UUID | Collection[UUID] | QuerySet[Any, Any]


class JobNotFound(NotFound):
    """There is no such job."""

    code = "JOB_NOT_FOUND"


def jobs(
    actor: Actor,
    *,
    status: str = "",
    search: str = "",
    workflow: str = "",
    subject_id: UUID | None = None,
) -> JobQuerySet:
    """The tenant's jobs, newest first, with their steps."""
    actor.need("jobs:read")
    found = Job.objects.filter(tenant_id=actor.tenant_id).prefetch_related("steps")
    if status == "active":
        found = found.active()
    elif status:
        found = found.filter(status=status)
    if search:
        found = found.filter(Q(label__icontains=search) | Q(subject_label__icontains=search))
    if workflow:
        found = found.filter(workflow=workflow)
    if subject_id:
        found = found.filter(subject_id=subject_id)
    return found


def get_job(actor: Actor, job_id: UUID) -> Job:
    """One job of the tenant. Raises `JobNotFound`."""
    try:
        return jobs(actor).get(pk=job_id)
    except Job.DoesNotExist:
        raise JobNotFound from None


def jobs_about(subjects: Subjects, *workflows: str) -> JobQuerySet:
    """The jobs about a subject or several, newest first; of these workflows, or of all.

    For an app that has read its own rows for an actor already; `jobs` is for people.
    """
    if isinstance(subjects, UUID):
        found = Job.objects.filter(subject_id=subjects)
    else:
        found = Job.objects.filter(subject_id__in=subjects)
    return found.filter(workflow__in=workflows) if workflows else found


def newest_job(subject_id: UUID, *workflows: str) -> Job | None:
    """The newest job about a subject; of these workflows, or of all."""
    return jobs_about(subject_id, *workflows).first()


def latest_job(actor: Actor, *, workflow: str, subject_id: UUID) -> Job | None:
    """The newest job of a workflow for a subject."""
    return jobs(actor, workflow=workflow, subject_id=subject_id).first()


def log_lines(job: Job, *, after: int = 0, most: int = 500) -> list[JobLog]:
    """A job's log, oldest first, the last `most` lines of it; only those after this line's id."""
    newest = job.lines.filter(pk__gt=after).order_by("-id")[:most]
    return list(reversed(newest))
