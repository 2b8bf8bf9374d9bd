"""Serializers of mail setups: what is asked for, planned and written."""

from dataclasses import asdict
from typing import Any, get_args

from rest_framework import serializers

from dnszones.mail_records import PLATFORMS, TRACKING_HOSTS
from dnszones.mail_tls import MODES
from dnszones.models import ChangePlan
from dnszones.plans import Change, Plan
from dnszones.plans.setups import SetupReport
from dnszones.records import LONGEST_TXT, RecordData
from dnszones.selectors import PURPOSES
from mpanel.core.api.serializers import (
    Email,
    Id,
    Serializer,
    Text,
    Whole,
    YesNo,
    confirmation_field,
)
from mpanel.core.errors import Invalid
from mpanel.core.losses import Kind

MOST_HOSTS = 20
# What `MailSetup` calls otherwise than the contract.
SPOKEN = {
    "platform": "email_platform",
    "custom_mx": "custom_mx_records",
    "microsoft_mx": "microsoft_mx_host",
    "dkim_value": "dkim_public_key",
    "dmarc_rua": "dmarc_report_email",
    "dmarc_ruf": "dmarc_forensic_email",
    "spf_existing": "existing_spf_record",
    "flatten": "flatten_spf",
    "tls_rpt": "tls_report_email",
}
SETUP_STATUSES = [
    ChangePlan.COMPUTING,
    ChangePlan.APPLYING,
    ChangePlan.APPLIED,
    ChangePlan.FAILED,
]


# --- Coming in -------------------------------------------------------------------------------


class MxRecordSerializer(Serializer):
    """A mail host."""

    priority = Whole(min_value=0, max_value=65_535)
    server = Text(max_length=253)


class MailSetupSerializer(Serializer):
    """How a domain shall handle mail."""

    email_platform = serializers.ChoiceField(choices=list(PLATFORMS))
    custom_mx_records = serializers.ListField(
        child=MxRecordSerializer(), default=list, max_length=MOST_HOSTS, help_text="For custom."
    )
    microsoft_mx_host = Text(
        max_length=254,
        default="",
        allow_blank=True,
        help_text="For microsoft-365, where it is needed: the MX host that Microsoft shows, which "
        "ends in .mail.protection.outlook.com or .mx.microsoft.",
    )
    spf_includes = serializers.ListField(
        child=Text(max_length=253), default=list, max_length=MOST_HOSTS
    )
    existing_spf_record = Text(
        max_length=LONGEST_TXT,
        default="",
        allow_blank=True,
        help_text="One that stands elsewhere; the zone's own is always read and kept.",
    )
    dkim_selector = Text(max_length=63, default="", allow_blank=True)
    dkim_public_key = Text(
        max_length=4000, default="", allow_blank=True, help_text="PEM, base64 or the TXT value."
    )
    dkim_targets = serializers.ListField(
        child=Text(max_length=253),
        default=list,
        max_length=2,
        help_text="For microsoft-365: the CNAME targets of selector1 and selector2.",
    )
    dmarc_policy = serializers.ChoiceField(choices=["none", "quarantine", "reject"], default="none")
    dmarc_report_email = Email(required=False)
    dmarc_forensic_email = Email(required=False)
    enable_tracking = YesNo(default=False)
    tracking_subdomain = Text(max_length=63, default="track")
    tracking_provider = serializers.ChoiceField(choices=["none", *TRACKING_HOSTS], default="none")
    mta_sts = serializers.ChoiceField(
        choices=list(MODES), default="none", help_text="For mailserver: TLS for incoming mail."
    )
    tls_report_email = Email(required=False, help_text="For mailserver: reports on TLS.")
    autoconfig = YesNo(
        default=False, help_text="For mailserver: mail programs find their settings."
    )
    flatten_spf = YesNo(default=False, help_text="Also where ten lookups are enough.")
    flatten_ipv6 = YesNo(default=True)
    skip_duplicates = YesNo(
        default=True, help_text="What stands already is never written twice, whatever is said here."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["custom_mx_records"] and given.get("email_platform") != "custom":
            raise serializers.ValidationError(
                {"custom_mx_records": ["Mail hosts need the email_platform custom."]}
            )
        if given["microsoft_mx_host"] and given.get("email_platform") != "microsoft-365":
            raise serializers.ValidationError(
                {"microsoft_mx_host": ["This needs the email_platform microsoft-365."]}
            )
        if given["enable_tracking"] and given["tracking_provider"] == "none":
            raise serializers.ValidationError(
                {"tracking_provider": [f"Choose {' or '.join(TRACKING_HOSTS)}."]}
            )
        return given

    @staticmethod
    def choices(given: dict[str, Any]) -> dict[str, Any]:
        """The fields of `MailSetup` that the caller chose."""
        tracks = given["enable_tracking"]
        return {
            "platform": given["email_platform"],
            "custom_mx": tuple(
                (row["priority"], row["server"].rstrip(".").lower())
                for row in given["custom_mx_records"]
            ),
            "microsoft_mx": given["microsoft_mx_host"],
            "spf_includes": tuple(given["spf_includes"]),
            "spf_existing": given["existing_spf_record"],
            "dkim_selector": given["dkim_selector"],
            "dkim_value": given["dkim_public_key"],
            "dkim_targets": tuple(given["dkim_targets"]),
            "dmarc_policy": given["dmarc_policy"],
            "dmarc_rua": given.get("dmarc_report_email", ""),
            "dmarc_ruf": given.get("dmarc_forensic_email", ""),
            "tracking_provider": given["tracking_provider"] if tracks else "none",
            "tracking_subdomain": given["tracking_subdomain"] if tracks else "",
            "mta_sts": given["mta_sts"],
            "tls_rpt": given.get("tls_report_email", ""),
            "autoconfig": given["autoconfig"],
            "flatten": given["flatten_spf"],
            "flatten_ipv6": given["flatten_ipv6"],
        }


class MailSetupOrderSerializer(MailSetupSerializer):
    """A plan that was shown, by its id; or a setup, to be planned and applied."""

    plan_id = Id(required=False, default=None)
    email_platform = serializers.ChoiceField(
        choices=list(PLATFORMS), required=False, help_text="Needed without plan_id."
    )
    replace_conflicts = serializers.ListField(
        child=Text(max_length=32),
        default=list,
        max_length=100,
        help_text="Ids of conflicts of the plan that may be overwritten.",
    )
    confirmation = confirmation_field()

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        own = {"plan_id", "replace_conflicts", "confirmation"}
        if given["plan_id"] and (more := sorted(set(self.initial_data) - own)):
            raise serializers.ValidationError(
                {name: ["The plan says this already."] for name in more}
            )
        if not given["plan_id"] and "email_platform" not in given:
            raise serializers.ValidationError(
                {"email_platform": ["Give a plan_id, or say where mail is handled."]}
            )
        return super().validate(given)


def said_otherwise(error: Invalid) -> Invalid:
    """The error of a `MailSetup` with the fields as the contract calls them."""
    details = {SPOKEN.get(name, name): texts for name, texts in error.details.items()}
    return type(error)(error.message, details=details)


# --- Going out: plans ------------------------------------------------------------------------


class RecordValueSerializer(Serializer):
    """A DNS record."""

    type = serializers.CharField()
    name = serializers.CharField()
    content = serializers.CharField()
    ttl = serializers.IntegerField()
    priority = serializers.IntegerField(allow_null=True)
    proxied = serializers.BooleanField(help_text="Whether the provider's proxy answers instead.")


class PlannedChangeSerializer(Serializer):
    """A record that is created, updated, deleted, kept, or in conflict, and why.

    `content`, `ttl` and `priority` are those that it shall have, null where it only goes. `before`
    holds the records that are there now.
    """

    id = serializers.CharField(help_text="Names the same change in the next plan, too.")
    action = serializers.ChoiceField(choices=["create", "update", "keep", "conflict", "delete"])
    type = serializers.CharField()
    name = serializers.CharField()
    content = serializers.CharField(allow_null=True)
    ttl = serializers.IntegerField(allow_null=True)
    priority = serializers.IntegerField(allow_null=True)
    purpose = serializers.ChoiceField(choices=[*PURPOSES, "other"])
    level = serializers.ChoiceField(choices=["required", "recommended", "optional"])
    reason = serializers.CharField()
    proxied = serializers.BooleanField(
        help_text="Whether the record shall be proxied: never, where mail needs it."
    )
    before = RecordValueSerializer(many=True)


class LossSerializer(Serializer):
    """What is live now and will not be once the plan is applied."""

    kind = serializers.ChoiceField(choices=list(get_args(Kind)))
    name = serializers.CharField(help_text="The DNS name that it is about.")
    sentence = serializers.CharField()


class SetupPreviewSerializer(Serializer):
    """What would be written to the zone. While `status` is computing, the lists are empty."""

    plan_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=[ChangePlan.COMPUTING, ChangePlan.READY])
    create = PlannedChangeSerializer(many=True)  # type: ignore[assignment]
    update = PlannedChangeSerializer(many=True)  # type: ignore[assignment]
    keep = PlannedChangeSerializer(many=True)
    conflict = PlannedChangeSerializer(many=True)
    delete = PlannedChangeSerializer(many=True)
    untouched = serializers.IntegerField(help_text="Other records of the zone.")
    warnings = serializers.ListField(child=serializers.CharField())
    requires_confirmation = serializers.BooleanField()
    confirmations = serializers.ListField(
        child=serializers.CharField(), help_text="What must be confirmed, in sentences."
    )
    losses = LossSerializer(many=True)
    confirmation = serializers.CharField(
        allow_blank=True,
        help_text="What `setup` takes as `confirmation`; empty if nothing is lost.",
    )


class PurposeResultSerializer(Serializer):
    """What came of the records of one purpose."""

    status = serializers.ChoiceField(
        choices=["pending", "written", "kept", "conflict", "failed"],
        help_text="conflict: some record was left as it is, because it is not ours.",
    )
    records = PlannedChangeSerializer(many=True)


class SetupResultSerializer(Serializer):
    """How far a setup is. A purpose is null where the setup has no record of it."""

    plan_id = serializers.UUIDField()
    domain = serializers.CharField()
    status = serializers.ChoiceField(choices=SETUP_STATUSES)
    deployment_id = serializers.UUIDField()
    records_created = serializers.IntegerField(
        help_text="Changes that were written: records created, updated, or taken away."
    )
    records_failed = serializers.IntegerField()
    records_skipped = serializers.IntegerField(help_text="Right already, or left as a conflict.")
    spf = PurposeResultSerializer(allow_null=True)
    dkim = PurposeResultSerializer(allow_null=True)
    dmarc = PurposeResultSerializer(allow_null=True)
    mx = PurposeResultSerializer(allow_null=True)
    tracking = PurposeResultSerializer(allow_null=True)
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    warnings = serializers.ListField(child=serializers.CharField())


def change_of(change: Change) -> dict[str, Any]:
    """A change in the shape `PlannedChange`."""
    shown = change.after or change.before[0].data
    value = _record_of(shown)
    if change.after is None:
        value |= {"content": None, "ttl": None, "priority": None}
    return value | {
        "id": change.id,
        "action": change.action,
        "purpose": change.purpose,
        "level": change.level,
        "reason": change.reason,
        "before": [_record_of(record.data) for record in change.before],
    }


def preview_of(row: ChangePlan, plan: Plan | None) -> dict[str, Any]:
    """A plan in the shape `SetupPreview`."""
    is_ready = row.status != ChangePlan.COMPUTING and plan is not None
    changes = plan.changes if plan and is_ready else ()
    lists = {
        action: [change_of(change) for change in changes if change.action == action]
        for action in ("create", "update", "keep", "conflict", "delete")
    }
    return {
        "plan_id": row.pk,
        "status": ChangePlan.READY if is_ready else ChangePlan.COMPUTING,
        **lists,
        "untouched": plan.untouched if plan and is_ready else 0,
        "warnings": row.warnings,
        "requires_confirmation": bool(plan and plan.requires_confirmation),
        **losses_of(plan),
    }


def losses_of(plan: Plan | None) -> dict[str, Any]:
    """What a plan takes away, and the text by which that is confirmed."""
    losses = plan.losses if plan else ()
    return {
        "confirmations": [loss.sentence for loss in losses],
        "losses": [asdict(loss) for loss in losses],
        "confirmation": plan.digest if plan and losses else "",
    }


def result_of(report: SetupReport) -> dict[str, Any]:
    """A setup in the shape `SetupResult`."""
    row, plan, job = report.row, report.plan, report.job
    changes = plan.changes if plan else ()
    conflicts = [f"Not written: {change.reason}" for change in (plan.conflicts if plan else ())]
    has_failed = row.status == ChangePlan.FAILED
    return {
        "plan_id": row.pk,
        "domain": row.zone.domain.name,
        "status": row.status,
        "deployment_id": job and job.pk,
        "records_created": report.written,
        "records_failed": report.failed,
        "records_skipped": len(changes) - len(plan.steps if plan else ()),
        **{purpose: _purpose_of(purpose, changes, row) for purpose in PURPOSES},
        "errors": [job.error_message] if has_failed and job and job.error_message else [],
        "warnings": [*row.warnings, *conflicts],
    }


def _purpose_of(
    purpose: str, changes: tuple[Change, ...], row: ChangePlan
) -> dict[str, Any] | None:
    mine = [change for change in changes if change.purpose == purpose]
    if not mine:
        return None
    actions = {change.action for change in mine}
    status = {ChangePlan.APPLIED: "written", ChangePlan.FAILED: "failed"}.get(row.status, "pending")
    if "conflict" in actions:
        status = "conflict"
    elif actions == {"keep"}:
        status = "kept"
    return {"status": status, "records": [change_of(change) for change in mine]}


def _record_of(data: RecordData) -> dict[str, Any]:
    return {
        "type": data.type,
        "name": data.name,
        "content": data.content,
        "ttl": data.ttl,
        "priority": data.priority,
        "proxied": data.proxied,
    }
