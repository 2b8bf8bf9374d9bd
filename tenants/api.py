"""JSON about who: registering, signing in, sessions, profile, API keys."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.shapes import Shape, page_of, single
from mpanel.core.api.views import ApiView, listing, operation
from tenants import browser, selectors, services, tokens
from tenants import serializers as shapes
from tenants.examples import (
    EXAMPLE_KEY,
    EXAMPLE_PANEL_USER,
    EXAMPLE_PROFILE,
    EXAMPLE_SESSION,
    EXAMPLE_USER,
    PAIR,
)
from tenants.models import ApiKey, Session, User

ACCOUNTS, KEYS = "Accounts and sessions", "API keys"


def token_pair(session: Session) -> dict[str, Any]:
    """The tokens of a session, as source 1 and 4 name them."""
    return {
        "access_token": tokens.access_token(session),
        "refresh_token": tokens.refresh_token(session),
        "token_type": "Bearer",
        "expires_in": int(settings.ACCESS_TOKEN_LASTS.total_seconds()),
    }


def start_api_session(view: ApiView, user: User) -> Session:
    """A session for a client that keeps tokens."""
    return services.start_session(
        user,
        kind=Session.API,
        address=view.address,
        user_agent=view.request.headers.get("User-Agent", ""),
    )


class Register(ApiView):
    public = True

    def compute(self, request: Request) -> None:
        given = self.body(request, shapes.Register)
        services.count_registration(self.address)
        hashed = services.HashedPassword.of(
            given["password"], email=given["email"], name=given["name"]
        )
        self._given = {**given, "password": hashed}

    @operation(
        "Register with a password",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.Register,
        answers=single(shapes.Registered),
        status=201,
        request_example={"email": "ada@example.com", "password": "a long and good one"},
        example={
            "data": {
                "registration_id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b16",
                "email": "ada@example.com",
                "expires_at": "2026-11-21T09:10:00Z",
                "next_step": "Send email, registration_id and the code ...",
            }
        },
    )
    def post(self, request: Request) -> Response:
        """The account begins when the e-mail address is confirmed. The answer is the same whether
        or not the address is known."""
        registered = services.register(**self._given, **browser.origin(self.request._request))
        return Response({"data": shapes.Registered(registered).data}, 201)


class _PasswordView(ApiView):
    """Signing in with a password, which is hashed before a key's transaction begins."""

    public = True
    shape: ClassVar[type[Shape]]

    def compute(self, request: Request) -> None:
        given = self.body(request, self.shape)
        self._code = given.pop("second_factor")
        origin = browser.origin(self.request._request)
        self._user = services.user_of_password(**given, **origin)

    def start_session(self) -> Session:
        """Raises `SecondFactorRequired`."""
        origin = browser.origin(self.request._request)
        services.require_second_factor(self._user, self._code, **origin)
        return start_api_session(self, self._user)


class LogIn(_PasswordView):
    shape = shapes.LogIn

    @operation(
        "Sign in with a password",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.LogIn,
        answers=single(shapes.LoggedIn),
        errors=(401, 403),
        request_example={"email": "ada@example.com", "password": "a long and good one"},
        example={"data": {**PAIR, "user": EXAMPLE_USER}},
    )
    def post(self, request: Request) -> Response:
        """401 AUTH_INVALID_CREDENTIALS; 401 SECOND_FACTOR_REQUIRED asks for `second_factor`."""
        session = self.start_session()
        answer = {**token_pair(session), "user": shapes.UserShape(self._user).data}
        return Response({"data": answer})


class Refresh(ApiView):
    public = True

    @operation(
        "Get the next pair of tokens",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.Refresh,
        answers=single(shapes.Tokens),
        errors=(401, 403),
        example={"data": PAIR},
    )
    def post(self, request: Request) -> Response:
        """A refresh token is good once. Who comes with one that was replaced ends the session."""
        given = self.body(request, shapes.Refresh)
        session = services.rotate(given["refresh_token"], arrived_at=self.arrived_at)
        return Response({"data": token_pair(session)})


class LogOut(ApiView):
    person = True

    @operation("End this session", tag=ACCOUNTS, status=204)
    def post(self, request: Request) -> Response:
        """Access and refresh tokens of this session are refused from now on."""
        browser.sign_out(request._request, self.actor)
        return Response(status=204)


class ForgotPassword(ApiView):
    public = True

    @operation(
        "Ask for a code that sets a new password",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.ForgotPassword,
        status=202,
    )
    def post(self, request: Request) -> Response:
        """The answer is the same whether or not the address is known."""
        given = self.body(request, shapes.ForgotPassword)
        services.ask_to_reset(given["email"], **browser.origin(self.request._request))
        return Response(status=202)


class ResetPassword(ApiView):
    public = True

    def compute(self, request: Request) -> None:
        given = self.body(request, shapes.ResetPassword)
        self._reset = services.prepare_reset(**given, **browser.origin(request._request))

    @operation(
        "Set a new password",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.ResetPassword,
        status=204,
    )
    def post(self, request: Request) -> Response:
        """Every session of the account ends."""
        services.reset_password(self._reset, address=self.address)
        return Response(status=204)


class Sessions(ApiView):
    person = True

    @listing(
        "List the sessions that live",
        tag=ACCOUNTS,
        item=shapes.SessionShape,
        example=EXAMPLE_SESSION,
    )
    def get(self, request: Request) -> Response:
        """The person's own, the last used first."""
        found = selectors.sessions(self.actor)
        return self.page(request, found, shapes.SessionShape, actor=self.actor)


class OneSession(ApiView):
    person = True

    @operation("End a session", tag=ACCOUNTS, status=204, errors=(404,))
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Its tokens are refused from now on."""
        services.end_session(self.actor, session_id)
        return Response(status=204)


class OtherSessions(ApiView):
    person = True

    @operation("End all other sessions", tag=ACCOUNTS, status=204)
    def post(self, request: Request) -> Response:
        """All but the one that asks."""
        services.end_other_sessions(self.actor)
        return Response(status=204)


class SessionToken(ApiView):
    person = True

    @operation(
        "Make a one-time login link",
        tag=ACCOUNTS,
        answers=shapes.LoginUrl,
        example={"url": "https://panel.example.com/login/session/4f0c..."},
    )
    def post(self, request: Request) -> Response:
        """It signs this person in to a browser, once, within 90 seconds."""
        return Response({"url": services.make_login_link(self.actor)})


class SessionExchange(ApiView):
    public = True

    @operation(
        "Use a one-time login link",
        tag=ACCOUNTS,
        public=True,
        takes=shapes.Exchange,
        answers=shapes.Exchanged,
        errors=(403, 410),
        example={"status": "success", "user": EXAMPLE_USER},
    )
    def post(self, request: Request) -> Response:
        """Sets the browser's session cookie. 410 when the link was used or is too old."""
        given = self.body(request, shapes.Exchange)
        user = services.use_login_link(given["token"], address=self.address)
        browser.sign_out(request._request, getattr(request._request, "actor", None))
        browser.sign_in(request._request, user, by_link=True)
        return Response({"status": "success", "user": shapes.UserShape(user).data})


class Profile(ApiView):
    scopes = {"GET": "account:read", "PATCH": "account:write"}

    @operation(
        "Get the profile",
        tag=ACCOUNTS,
        answers=single(shapes.Profile),
        example={"data": EXAMPLE_PROFILE},
    )
    def get(self, request: Request) -> Response:
        """The person, and the organisation they act in."""
        return self._answer()

    @operation(
        "Change the profile",
        tag=ACCOUNTS,
        takes=shapes.ProfileChange,
        answers=single(shapes.Profile),
        request_example={"name": "Ada", "preferences": {"theme": "dark"}},
        example={"data": EXAMPLE_PROFILE},
    )
    def patch(self, request: Request) -> Response:
        """Only what is given changes."""
        services.change_profile(self.actor, **self.body(request, shapes.ProfileChange))
        return self._answer()

    def _answer(self) -> Response:
        return Response({"data": shapes.Profile(selectors.profile(self.actor)).data})


class ApiKeys(ApiView):
    person = True

    @listing(
        "List API keys",
        tag=KEYS,
        item=shapes.ApiKeyShape,
        example=EXAMPLE_KEY,
        query=shapes.ApiKeyQuery,
    )
    def get(self, request: Request) -> Response:
        """An admin sees the organisation's keys, a member their own."""
        query = self.query(request, shapes.ApiKeyQuery)
        found = selectors.api_keys(self.actor, search=query["search"]).order_by(query["order"])
        return Response(page_of(found, query, shapes.ApiKeyShape))

    @operation(
        "Make an API key",
        tag=KEYS,
        takes=shapes.NewApiKey,
        answers=single(shapes.ApiKeyMade),
        status=201,
        request_example={"name": "CI", "scopes": ["domains:read", "mailboxes:write"]},
        example={"data": {**EXAMPLE_KEY, "key": "mpk_k3J9sQ0aTz_..."}},
    )
    def post(self, request: Request) -> Response:
        """`key` is shown only once. The key acts as who made it, within its scopes. 403 CODE_NEEDED
        in a browser that was signed in a while ago."""
        given = self.body(request, shapes.NewApiKey)
        made = services.create_api_key(self.actor, **given)
        row: ApiKey = selectors.get_api_key(self.actor, made.key.pk)
        return Response({"data": {**shapes.ApiKeyShape(row).data, "key": made.plain}}, 201)


class OneApiKey(ApiView):
    person = True

    @operation("Revoke an API key", tag=KEYS, status=204, errors=(404,))
    def delete(self, request: Request, api_key_id: UUID) -> Response:
        """It is refused from now on."""
        services.revoke_api_key(self.actor, api_key_id)
        return Response(status=204)


# --- The panel's names for the same (source 5) -----------------------------------------------


class PanelLogIn(_PasswordView):
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
