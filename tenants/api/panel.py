"""JSON about who, by the panel's names (source 5)."""

from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.views import ApiView, operation
from tenants import selectors, serializers, services, tokens
from tenants.api.signing_in import PasswordView
from tenants.examples import ACCOUNTS, EXAMPLE_PANEL_USER


class PanelLogInView(PasswordView):
    shape = serializers.PanelLogInSerializer

    @operation(
        "Sign in with a password",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.PanelLogInSerializer,
        answers=serializers.PanelLoggedInSerializer,
        errors=(401, 403),
        example={
            "token": "eyJhbGciOiJIUzI1NiIs...",
            "refreshToken": "eyJhbGciOiJIUzI1NiIs...",
            "user": EXAMPLE_PANEL_USER,
        },
        request_example={"email": "ada@example.com", "password": "a long and good one"},
    )
    def post(self, request: Request) -> Response:
        """401 AUTH_INVALID_CREDENTIALS; 401 SECOND_FACTOR_REQUIRED asks for `secondFactor`."""
        session = self.start_session()
        actor = selectors.actor_in(session, address=self.address)
        answer = {
            "token": tokens.access_token(session),
            "refresh_token": tokens.refresh_token(session),
            "user": serializers.panel_user(actor, self._user),
        }
        return Response(serializers.PanelLoggedInSerializer(answer).data)


class PanelRefreshView(ApiView):
    public = True

    @operation(
        "Get the next pair of tokens",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.PanelRefreshSerializer,
        answers=serializers.PanelTokensSerializer,
        errors=(401, 403),
        example={
            "token": "eyJhbGciOiJIUzI1NiIs...",
            "refreshToken": "eyJhbGciOiJIUzI1NiIs...",
        },
    )
    def post(self, request: Request) -> Response:
        """A refresh token is good once. Who comes with one that was replaced ends the session."""
        given = self.body(request, serializers.PanelRefreshSerializer)
        session = services.rotate(given["refresh_token"], arrived_at=self.arrived_at)
        answer = {
            "token": tokens.access_token(session),
            "refresh_token": tokens.refresh_token(session),
        }
        return Response(serializers.PanelTokensSerializer(answer).data)


class PanelMeView(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "Who am I",
        tag=ACCOUNTS,
        answers=serializers.PanelMeSerializer,
        example={**EXAMPLE_PANEL_USER, "permissions": ["account:read", "domains:read"]},
    )
    def get(self, request: Request) -> Response:
        """The user, their roles in the tenant, and what they may do."""
        user = selectors.get_user(self.actor)
        answer = serializers.panel_user(self.actor, user)
        answer["permissions"] = serializers.permissions(self.actor)
        return Response(serializers.PanelMeSerializer(answer).data)
