"""JSON shapes of what is paid: trial, limits, tier."""

from rest_framework import serializers

from billing.plans import PLANS, TRIAL
from billing.selectors import Standing
from mpanel.core.api.shapes import Email, Shape, Text
from tenants.serializers import CODE_LENGTH, Tokens, UserShape

FOR_LATER = [plan for plan in PLANS if plan != TRIAL]


class RequestCode(Shape):
    """Who wants to sign in, and which plan they mean to take after the trial."""

    email = Email()
    plan = serializers.ChoiceField(choices=FOR_LATER, required=False, default="", allow_blank=True)


class VerifyCode(Shape):
    """The code from the e-mail."""

    email = Email()
    otp = Text(max_length=CODE_LENGTH)
    plan = serializers.ChoiceField(choices=FOR_LATER, required=False, default="", allow_blank=True)
    registration_id = serializers.UUIDField(
        required=False, default=None, help_text="Of who registered with a password."
    )
    second_factor = Text(
        max_length=CODE_LENGTH,
        default="",
        allow_blank=True,
        help_text="Of the authenticator, where a second factor is on.",
    )


class CodeSent(Shape):
    """What happens next; the same whether or not the address is known."""

    message = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds that the code is good.")


class PlanLimits(Shape):
    """The limits in force now; null for none."""

    max_inboxes = serializers.IntegerField(source="inboxes", allow_null=True)
    max_domains = serializers.IntegerField(source="domains", allow_null=True)


class Trial(Shape):
    """The trial, or the plan after it. `daysLeft` and `expiresAt` are null without a trial."""

    active = serializers.BooleanField()
    daysLeft = serializers.IntegerField(source="days_left", allow_null=True)  # noqa: N815
    plan = serializers.CharField()
    expiresAt = serializers.DateTimeField(source="ends_at", allow_null=True)  # noqa: N815
    plan_limits = PlanLimits(source="limits")


class SignedIn(Tokens):
    """Tokens, and the trial."""

    trial = Trial()


class Me(UserShape):
    """The user, their role and the plan."""

    role = serializers.CharField()
    tier = serializers.CharField()


class UserWithSubscription(Shape):
    """A user and what they pay; the four last are null without a subscription."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    tier = serializers.CharField()
    subscription_status = serializers.CharField(allow_null=True)
    subscription_id = serializers.CharField(allow_null=True)
    renews_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


def subscription_of(standing: Standing) -> dict[str, object]:
    """The subscription as source 4 shows it. A trial is none, but it has an end."""
    return {
        "subscription_status": {"trial": None, "expired": "expired"}.get(standing.status, "active"),
        "subscription_id": None,
        "renews_at": None,
        "ends_at": standing.ends_at,
    }
