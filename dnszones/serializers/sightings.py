"""Serializers of what is seen of records: at the zone, in caches, and behind SPF."""

import math
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers

from dnszones.models import PropagationSession, Record
from dnszones.records import LONGEST_TXT
from dnszones.selectors import PURPOSES, PropagationReport, Verification
from dnszones.spf import Flattening
from mpanel.core.api.serializers import Serializer, Text, YesNo


class FlattenSPFSerializer(Serializer):
    """An SPF record that needs too many lookups."""

    domain = Text(max_length=253)
    original_spf = Text(
        max_length=LONGEST_TXT,
        default="",
        allow_blank=True,
        help_text="Without it, the record that the domain publishes.",
    )
    ipv6_support = YesNo(default=True, help_text="false leaves IPv6 ranges out.")


class SetupVerifiedSerializer(Serializer):
    """What the zone's own nameservers said last. What they could not be asked is unknown."""

    spf_configured = serializers.BooleanField()
    dkim_configured = serializers.BooleanField()
    dmarc_configured = serializers.BooleanField()
    mx_configured = serializers.BooleanField()
    tracking_configured = serializers.BooleanField()
    missing_records = serializers.ListField(child=serializers.CharField())
    conflicts = serializers.ListField(child=serializers.CharField())
    unknown = serializers.ListField(child=serializers.CharField())
    checked_at = serializers.DateTimeField(allow_null=True)


class PollingSessionSerializer(Serializer):
    """Watching a domain's records spread, for 48 hours at most."""

    id = serializers.UUIDField()
    domain_id = serializers.UUIDField(source="zone.domain_id")
    user_id = serializers.SerializerMethodField(help_text="null: it is the whole account's.")
    status = serializers.ChoiceField(choices=list(PropagationSession.STATUSES))
    progress = serializers.IntegerField(help_text="Percent.")
    started_at = serializers.DateTimeField(source="created_at")
    completed_at = serializers.DateTimeField(allow_null=True)
    timeout_at = serializers.DateTimeField()
    last_checked_at = serializers.DateTimeField(allow_null=True)
    check_count = serializers.IntegerField()
    estimated_completion_at = serializers.DateTimeField(
        allow_null=True, source="expected_by", help_text="Never in the past: null then."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_user_id(self, session: PropagationSession) -> UUID | None:
        return None


class RecordPropagationSerializer(Serializer):
    """A record, and how many of the resolvers that answered show it."""

    record_id = serializers.UUIDField()
    type = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.ChoiceField(choices=[*PURPOSES, "other"])
    status = serializers.ChoiceField(
        choices=[Record.PENDING, Record.PROPAGATING, Record.PROPAGATED, Record.FAILED]
    )
    propagation_percentage = serializers.IntegerField()
    servers_asked = serializers.IntegerField(help_text="More than half of them must answer.")
    servers_checked = serializers.IntegerField(help_text="Those that answered.")
    servers_propagated = serializers.IntegerField()


class PropagationProgressSerializer(Serializer):
    """All records together."""

    overall_progress = serializers.IntegerField(help_text="Percent.")
    records_propagated = serializers.IntegerField()
    records_total = serializers.IntegerField()
    records_pending = serializers.IntegerField(help_text="All that have not spread yet.")


class PropagationEtaSerializer(Serializer):
    """When caches must have let go of what is old; null where it cannot be told."""

    estimated_completion_at = serializers.DateTimeField(allow_null=True)
    minutes_remaining = serializers.IntegerField(allow_null=True)


class PollingReportSerializer(Serializer):
    """A session, and how far each record is."""

    session = PollingSessionSerializer()
    progress = PropagationProgressSerializer()
    records = RecordPropagationSerializer(many=True)
    eta = PropagationEtaSerializer()


class PropagationSummarySerializer(Serializer):
    """How many records are how far."""

    total_records = serializers.IntegerField()
    propagated = serializers.IntegerField()
    propagating = serializers.IntegerField()
    pending = serializers.IntegerField()
    failed = serializers.IntegerField()


class DomainPropagationSerializer(Serializer):
    """A domain's records, and the session that watches them, if one runs."""

    active_session = PollingSessionSerializer(allow_null=True)
    records = RecordPropagationSerializer(many=True)
    summary = PropagationSummarySerializer()


class SPFFlattenedSerializer(Serializer):
    """A record before and after. `errors`: why receivers still refuse it."""

    original = serializers.CharField()
    flattened_record = serializers.CharField(source="flattened")
    lookups_before = serializers.IntegerField()
    lookups_after = serializers.IntegerField()
    void_lookups = serializers.IntegerField()
    ip_addresses = serializers.ListField(child=serializers.CharField(), source="ips")
    warnings = serializers.SerializerMethodField()
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]

    def get_warnings(self, found: Flattening) -> list[str]:
        return [warning for warning in found.warnings if warning not in found.errors]


def verified_of(found: Verification) -> dict[str, Any]:
    """A verification in the shape `SetupVerified`."""
    return {
        **{f"{purpose}_configured": purpose in found.configured for purpose in PURPOSES},
        "missing_records": found.missing,
        "conflicts": found.conflicts,
        "unknown": found.unknown,
        "checked_at": found.checked_at,
    }


def polling_report_of(report: PropagationReport) -> dict[str, Any]:
    """A report in the shape `PollingReport`."""
    total, propagated = len(report.records), report.count(Record.PROPAGATED)
    until = report.estimated_completion_at
    left = max(0.0, (until - timezone.now()).total_seconds()) if until else None
    return {
        "session": report.session,
        "progress": {
            "overall_progress": report.progress,
            "records_propagated": propagated,
            "records_total": total,
            "records_pending": total - propagated,
        },
        "records": _rows_of(report),
        "eta": {
            "estimated_completion_at": until,
            "minutes_remaining": None if left is None else math.ceil(left / 60),
        },
    }


def domain_propagation_of(report: PropagationReport) -> dict[str, Any]:
    """A report in the shape `DomainPropagation`."""
    counts = {
        status: report.count(status)
        for status in (Record.PROPAGATED, Record.PROPAGATING, Record.PENDING, Record.FAILED)
    }
    return {
        "active_session": report.session,
        "records": _rows_of(report),
        "summary": {"total_records": len(report.records), **counts},
    }


def _rows_of(report: PropagationReport) -> list[dict[str, Any]]:
    return [
        {
            "record_id": row.pk,
            "type": row.type,
            "name": row.name,
            "purpose": row.purpose,
            "status": status.status,
            "propagation_percentage": status.percentage,
            "servers_asked": status.asked,
            "servers_checked": status.answering,
            "servers_propagated": status.matching,
        }
        for row, status in report.records
    ]
