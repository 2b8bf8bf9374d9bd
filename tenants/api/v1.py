"""JSON about who: sessions, profile, API keys."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.serializers import page_of, single
from mpanel.core.api.views import ApiView, listing, operation
from tenants import selectors, serializers, services
from tenants.examples import (
    ACCOUNTS,
    EXAMPLE_KEY,
    EXAMPLE_PROFILE,
    EXAMPLE_SESSION,
    EXAMPLE_USER,
    KEYS,
)
from tenants.models import ApiKey
from tenants.paid import paid_for


class MeView(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "Who am I",
        tag=ACCOUNTS,
        answers=single(serializers.MeSerializer),
        example={"data": {**EXAMPLE_USER, "role": "owner", "tier": "professional"}},
    )
    def get(self, request: Request) -> Response:
        """The user, their role, and the plan."""
        user = selectors.get_user(self.actor)
        answer = {
            "id": user.pk,
            "email": user.email,
            "name": user.name,
            "created_at": user.created_at,
            "role": self.actor.role,
            "tier": paid_for().tier(self.actor),
        }
        return Response({"data": serializers.MeSerializer(answer).data})


class SessionsView(ApiView):
    person = True

    @listing(
        "List the sessions that live",
        tag=ACCOUNTS,
        item=serializers.SessionSerializer,
        example=EXAMPLE_SESSION,
    )
    def get(self, request: Request) -> Response:
        """The person's own, the last used first."""
        found = selectors.sessions(self.actor)
        return self.page(request, found, serializers.SessionSerializer, actor=self.actor)


class OneSessionView(ApiView):
    person = True

    @operation("End a session", tag=ACCOUNTS, status=204, errors=(404,))
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Its tokens are refused from now on."""
        services.end_session(self.actor, session_id)
        return Response(status=204)


class OtherSessionsView(ApiView):
    person = True

    @operation("End all other sessions", tag=ACCOUNTS, status=204)
    def post(self, request: Request) -> Response:
        """All but the one that asks."""
        services.end_other_sessions(self.actor)
        return Response(status=204)


class SessionTokenView(ApiView):
    person = True

    @operation(
        "Make a one-time login link",
        tag=ACCOUNTS,
        answers=serializers.LoginUrlSerializer,
        example={"url": "https://panel.example.com/login/session/4f0c..."},
    )
    def post(self, request: Request) -> Response:
        """It signs this person in to a browser, once, within 90 seconds."""
        return Response({"url": services.make_login_link(self.actor)})


class ProfileView(ApiView):
    scopes = {"GET": "account:read", "PATCH": "account:write"}

    @operation(
        "Get the profile",
        tag=ACCOUNTS,
        answers=single(serializers.ProfileSerializer),
        example={"data": EXAMPLE_PROFILE},
    )
    def get(self, request: Request) -> Response:
        """The person, and the organisation they act in."""
        return self._answer()

    @operation(
        "Change the profile",
        tag=ACCOUNTS,
        takes=serializers.ProfileChangeSerializer,
        answers=single(serializers.ProfileSerializer),
        request_example={"name": "Ada", "preferences": {"theme": "dark"}},
        example={"data": EXAMPLE_PROFILE},
    )
    def patch(self, request: Request) -> Response:
        """Only what is given changes."""
        services.change_profile(
            self.actor, **self.body(request, serializers.ProfileChangeSerializer)
        )
        return self._answer()

    def _answer(self) -> Response:
        return Response({"data": serializers.ProfileSerializer(selectors.profile(self.actor)).data})


class ApiKeysView(ApiView):
    person = True

    @listing(
        "List API keys",
        tag=KEYS,
        item=serializers.ApiKeySerializer,
        example=EXAMPLE_KEY,
        query=serializers.ApiKeyQuerySerializer,
    )
    def get(self, request: Request) -> Response:
        """An admin sees the organisation's keys, a member their own."""
        query = self.query(request, serializers.ApiKeyQuerySerializer)
        found = selectors.api_keys(self.actor, search=query["search"]).order_by(query["order"])
        return Response(page_of(found, query, serializers.ApiKeySerializer))

    @operation(
        "Make an API key",
        tag=KEYS,
        takes=serializers.NewApiKeySerializer,
        answers=single(serializers.ApiKeyMadeSerializer),
        status=201,
        request_example={"name": "CI", "scopes": ["domains:read", "mailboxes:write"]},
        example={"data": {**EXAMPLE_KEY, "key": "mpk_k3J9sQ0aTz_..."}},
    )
    def post(self, request: Request) -> Response:
        """`key` is shown only once. The key acts as who made it, within its scopes. 403 CODE_NEEDED
        in a browser that was signed in a while ago."""
        given = self.body(request, serializers.NewApiKeySerializer)
        made = services.create_api_key(self.actor, **given)
        row: ApiKey = selectors.get_api_key(self.actor, made.key.pk)
        return Response(
            {"data": {**serializers.ApiKeySerializer(row).data, "key": made.plain}}, 201
        )


class OneApiKeyView(ApiView):
    person = True

    @operation("Revoke an API key", tag=KEYS, status=204, errors=(404,))
    def delete(self, request: Request, api_key_id: UUID) -> Response:
        """It is refused from now on."""
        services.revoke_api_key(self.actor, api_key_id)
        return Response(status=204)
