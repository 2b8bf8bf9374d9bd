"""Serializers of mailboxes at outreach tools."""

from typing import Any

from rest_framework import serializers

from mpanel.core.api.serializers import Id, PageQuerySerializer, Serializer, Whole, YesNo
from outreach.models import OutreachLink, WarmupDay
from outreach.providers.base import WarmupSettings
from outreach.selectors import WarmupStats
from outreach.services import MOST_A_DAY

MOST_SEATED = 100  # mailboxes of one call
SHOWN_STATUSES = list(OutreachLink.STATUSES)


# --- Coming in -------------------------------------------------------------------------------


class ConnectAccountSerializer(Serializer):
    """How a mailbox is warmed up, and with which account; messages are counted per day."""

    credential_id = Id(
        required=False, default=None, help_text="Without it, your first account at the tool."
    )
    warmup_enabled = YesNo(default=True)
    max_email_per_day = Whole(
        min_value=1, max_value=MOST_A_DAY, default=50, help_text="Campaigns and warm-up together."
    )
    total_warmup_per_day = Whole(min_value=0, max_value=MOST_A_DAY, default=40)
    daily_rampup = Whole(
        min_value=0, max_value=MOST_A_DAY, default=5, help_text="How many more each day."
    )

    @staticmethod
    def arguments(given: dict[str, Any]) -> WarmupSettings:
        """What the services take."""
        return WarmupSettings(
            enabled=given["warmup_enabled"],
            max_email_per_day=given["max_email_per_day"],
            total_per_day=given["total_warmup_per_day"],
            daily_rampup=given["daily_rampup"],
        )


class CampaignQuerySerializer(PageQuerySerializer):
    """Whose campaigns."""

    credential_id = serializers.UUIDField(
        required=False, default=None, help_text="Without it, your first account at the tool."
    )


class WarmupQuerySerializer(Serializer):
    """Whose count."""

    provider = serializers.ChoiceField(
        choices=["smartlead", "instantly"],
        required=False,
        default="",
        allow_blank=True,
        help_text="Without it, the tool that the mailbox was connected to last.",
    )


class SeatAccountsSerializer(Serializer):
    """Which mailboxes send for the campaign: one, or several."""

    email_account_id = Id(required=False)
    email_account_ids = serializers.ListField(
        child=Id(), required=False, min_length=1, max_length=MOST_SEATED
    )
    credential_id = Id(
        required=False, default=None, help_text="Without it, your first account at the tool."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("email_account_id" in given) == ("email_account_ids" in given):
            raise serializers.ValidationError(
                {"email_account_id": ["Give email_account_id or email_account_ids."]}
            )
        ids = given.get("email_account_ids") or [given["email_account_id"]]
        return {"ids": list(dict.fromkeys(ids)), "credential_id": given["credential_id"]}


# --- Going out -------------------------------------------------------------------------------


class SmartleadMappingSerializer(Serializer):
    """A mailbox here, and the account at Smartlead that it is there."""

    id = serializers.UUIDField()
    email_account_id = serializers.UUIDField()
    smartlead_email_account_id = serializers.CharField(help_text="Empty until Smartlead has it.")
    smartlead_email = serializers.EmailField()


class InstantlyMappingSerializer(Serializer):
    """A mailbox here, and the account at Instantly that it is there."""

    id = serializers.UUIDField()
    email_account_id = serializers.UUIDField()
    instantly_account_id = serializers.CharField(help_text="Empty until Instantly has it.")
    instantly_email = serializers.EmailField()


class WarmupSerializer(Serializer):
    """How a mailbox is warmed up."""

    warmup_enabled = serializers.BooleanField()
    max_email_per_day = serializers.IntegerField()
    total_warmup_per_day = serializers.IntegerField()
    daily_rampup = serializers.IntegerField()


class SmartleadConnectionSerializer(Serializer):
    """How far it is. The error is why it failed."""

    mapping = SmartleadMappingSerializer()
    status = serializers.ChoiceField(choices=SHOWN_STATUSES)
    warmup = WarmupSerializer()
    error_code = serializers.CharField()
    error_message = serializers.CharField()
    deployment_id = serializers.UUIDField(allow_null=True)


class InstantlyConnectionSerializer(Serializer):
    """How far it is. The error is why it failed."""

    mapping = InstantlyMappingSerializer()
    status = serializers.ChoiceField(choices=SHOWN_STATUSES)
    warmup = WarmupSerializer()
    error_code = serializers.CharField()
    error_message = serializers.CharField()
    deployment_id = serializers.UUIDField(allow_null=True)


class WarmupDaySerializer(Serializer):
    """One day (UTC). What is null, the tool does not count."""

    date = serializers.DateField()
    sent = serializers.IntegerField()
    delivered = serializers.IntegerField(allow_null=True)
    bounced = serializers.IntegerField(allow_null=True)
    replied = serializers.IntegerField()
    deliverability_rate = serializers.FloatField(
        allow_null=True, help_text="Percent of what was sent that was delivered."
    )


class WarmupStatsSerializer(Serializer):
    """Up to seven days of warm-up, the oldest first."""

    email_account_id = serializers.UUIDField()
    warmup_enabled = serializers.BooleanField()
    stats = WarmupDaySerializer(many=True)


class CampaignSerializer(Serializer):
    """A campaign at the tool."""

    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(
        choices=["draft", "active", "paused", "stopped", "completed", "other"]
    )


class SeatSerializer(Serializer):
    """A mailbox in a campaign; `joining` until the tool knows."""

    email_account_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["joining", "joined"])


class SeatsSerializer(Serializer):
    """Who sends for the campaign now, of those that were asked for."""

    campaign_id = serializers.CharField()
    campaign = serializers.CharField()
    items = SeatSerializer(many=True)
    deployment_id = serializers.UUIDField(allow_null=True)


# Fields of a mapping by tool: where its id and its address stand.
MAPPING_FIELDS = {
    "smartlead": ("smartlead_email_account_id", "smartlead_email"),
    "instantly": ("instantly_account_id", "instantly_email"),
}


def connection_of(link: OutreachLink, deployment_id: object) -> dict[str, Any]:
    """A connection in the shape of its tool."""
    id_field, email_field = MAPPING_FIELDS[link.provider]
    return {
        "mapping": {
            "id": str(link.pk),
            "email_account_id": str(link.mailbox_id),
            id_field: link.remote_id,
            email_field: link.mailbox.address,
        },
        "status": link.status,
        "warmup": {
            name: getattr(link, name)
            for name in (
                "warmup_enabled",
                "max_email_per_day",
                "total_warmup_per_day",
                "daily_rampup",
            )
        },
        "error_code": link.error_code,
        "error_message": link.error_message,
        "deployment_id": str(deployment_id) if deployment_id else None,
    }


def stats_of(stats: WarmupStats) -> dict[str, Any]:
    """Warm-up in the shape `WarmupStatsShape`."""
    return {
        "email_account_id": str(stats.mailbox_id),
        "warmup_enabled": stats.enabled,
        "stats": [_day(day) for day in stats.days],
    }


def _day(day: WarmupDay) -> dict[str, Any]:
    is_known = day.delivered is not None and day.sent > 0
    return {
        "date": day.date.isoformat(),
        "sent": day.sent,
        "delivered": day.delivered,
        "bounced": day.bounced,
        "replied": day.replied,
        "deliverability_rate": round(100 * (day.delivered or 0) / day.sent, 1)
        if is_known
        else None,
    }
