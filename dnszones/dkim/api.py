"""JSON about a domain's DKIM keys."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dnszones.dkim import rotation
from dnszones.dkim.rotation import DkimReport
from dnszones.models import DkimKey
from domains.api import A_JOB
from mpanel.core.api.serializers import Serializer
from mpanel.core.api.views import ApiView, operation
from provisioning.models import Job

DKIM = "DKIM"
EXAMPLE: dict[str, Any] = {
    "selector": "mpanel",
    "keys": [
        {
            "selector": "mp20261121",
            "status": "next",
            "value": "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A...",
            "published_at": "2026-11-21T10:00:02Z",
            "seen_at": None,
            "signing_since": None,
            "retired_at": None,
        },
        {
            "selector": "mpanel",
            "status": "signing",
            "value": "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A...",
            "published_at": None,
            "seen_at": None,
            "signing_since": "2026-08-01T09:00:00Z",
            "retired_at": None,
        },
    ],
    "rotation": {
        "job_id": A_JOB,
        "status": "waiting",
        "waiting_for": "75% of the resolvers show the key mp20261121.",
        "error_code": "",
        "error_message": "",
    },
}


class DkimKeySerializer(Serializer):
    """A key, without its private half. `published_at`: by a rotation; a setup writes the first."""

    selector = serializers.CharField()
    status = serializers.ChoiceField(choices=list(DkimKey.STATUSES))
    value = serializers.CharField(source="public_value")
    published_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    signing_since = serializers.DateTimeField(allow_null=True)
    retired_at = serializers.DateTimeField(allow_null=True)


class DkimRotationSerializer(Serializer):
    """A rotation under way, or the last one where it failed."""

    job_id = serializers.UUIDField(source="pk")
    status = serializers.ChoiceField(choices=[*Job.ACTIVE, Job.FAILED])
    waiting_for = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(allow_blank=True)
    error_message = serializers.CharField(allow_blank=True)


class DkimSerializer(Serializer):
    """The DKIM keys of a domain, newest first. `selector`: of the key that signs now."""

    selector = serializers.CharField(allow_null=True)
    keys = DkimKeySerializer(many=True)
    rotation = DkimRotationSerializer(allow_null=True)


class DkimView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Get the DKIM keys", tag=DKIM, answers=DkimSerializer, errors=(404,), example=EXAMPLE
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """The keys that sign, signed and shall sign, and how far a rotation is."""
        return Response(_shown(rotation.dkim_report(self.actor, domain_id)))


class RotateDkimView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Rotate the DKIM key",
        tag=DKIM,
        answers=DkimSerializer,
        status=202,
        errors=(404,),
        example=EXAMPLE,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """A new key is published, signs once it is seen everywhere, and the old one is taken away
        some days later. Twice is the running rotation. 409 SIGNED_ELSEWHERE where mail is not
        signed with a key of ours, 409 DOMAIN_NOT_VERIFIED before the nameservers point here."""
        rotation.rotate_dkim(self.actor, domain_id)
        return Response(_shown(rotation.dkim_report(self.actor, domain_id)), 202)


def _shown(report: DkimReport) -> Any:
    return DkimSerializer(
        {
            "selector": report.signing.selector if report.signing else None,
            "keys": report.shown,
            "rotation": report.job,
        }
    ).data
