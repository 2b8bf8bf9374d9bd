"""JSON about who, by the panel's names (source 5)."""

from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.views import ApiView, operation
from tenants import selectors, services, tokens
from tenants import serializers as shapes
from tenants.api.signing_in import PasswordView
from tenants.examples import ACCOUNTS, EXAMPLE_PANEL_USER


class PanelLogIn(PasswordView):
    shape = shapes.PanelLogIn

    @operation(
        "Sign in with a password",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.PanelLogIn,
        answers=shapes.PanelLoggedIn,
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
            "user": shapes.panel_user(actor, self._user),
        }
        return Response(shapes.PanelLoggedIn(answer).data)


class PanelRefresh(ApiView):
    public = True

    @operation(
        "Get the next pair of tokens",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.PanelRefresh,
        answers=shapes.PanelTokens,
        errors=(401, 403),
        example={
            "token": "eyJhbGciOiJIUzI1NiIs...",
            "refreshToken": "eyJhbGciOiJIUzI1NiIs...",
        },
    )
    def post(self, request: Request) -> Response:
        """A refresh token is good once. Who comes with one that was replaced ends the session."""
        given = self.body(request, shapes.PanelRefresh)
        session = services.rotate(given["refresh_token"], arrived_at=self.arrived_at)
        answer = {
            "token": tokens.access_token(session),
            "refresh_token": tokens.refresh_token(session),
        }
        return Response(shapes.PanelTokens(answer).data)


class PanelMe(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "Who am I",
        tag=ACCOUNTS,
        answers=shapes.PanelMe,
        example={**EXAMPLE_PANEL_USER, "permissions": ["account:read", "domains:read"]},
    )
    def get(self, request: Request) -> Response:
        """The user, their roles in the tenant, and what they may do."""
        user = selectors.get_user(self.actor)
        answer = shapes.panel_user(self.actor, user)
        answer["permissions"] = shapes.permissions(self.actor)
        return Response(shapes.PanelMe(answer).data)
