"""Serializers of zones, their records, and what was changed in them."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from dnszones.live_zone import LiveZone, ZoneRecord
from dnszones.models import ChangePlan, Zone
from dnszones.plans import Change
from dnszones.record_types import TYPES
from dnszones.records import GREATEST_TTL, LONGEST, RecordData
from dnszones.selectors import ZONE_STATUSES, plan_of, zone_status
from dnszones.serializers.setups import losses_of
from dnszones.zonefiles import Question
from mpanel.core.api.serializers import (
    CamelPageQuerySerializer,
    CamelSerializer,
    Text,
    Whole,
    YesNo,
    confirmation_field,
)
from mpanel.core.losses import Kind
from provisioning.models import Job

ACTIONS = ("create", "update", "delete", "keep", "conflict")
ANSWERS = ("left_out", "written", "proposal")
LONGEST_FILE = 2_000_000  # characters; that a zone file may have less is said with a sentence


# --- Coming in -------------------------------------------------------------------------------


class DnsZoneQuerySerializer(CamelPageQuerySerializer):
    """Which zones."""

    customer_id = serializers.UUIDField(
        required=False, default=None, help_text="Your own customer; of another, nothing is found."
    )
    domain_id = serializers.UUIDField(required=False, default=None)
    search = Text(max_length=80, required=False, default="", allow_blank=True)


class DnsRecordQuerySerializer(CamelPageQuerySerializer):
    """Which records of a zone."""

    type = Text(max_length=10, required=False, default="", allow_blank=True)
    search = Text(
        max_length=80, required=False, default="", allow_blank=True, help_text="In name or content."
    )


class NewDnsRecordSerializer(CamelSerializer):
    """A record as it should be."""

    type = serializers.ChoiceField(choices=list(TYPES), help_text="As far as the provider has it.")
    name = Text(
        max_length=254,
        allow_blank=True,
        help_text="Within the zone (`www`, `@` for the zone itself), or the whole name.",
    )
    content = Text(
        max_length=LONGEST,
        trim_whitespace=False,
        help_text="As in a zone file, without the priority; texts without quotes, or in them.",
    )
    ttl = Whole(min_value=1, max_value=GREATEST_TTL, default=300, help_text="In seconds.")
    priority = Whole(
        min_value=0,
        max_value=65_535,
        default=None,
        allow_null=True,
        help_text="Of MX, SRV and URI.",
    )
    proxied = YesNo(
        default=None,
        allow_null=True,
        help_text="Behind the provider's proxy: A, AAAA and CNAME, where it has one. Null keeps "
        "what a present record has, and is false for a new one.",
    )
    confirmation = confirmation_field()


class ZoneFileAnswerSerializer(CamelSerializer):
    """The answer to the question about a line."""

    line = Whole(min_value=1, max_value=LONGEST_FILE)
    use = serializers.ChoiceField(choices=list(ANSWERS))


class ZoneFileSerializer(CamelSerializer):
    """A zone file."""

    zone_file = Text(
        max_length=LONGEST_FILE,
        trim_whitespace=False,
        help_text="RFC 1035, up to a megabyte and 10,000 records; $INCLUDE and $GENERATE are not "
        "followed.",
    )
    answers = serializers.ListField(
        child=ZoneFileAnswerSerializer(),
        default=list,
        max_length=1_000,
        help_text="To `questions` about lines of this file; the others are left out.",
    )


class ApplyDnsChangeSerializer(CamelSerializer):
    """Consent to a change as it was shown."""

    replace_conflicts = serializers.ListField(
        child=Text(max_length=64),
        default=list,
        max_length=10_000,
        help_text="Ids of conflicts that are overwritten; of the others nothing is written.",
    )
    confirmation = confirmation_field()


# --- Going out -------------------------------------------------------------------------------


class DnsZoneSerializer(CamelSerializer):
    """A domain's zone at its DNS provider."""

    id = serializers.UUIDField()
    domain_id = serializers.UUIDField()
    domain = serializers.CharField(source="domain.name")
    provider = serializers.CharField()
    status = serializers.SerializerMethodField()
    nameservers = serializers.ListField(
        child=serializers.CharField(), source="domain.shown_nameservers"
    )
    dnssec = serializers.SerializerMethodField(help_text="Whether it was turned on here.")
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ChoiceField(choices=list(ZONE_STATUSES)))
    def get_status(self, zone: Zone) -> str:
        return zone_status(zone)

    def get_dnssec(self, zone: Zone) -> bool:
        return zone.dnssec_wanted is True


class DnsRecordSerializer(CamelSerializer):
    """A record of a zone."""

    id = serializers.CharField(allow_null=True, help_text="Null while it is not written.")
    type = serializers.CharField()
    name = serializers.CharField(help_text="The whole name, without its last dot.")
    content = serializers.CharField(allow_blank=True)
    ttl = serializers.IntegerField(help_text="In seconds; 1 where the provider chooses.")
    priority = serializers.IntegerField(allow_null=True)
    proxied = serializers.BooleanField(
        help_text="Whether the provider's proxy answers in its place; its TTL is then automatic."
    )
    purpose = serializers.CharField(
        allow_null=True, help_text="What the mail setup keeps it for: mx, spf, dkim, ..."
    )
    is_editable = serializers.BooleanField(
        help_text="False for what belongs to the provider, and types that cannot be written."
    )


class DnsRecordWrittenSerializer(DnsRecordSerializer):
    """A record that was or will be written, and by which change."""

    status = serializers.ChoiceField(choices=["pending", "written", "deleted"])
    change_id = serializers.UUIDField()
    job_id = serializers.UUIDField(allow_null=True)
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="What this breaks, such as mail."
    )


class DnsChangeCountsSerializer(CamelSerializer):
    """How many changes of each kind."""

    create = serializers.IntegerField()  # type: ignore[assignment]
    update = serializers.IntegerField()  # type: ignore[assignment]
    delete = serializers.IntegerField()
    keep = serializers.IntegerField()
    conflict = serializers.IntegerField()


class DnsChangeSerializer(CamelSerializer):
    """One change of a zone: who wrote what, and when."""

    id = serializers.UUIDField()
    zone_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=list(ChangePlan.KINDS))
    status = serializers.ChoiceField(choices=list(ChangePlan.STATUSES))
    created_by = serializers.CharField(allow_null=True, help_text="Null for mPanel itself.")
    created_at = serializers.DateTimeField()
    applied_at = serializers.DateTimeField(allow_null=True)
    counts = DnsChangeCountsSerializer()
    reverts = serializers.UUIDField(allow_null=True, help_text="The change that it takes back.")
    can_be_reverted = serializers.BooleanField()


class DnsChangeRecordSerializer(CamelSerializer):
    """A record within a change."""

    type = serializers.CharField()
    name = serializers.CharField()
    content = serializers.CharField(allow_blank=True)
    ttl = serializers.IntegerField()
    priority = serializers.IntegerField(allow_null=True)
    proxied = serializers.BooleanField()


class DnsChangeStepSerializer(CamelSerializer):
    """One step of a change, or why there is none."""

    id = serializers.CharField(help_text="For `replaceConflicts`.")
    action = serializers.ChoiceField(choices=list(ACTIONS))
    before = DnsChangeRecordSerializer(many=True)
    after = DnsChangeRecordSerializer(allow_null=True)
    reason = serializers.CharField(allow_blank=True)


class DnsLossSerializer(CamelSerializer):
    """What is live now and will not be once the change is applied."""

    kind = serializers.ChoiceField(choices=list(get_args(Kind)))
    name = serializers.CharField(help_text="The DNS name that it is about.")
    sentence = serializers.CharField()


class RevertDnsChangeSerializer(CamelSerializer):
    """Consent to what taking back takes away."""

    confirmation = confirmation_field()


class DeleteDnsRecordSerializer(CamelSerializer):
    """Consent to what the deletion takes away."""

    confirmation = confirmation_field()


class DnsChangeTroubleSerializer(CamelSerializer):
    """Why a change failed."""

    code = serializers.CharField()
    message = serializers.CharField()


class DnsChangeQuestionSerializer(CamelSerializer):
    """A line of a zone file that looks wrong."""

    line = serializers.IntegerField()
    text = serializers.CharField()
    written = DnsChangeRecordSerializer(
        allow_null=True, help_text="As the file has it, if it can be."
    )
    proposal = DnsChangeRecordSerializer(
        allow_null=True, help_text="What was probably meant, if clear."
    )
    answer = serializers.ChoiceField(choices=list(ANSWERS))


class DnsChangeDetailSerializer(DnsChangeSerializer):
    """A change with its steps; none before it is computed."""

    steps = DnsChangeStepSerializer(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    questions = DnsChangeQuestionSerializer(
        many=True,
        help_text="About lines of a zone file that look wrong: each is left out until the file is "
        "sent again with `answers`.",
    )
    confirmations = serializers.ListField(
        child=serializers.CharField(), help_text="What must be confirmed, in sentences."
    )
    losses = DnsLossSerializer(many=True)
    confirmation = serializers.CharField(
        allow_blank=True,
        help_text="What `apply` takes as `confirmation`; empty if nothing is lost.",
    )
    error = DnsChangeTroubleSerializer(allow_null=True)
    job_id = serializers.UUIDField(allow_null=True)


def record_of(found: ZoneRecord) -> dict[str, Any]:
    """A record in the shape `DnsRecord`."""
    return {
        "id": found.id,
        **data_of(found.data),
        "purpose": found.kept.purpose if found.kept else None,
        "is_editable": found.is_editable,
    }


def data_of(data: RecordData) -> dict[str, Any]:
    """A record's value in the shape `DnsChangeRecord`."""
    return {
        "type": data.type,
        "name": data.name,
        "content": data.content,
        "ttl": data.ttl,
        "priority": data.priority,
        "proxied": data.proxied,
    }


def written_of(
    row: ChangePlan, data: RecordData, job: Job | None, *, sight: LiveZone | None, status: str
) -> dict[str, Any]:
    """A record in the shape `DnsRecordWritten`. `sight`: the zone afterwards, if it was read."""
    found = sight.with_value(data) if sight else None
    shown = record_of(found) if found else {**data_of(data), "id": None, "purpose": None}
    return {
        "is_editable": True,
        **shown,
        "status": status,
        "change_id": row.pk,
        "job_id": job and job.pk,
        "warnings": row.warnings,
    }


def change_of(row: ChangePlan, *, can_be_reverted: bool) -> dict[str, Any]:
    """A plan in the shape `DnsChange`."""
    plan = plan_of(row)
    actions: list[str] = [change.action for change in plan.changes] if plan else []
    return {
        "id": row.pk,
        "zone_id": row.zone_id,
        "kind": row.kind,
        "status": row.status,
        "created_by": row.created_by.email if row.created_by else None,
        "created_at": row.created_at,
        "applied_at": row.applied_at,
        "counts": {action: actions.count(action) for action in ACTIONS},
        "reverts": row.reverts_id,
        "can_be_reverted": can_be_reverted,
    }


def change_detail_of(row: ChangePlan, job: Job | None, *, can_be_reverted: bool) -> dict[str, Any]:
    """A plan in the shape `DnsChangeDetail`."""
    plan = plan_of(row)
    has_failed = job is not None and row.status == ChangePlan.FAILED
    return {
        **change_of(row, can_be_reverted=can_be_reverted),
        "steps": [_step_of(change) for change in (plan.changes if plan else ())],
        "warnings": row.warnings,
        "questions": [_question_of(Question.from_json(stored)) for stored in row.questions],
        **losses_of(plan),
        "error": {"code": job.error_code or "FAILED", "message": job.error_message}
        if job and has_failed
        else None,
        "job_id": job and job.pk,
    }


def _question_of(question: Question) -> dict[str, Any]:
    return {
        "line": question.line,
        "text": question.sentence,
        "written": question.written and data_of(question.written),
        "proposal": question.proposal and data_of(question.proposal),
        "answer": question.answer,
    }


def _step_of(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "action": change.action,
        "before": [data_of(record.data) for record in change.before],
        "after": data_of(change.after) if change.after else None,
        "reason": change.reason,
    }
