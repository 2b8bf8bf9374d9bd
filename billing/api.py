"""JSON about what is paid: from one-time code to trial, and what it allows."""

from rest_framework.request import Request
from rest_framework.response import Response

from billing import serializers as shapes
from billing.selectors import standing
from billing.services import TrialExpired, begin_trial
from mpanel.core.api.shapes import single
from mpanel.core.api.views import ApiView, operation
from tenants import browser
from tenants import selectors as people
from tenants import services as accounts
from tenants.api import ACCOUNTS, start_api_session, token_pair
from tenants.examples import EXAMPLE_USER, PAIR
from tenants.services.codes import GOOD_FOR

TRIAL = "Trial and plan"
EXAMPLE_TRIAL = {
    "active": True,
    "daysLeft": 6,
    "plan": "professional",
    "expiresAt": "2026-11-28T09:00:00Z",
    "plan_limits": {"max_inboxes": 50, "max_domains": 5},
}


class RequestCode(ApiView):
    public = True

    @operation(
        "Ask for a one-time code",
        tag=TRIAL,
        public=True,
        takes=shapes.RequestCode,
        answers=shapes.CodeSent,
        request_example={"email": "ada@example.com", "plan": "professional"},
        example={"message": "If the address can receive mail, a code is there.", "expires_in": 600},
    )
    def post(self, request: Request) -> Response:
        """An e-mail brings a code of six digits. The answer is the same for every address."""
        given = self.body(request, shapes.RequestCode)
        accounts.ask_for_code(
            given["email"], params={"plan": given["plan"]}, **browser.origin(request._request)
        )
        answer = {
            "message": "If the address can receive mail, a code is there in a moment.",
            "expires_in": int(GOOD_FOR.total_seconds()),
        }
        return Response(answer)


class VerifyCode(ApiView):
    public = True

    @operation(
        "Sign in with the code",
        tag=TRIAL,
        public=True,
        takes=shapes.VerifyCode,
        answers=shapes.SignedIn,
        errors=(401, 403),
        request_example={"email": "ada@example.com", "otp": "123456"},
        example={**PAIR, "trial": EXAMPLE_TRIAL},
    )
    def post(self, request: Request) -> Response:
        """The first success opens the account and starts its 7-day trial."""
        given = self.body(request, shapes.VerifyCode)
        signed_in = accounts.sign_in_by_code(
            given["email"],
            given["otp"],
            **browser.origin(request._request),
            second_factor=given["second_factor"],
            registration_id=given["registration_id"],
        )
        session = start_api_session(self, signed_in.user)
        actor = people.actor_in(session, address=self.address)
        begin_trial(actor, plan=given["plan"] or signed_in.params.get("plan", ""))
        answer = {**token_pair(session), "trial": shapes.Trial(standing(actor)).data}
        return Response(answer)


class TrialStatus(ApiView):
    scopes = {"GET": "account:read"}

    @operation("How the trial stands", tag=TRIAL, answers=shapes.Trial, example=EXAMPLE_TRIAL)
    def get(self, request: Request) -> Response:
        """403 TRIAL_EXPIRED once it is over."""
        found = standing(self.actor)
        if not found.active:
            raise TrialExpired
        return Response(shapes.Trial(found).data)


class Me(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "Who am I",
        tag=ACCOUNTS,
        answers=single(shapes.Me),
        example={"data": {**EXAMPLE_USER, "role": "owner", "tier": "professional"}},
    )
    def get(self, request: Request) -> Response:
        """The user, their role, and the plan."""
        user, found = people.get_user(self.actor), standing(self.actor)
        answer = {
            "id": user.pk,
            "email": user.email,
            "name": user.name,
            "created_at": user.created_at,
            "role": self.actor.role,
            "tier": found.limits.key,
        }
        return Response({"data": shapes.Me(answer).data})


class UserWithSubscription(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "Who am I, and what do I pay",
        tag=ACCOUNTS,
        answers=shapes.UserWithSubscription,
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
        user, found = people.get_user(self.actor), standing(self.actor)
        answer = {
            "id": user.pk,
            "email": user.email,
            "tier": found.limits.key,
            **shapes.subscription_of(found),
        }
        return Response(shapes.UserWithSubscription(answer).data)
