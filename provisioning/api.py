"""JSON about jobs; a deployment (source 1) is a job."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.serializers import page_of, paged
from mpanel.core.api.views import ApiView, operation
from provisioning import selectors, serializers, services

JOBS = "Jobs and deployments"
ORDERS = {
    "createdAt": "id",
    "-createdAt": "-id",
    "updatedAt": "updated_at",
    "-updatedAt": "-updated_at",
}
EXAMPLE_JOB = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11",
    "tenantId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12",
    "type": "mailboxes.provision",
    "status": "running",
    "targetId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13",
    "createdAt": "2026-11-21T10:00:00Z",
    "updatedAt": "2026-11-21T10:00:05Z",
    "label": "Provision 50 inboxes",
    "targetLabel": "example.com",
    "progress": 75,
    "error": None,
}
EXAMPLE_DETAIL = {
    **EXAMPLE_JOB,
    "waitingFor": "",
    "steps": [
        {
            "name": "passwords_are_hashed",
            "label": "Set the passwords",
            "status": "done",
            "attempts": 1,
            "done": 50,
            "total": 50,
            "startedAt": "2026-11-21T10:00:00Z",
            "finishedAt": "2026-11-21T10:00:03Z",
            "observed": "Set the passwords on the mail server.",
        }
    ],
    "log": [
        {
            "at": "2026-11-21T10:00:03Z",
            "level": "info",
            "text": "Set the passwords on the mail server.",
        }
    ],
}
EXAMPLE_DEPLOYMENT = {
    "deployment_id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11",
    "status": "in_progress",
    "progress": 75,
    "logs": ["[10:00:03] Set the passwords on the mail server."],
    "error": None,
}


class JobsView(ApiView):
    scopes = {"GET": "jobs:read"}

    @operation(
        "List jobs",
        tag=JOBS,
        query=serializers.JobQuerySerializer,
        answers=paged(serializers.PanelJobSerializer),
        example={"items": [EXAMPLE_JOB], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """All that mPanel does, did or tries again for you, the newest first."""
        query = self.query(request, serializers.JobQuerySerializer)
        found = selectors.jobs(
            self.actor,
            status=query["status"],
            search=query["search"],
            workflow=query["type"],
            subject_id=query["target_id"],
        ).order_by(ORDERS[query["order"]], "id")
        return Response(page_of(found, query, serializers.PanelJobSerializer))


class OneJobView(ApiView):
    scopes = {"GET": "jobs:read"}

    @operation(
        "Get a job",
        tag=JOBS,
        answers=serializers.PanelJobDetailSerializer,
        errors=(404,),
        example=EXAMPLE_DETAIL,
    )
    def get(self, request: Request, job_id: UUID) -> Response:
        """With its steps, what was seen of each, and the last lines of its log."""
        return Response(
            serializers.PanelJobDetailSerializer(selectors.get_job(self.actor, job_id)).data
        )


class RetryJobView(ApiView):
    scopes = {"POST": "jobs:write"}

    @operation(
        "Try a failed or cancelled job again",
        tag=JOBS,
        answers=serializers.PanelJobDetailSerializer,
        errors=(404,),
        example={**EXAMPLE_DETAIL, "status": "pending"},
    )
    def post(self, request: Request, job_id: UUID) -> Response:
        """What is done already is skipped. A job that waits tries now; 409 when it is done."""
        job = services.retry_job(self.actor, job_id)
        return Response(serializers.PanelJobDetailSerializer(job).data)


class DeploymentView(ApiView):
    scopes = {"GET": "jobs:read"}

    @operation(
        "How far a deployment is",
        tag=JOBS,
        answers=serializers.DeploymentSerializer,
        errors=(404,),
        example=EXAMPLE_DEPLOYMENT,
    )
    def get(self, request: Request, deployment_id: UUID) -> Response:
        """Every operation that answers with a `deployment_id` is followed here."""
        return Response(
            serializers.DeploymentSerializer(selectors.get_job(self.actor, deployment_id)).data
        )
