"""Serializers of jobs: as the panel shows them, and as deployments."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mpanel.core.api.serializers import CamelPageQuerySerializer, CamelSerializer, Serializer, Text
from provisioning.models import Job, JobLog, JobStep
from provisioning.selectors import log_lines

STEP_STATUSES = [
    JobStep.PENDING,
    JobStep.RUNNING,
    JobStep.WAITING,
    JobStep.DONE,
    JobStep.FAILED,
]
# A job's status in the words of source 1.
DEPLOYMENT_STATUS = {
    Job.PENDING: "pending",
    Job.RUNNING: "in_progress",
    Job.WAITING: "in_progress",
    Job.SUCCEEDED: "provisioned",
    Job.FAILED: "failed",
    Job.CANCELLED: "cancelled",
}


class JobQuerySerializer(CamelPageQuerySerializer):
    """Which jobs."""

    status = serializers.ChoiceField(
        choices=["active", *Job.STATUSES],
        required=False,
        default="",
        allow_blank=True,
        help_text="`active` for those that have not ended.",
    )
    type = Text(max_length=64, required=False, default="", allow_blank=True)
    target_id = serializers.UUIDField(required=False, default=None)
    search = Text(max_length=80, required=False, default="", allow_blank=True)
    order = serializers.ChoiceField(
        choices=["createdAt", "-createdAt", "updatedAt", "-updatedAt"], default="-createdAt"
    )


class JobTroubleSerializer(CamelSerializer):
    """Why a job failed."""

    code = serializers.CharField()
    message = serializers.CharField()


class PanelJobSerializer(CamelSerializer):
    """A piece of work and how far it is."""

    id = serializers.UUIDField()
    tenant_id = serializers.UUIDField()
    type = serializers.CharField(source="workflow", help_text="Its workflow.")
    status = serializers.ChoiceField(choices=list(Job.STATUSES))
    target_id = serializers.UUIDField(source="subject_id", help_text="What it is about.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    label = serializers.CharField()  # type: ignore[assignment]
    target_label = serializers.CharField(source="subject_label")
    progress = serializers.IntegerField(help_text="Percent; 100 only when it succeeded.")
    error = serializers.SerializerMethodField()

    @extend_schema_field(JobTroubleSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        if job.status != Job.FAILED:
            return None
        return {"code": job.error_code or "FAILED", "message": job.error_message}


class PanelJobStepSerializer(CamelSerializer):
    """One desired state of a job."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    status = serializers.ChoiceField(choices=STEP_STATUSES)
    attempts = serializers.IntegerField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    observed = serializers.SerializerMethodField(help_text="What was last seen, in a sentence.")

    def get_observed(self, step: JobStep) -> str | None:
        return step.observation.summary if step.observation else None


class PanelJobLineSerializer(CamelSerializer):
    """One line of a job's log."""

    at = serializers.DateTimeField()
    level = serializers.ChoiceField(choices=[JobLog.INFO, JobLog.WARNING, JobLog.ERROR])
    text = serializers.CharField()


class PanelJobDetailSerializer(PanelJobSerializer):
    """A job with its steps and the last 500 lines of its log."""

    waiting_for = serializers.CharField(help_text="What it waits for, while it waits.")
    steps = PanelJobStepSerializer(many=True, source="steps.all")
    log = serializers.SerializerMethodField()

    @extend_schema_field(PanelJobLineSerializer(many=True))
    def get_log(self, job: Job) -> Any:
        return PanelJobLineSerializer(log_lines(job), many=True).data


class DeploymentSerializer(Serializer):
    """A job as source 1 shows it."""

    deployment_id = serializers.UUIDField(source="id")
    status = serializers.SerializerMethodField()
    progress = serializers.IntegerField(help_text="Percent; 100 only when it succeeded.")
    logs = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    @extend_schema_field(
        serializers.ChoiceField(choices=list(dict.fromkeys(DEPLOYMENT_STATUS.values())))
    )
    def get_status(self, job: Job) -> str:
        return DEPLOYMENT_STATUS[job.status]

    def get_logs(self, job: Job) -> list[str]:
        lines = [str(line) for line in log_lines(job)]
        if job.is_active and job.waiting_for:
            lines.append(f"Currently: {job.waiting_for}")
        return lines

    def get_error(self, job: Job) -> str | None:
        return job.error_message or None
