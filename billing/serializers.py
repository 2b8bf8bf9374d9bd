"""Serializers of what is paid: trial, limits, tier."""

from rest_framework import serializers

from billing.selectors import AccountStatus
from mpanel.core.api.serializers import Serializer


class PlanLimitsSerializer(Serializer):
    """The limits in force now; null for none."""

    max_inboxes = serializers.IntegerField(source="inboxes", allow_null=True)
    max_domains = serializers.IntegerField(source="domains", allow_null=True)


class TrialSerializer(Serializer):
    """The trial, or the plan after it. `daysLeft` and `expiresAt` are null without a trial."""

    active = serializers.BooleanField()
    daysLeft = serializers.IntegerField(source="days_left", allow_null=True)  # noqa: N815
    plan = serializers.CharField()
    expiresAt = serializers.DateTimeField(source="ends_at", allow_null=True)  # noqa: N815
    plan_limits = PlanLimitsSerializer(source="limits")


class UserWithSubscriptionSerializer(Serializer):
    """A user and what they pay; the four last are null without a subscription."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    tier = serializers.CharField()
    subscription_status = serializers.CharField(allow_null=True)
    subscription_id = serializers.CharField(allow_null=True)
    renews_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


def subscription_of(status: AccountStatus) -> dict[str, object]:
    """The subscription as source 4 shows it. A trial is none, but it has an end."""
    return {
        "subscription_status": {"trial": None, "expired": "expired"}.get(status.status, "active"),
        "subscription_id": None,
        "renews_at": None,
        "ends_at": status.ends_at,
    }
