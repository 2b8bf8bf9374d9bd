"""Serializers of limits and of what was sent."""

from typing import Any

from rest_framework import serializers

from deliverability.limits import MOST_A_DAY
from deliverability.selectors import Sending
from mpanel.core.api.serializers import CamelSerializer, Whole


class NewRampSerializer(CamelSerializer):
    """A warm-up: so many recipients today, so many more each day after."""

    start = Whole(min_value=1, max_value=MOST_A_DAY)
    step = Whole(min_value=1, max_value=MOST_A_DAY)


class NewLimitsSerializer(CamelSerializer):
    """How much a mailbox may send."""

    daily_limit = Whole(
        min_value=1,
        max_value=MOST_A_DAY,
        allow_null=True,
        help_text="Recipients a day (UTC); null for the usual limit.",
    )
    warmup = NewRampSerializer(allow_null=True, help_text="null for none.")

    @staticmethod
    def arguments(given: dict[str, Any]) -> dict[str, Any]:
        """What the service takes."""
        return {"daily_limit": given["daily_limit"], **(given["warmup"] or {})}


class RampSerializer(CamelSerializer):
    """A warm-up that runs."""

    since = serializers.DateField()
    start = serializers.IntegerField()
    step = serializers.IntegerField()
    reaches_limit_on = serializers.DateField()


class SendingDaySerializer(CamelSerializer):
    """What was sent on a day, in recipients, and what became of it as far as is known."""

    date = serializers.DateField()
    sent = serializers.IntegerField()
    delivered = serializers.IntegerField()
    deferred = serializers.IntegerField()
    bounced = serializers.IntegerField()
    complaints = serializers.IntegerField()


class SendingSerializer(CamelSerializer):
    """How a mailbox sends. Days are UTC days."""

    daily_sent = serializers.IntegerField(help_text="Recipients of this day.")
    daily_limit = serializers.IntegerField(help_text="Of this day, the warm-up included.")
    full_limit = serializers.IntegerField(help_text="The limit after the warm-up.")
    is_usual_limit = serializers.BooleanField(help_text="Whether no other limit was chosen.")
    warmup = RampSerializer(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_reason = serializers.CharField(help_text='"" unless sending is paused.')
    days = SendingDaySerializer(many=True, help_text="The last thirty, the oldest first.")


def sending_as_json(sending: Sending) -> dict[str, Any]:
    """In the shape `SendingShape`."""
    ramp = sending.ramp
    values = {
        "daily_sent": sending.use.sent,
        "daily_limit": sending.use.limit,
        "full_limit": sending.ceiling,
        "is_usual_limit": sending.usual,
        "warmup": ramp
        and {
            "since": ramp.since,
            "start": ramp.start,
            "step": ramp.step,
            "reaches_limit_on": sending.reaches,
        },
        "paused_at": sending.mailbox.paused_at,
        "paused_reason": sending.mailbox.paused_reason,
        "days": sending.days,
    }
    shown: dict[str, Any] = SendingSerializer(values).data
    return shown
