"""JSON about what is paid: the trial, and the plan."""

from rest_framework.request import Request
from rest_framework.response import Response

from billing import serializers
from billing.selectors import account_status
from billing.services import TrialExpired
from mpanel.core.api.views import ApiView, operation
from tenants import selectors as people
from tenants.examples import ACCOUNTS, EXAMPLE_TRIAL, EXAMPLE_USER, TRIAL


class TrialStatusView(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "How the trial stands",
        tag=TRIAL,
        answers=serializers.TrialSerializer,
        example=EXAMPLE_TRIAL,
    )
    def get(self, request: Request) -> Response:
        """403 TRIAL_EXPIRED once it is over."""
        found = account_status(self.actor)
        if not found.active:
            raise TrialExpired
        return Response(serializers.TrialSerializer(found).data)


class UserWithSubscriptionView(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "Who am I, and what do I pay",
        tag=ACCOUNTS,
        answers=serializers.UserWithSubscriptionSerializer,
        example={
            "id": EXAMPLE_USER["id"],
            "email": EXAMPLE_USER["email"],
            "tier": "professional",
            "subscription_status": "active",
            "subscription_id": None,
            "renews_at": None,
            "ends_at": None,
        },
    )
    def get(self, request: Request) -> Response:
        """The user with their subscription."""
        user, found = people.get_user(self.actor), account_status(self.actor)
        answer = {
            "id": user.pk,
            "email": user.email,
            "tier": found.limits.key,
            **serializers.subscription_of(found),
        }
        return Response(serializers.UserWithSubscriptionSerializer(answer).data)
