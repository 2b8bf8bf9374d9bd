"""JSON about a domain's SPF record and its flattening."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dnszones.models import SpfFlattening
from dnszones.spf.flattened import services as flattening
from dnszones.spf.flattened.services import SpfReport
from mpanel.core.api.serializers import Serializer
from mpanel.core.api.views import ApiView, operation

SPF = "SPF"
EXAMPLE: dict[str, Any] = {
    "status": "live",
    "original": "v=spf1 include:_spf.example.net ~all",
    "published_record": "v=spf1 ip4:192.0.2.0/24 ~all",
    "parts": [],
    "lookups_before": 1,
    "lookups": 0,
    "void_lookups": 0,
    "warnings": [],
    "published_at": "2026-11-21T10:00:02Z",
    "checked_at": "2026-11-27T09:30:00Z",
    "next_check_at": "2026-11-27T10:30:00Z",
    "error": "",
    "failing_since": None,
    "history": [
        {
            "at": "2026-11-21T10:00:02Z",
            "what": "Flattened",
            "added": ["ip4:192.0.2.0/24"],
            "removed": [],
            "change_id": "01993b7e-5c00-7000-8000-000000000007",
        }
    ],
}


class SpfPartSerializer(Serializer):
    """A record that the published one includes, because it is too long for one."""

    name = serializers.CharField()
    content = serializers.CharField()


class SpfChangeSerializer(Serializer):
    """Which networks came and went. `change_id`: the change of the zone that published them."""

    at = serializers.DateTimeField(source="created_at")
    what = serializers.CharField()
    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    change_id = serializers.UUIDField(source="plan_id", allow_null=True)


class SpfRecordSerializer(Serializer):
    """A domain's SPF record. `status`: `live` while its addresses are kept up to date, `edited`
    after somebody else changed it, `stopped`, or `off` where it never was flattened.

    `published_record` stands for `original`. `error`: why the senders could not be looked
    up last; the last good record stays meanwhile.
    """

    status = serializers.ChoiceField(choices=[*SpfFlattening.STATUSES, "off"])
    original = serializers.CharField(allow_null=True)
    published_record = serializers.CharField(allow_null=True)
    parts = SpfPartSerializer(many=True)
    lookups_before = serializers.IntegerField(allow_null=True)
    lookups = serializers.IntegerField(allow_null=True)
    void_lookups = serializers.IntegerField(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())
    published_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    next_check_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    history = SpfChangeSerializer(many=True)


class SpfRecordView(ApiView):
    scopes = {"GET": "dns:read"}

    @operation(
        "Get the SPF record", tag=SPF, answers=SpfRecordSerializer, errors=(404,), example=EXAMPLE
    )
    def get(self, request: Request, domain_id: UUID) -> Response:
        """What is published, what it was made from, how old it is, and what changed."""
        return Response(_shown(flattening.spf_report(self.actor, domain_id)))


class CheckSpfView(ApiView):
    scopes = {"POST": "dns:read"}

    @operation(
        "Look at the senders now",
        tag=SPF,
        answers=SpfRecordSerializer,
        status=202,
        errors=(404,),
        example=EXAMPLE,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """A worker looks at once, and publishes what changed. 409 SPF_NOT_FLATTENED where the
        record is not flattened."""
        flattening.check_spf_now(self.actor, domain_id)
        return Response(_shown(flattening.spf_report(self.actor, domain_id)), 202)


class StopSpfView(ApiView):
    scopes = {"POST": "dns:write"}

    @operation(
        "Stop flattening",
        tag=SPF,
        answers=SpfRecordSerializer,
        status=202,
        errors=(404,),
        example=EXAMPLE,
    )
    def post(self, request: Request, domain_id: UUID) -> Response:
        """The source is published again. 409 SPF_NOT_FLATTENED where the record is not
        flattened."""
        flattening.stop_flattening(self.actor, domain_id)
        return Response(_shown(flattening.spf_report(self.actor, domain_id)), 202)


def _shown(report: SpfReport) -> Any:
    found = report.flattening
    shown: dict[str, Any] = {
        name: getattr(found, name, None)
        for name in (
            "lookups_before",
            "lookups",
            "void_lookups",
            "published_at",
            "checked_at",
            "next_check_at",
            "failing_since",
        )
    }
    text = found.text if found and report.is_flattened else None
    parts = found.parts.items() if found else ()
    shown |= {
        "status": report.status,
        "original": found.source if found else None,
        "published_record": text or (report.record.content if report.record else None),
        "parts": [{"name": name, "content": part} for name, part in parts],
        "warnings": found.warnings if found else [],
        "error": found.error if found else "",
        "history": report.history,
    }
    return SpfRecordSerializer(shown).data
