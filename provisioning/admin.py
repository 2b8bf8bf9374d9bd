"""Operators' view of work: jobs, their steps and log, and what clock and workers remember."""

from django.contrib import admin

from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, StatusFilter, acts, one_of
from provisioning import services
from provisioning.models import Heartbeat, Job, JobLog, JobStep, Lease, Sweep


@acts("Try again")
def retry(actor: Actor, job: Job) -> None:
    services.retry_job(actor, job.pk)


@acts("Cancel", ask="The job stops before its next step. What was done stays.")
def cancel(actor: Actor, job: Job) -> None:
    services.cancel_job(actor, job.pk)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("label", "subject_label", "tenant", "status_badge", "run_at", "finished_at")
    list_select_related = ("tenant",)
    list_filter = (StatusFilter,)
    search_fields = (
        "label",
        "subject_label",
        "workflow",
        "error_code",
        "tenant__name",
        "id__exact",
        "subject_id__exact",
    )
    date_hierarchy = "created_at"
    ordering = ("-id",)
    actions = (retry, cancel)


@admin.register(JobStep)
class JobStepAdmin(ReadOnlyAdmin):
    list_display = ("label", "job", "status_badge", "attempts", "done", "total", "finished_at")
    list_select_related = ("job",)
    list_filter = (
        one_of(
            "status",
            JobStep.PENDING,
            JobStep.RUNNING,
            JobStep.WAITING,
            JobStep.DONE,
            JobStep.FAILED,
        ),
    )
    search_fields = ("label", "name", "job__subject_label", "job__id__exact")
    ordering = ("-id",)


@admin.register(JobLog)
class JobLogAdmin(ReadOnlyAdmin):
    list_display = ("at", "level", "text", "job")
    list_select_related = ("job",)
    list_filter = (one_of("level", JobLog.INFO, JobLog.WARNING, JobLog.ERROR),)
    search_fields = ("text", "job__subject_label", "job__id__exact")
    date_hierarchy = "at"
    ordering = ("-id",)


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("name", "holder", "until")
    search_fields = ("name",)
    ordering = ("name",)


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ("name", "due_at")
    search_fields = ("name",)
    ordering = ("name",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "queue", "seen_at")
    search_fields = ("name",)
    ordering = ("-seen_at",)
