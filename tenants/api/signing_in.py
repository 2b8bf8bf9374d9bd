"""JSON about signing in: by password, by one-time code, by link; tokens and forgotten passwords."""

from typing import Any, ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.api.serializers import Serializer, single
from mpanel.core.api.views import ApiView, operation
from tenants import browser, selectors, serializers, services, tokens
from tenants.examples import ACCOUNTS, EXAMPLE_TRIAL, EXAMPLE_USER, PAIR, TRIAL
from tenants.models import Session, User
from tenants.paid import paid_for
from tenants.services.codes import GOOD_FOR


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


class RegisterView(ApiView):
    public = True

    def compute(self, request: Request) -> None:
        given = self.body(request, serializers.RegisterSerializer)
        services.count_registration(self.address)
        hashed = services.HashedPassword.of(
            given["password"], email=given["email"], name=given["name"]
        )
        self._given = {**given, "password": hashed}

    @operation(
        "Register with a password",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.RegisterSerializer,
        answers=single(serializers.RegisteredSerializer),
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
        return Response({"data": serializers.RegisteredSerializer(registered).data}, 201)


class RequestCodeView(ApiView):
    public = True

    @operation(
        "Ask for a one-time code",
        tag=TRIAL,
        public=True,
        takes=serializers.RequestCodeSerializer,
        answers=serializers.CodeSentSerializer,
        request_example={"email": "ada@example.com", "plan": "professional"},
        example={"message": "If the address can receive mail, a code is there.", "expires_in": 600},
    )
    def post(self, request: Request) -> Response:
        """An e-mail brings a code of six digits. The answer is the same for every address."""
        given = self.body(request, serializers.RequestCodeSerializer)
        services.ask_for_code(
            given["email"], params={"plan": given["plan"]}, **browser.origin(request._request)
        )
        answer = {
            "message": "If the address can receive mail, a code is there in a moment.",
            "expires_in": int(GOOD_FOR.total_seconds()),
        }
        return Response(answer)


class VerifyCodeView(ApiView):
    public = True

    @operation(
        "Sign in with the code",
        tag=TRIAL,
        public=True,
        takes=serializers.VerifyCodeSerializer,
        answers=serializers.SignedInSerializer,
        errors=(401, 403),
        request_example={"email": "ada@example.com", "otp": "123456"},
        example={**PAIR, "trial": EXAMPLE_TRIAL},
    )
    def post(self, request: Request) -> Response:
        """The first success opens the account and starts its 7-day trial."""
        given = self.body(request, serializers.VerifyCodeSerializer)
        signed_in = services.sign_in_by_code(
            given["email"],
            given["otp"],
            **browser.origin(request._request),
            second_factor=given["second_factor"],
            registration_id=given["registration_id"],
        )
        session = start_api_session(self, signed_in.user)
        actor = selectors.actor_in(session, address=self.address)
        plan = given["plan"] or signed_in.params.get("plan", "")
        trial = paid_for().begin_trial(actor, plan)
        return Response({**token_pair(session), "trial": trial})


class PasswordView(ApiView):
    """Signing in with a password, which is hashed before a key's transaction begins."""

    public = True
    shape: ClassVar[type[Serializer]]

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


class LogInView(PasswordView):
    shape = serializers.LogInSerializer

    @operation(
        "Sign in with a password",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.LogInSerializer,
        answers=single(serializers.LoggedInSerializer),
        errors=(401, 403),
        request_example={"email": "ada@example.com", "password": "a long and good one"},
        example={"data": {**PAIR, "user": EXAMPLE_USER}},
    )
    def post(self, request: Request) -> Response:
        """401 AUTH_INVALID_CREDENTIALS; 401 SECOND_FACTOR_REQUIRED asks for `second_factor`."""
        session = self.start_session()
        answer = {**token_pair(session), "user": serializers.UserSerializer(self._user).data}
        return Response({"data": answer})


class RefreshView(ApiView):
    public = True

    @operation(
        "Get the next pair of tokens",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.RefreshSerializer,
        answers=single(serializers.TokensSerializer),
        errors=(401, 403),
        example={"data": PAIR},
    )
    def post(self, request: Request) -> Response:
        """A refresh token is good once. Who comes with one that was replaced ends the session."""
        given = self.body(request, serializers.RefreshSerializer)
        session = services.rotate(given["refresh_token"], arrived_at=self.arrived_at)
        return Response({"data": token_pair(session)})


class LogOutView(ApiView):
    person = True

    @operation("End this session", tag=ACCOUNTS, status=204)
    def post(self, request: Request) -> Response:
        """Access and refresh tokens of this session are refused from now on."""
        browser.sign_out(request._request, self.actor)
        return Response(status=204)


class ForgotPasswordView(ApiView):
    public = True

    @operation(
        "Ask for a code that sets a new password",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.ForgotPasswordSerializer,
        status=202,
    )
    def post(self, request: Request) -> Response:
        """The answer is the same whether or not the address is known."""
        given = self.body(request, serializers.ForgotPasswordSerializer)
        services.ask_to_reset(given["email"], **browser.origin(self.request._request))
        return Response(status=202)


class ResetPasswordView(ApiView):
    public = True

    def compute(self, request: Request) -> None:
        given = self.body(request, serializers.ResetPasswordSerializer)
        self._reset = services.prepare_reset(**given, **browser.origin(request._request))

    @operation(
        "Set a new password",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.ResetPasswordSerializer,
        status=204,
    )
    def post(self, request: Request) -> Response:
        """Every session of the account ends."""
        services.reset_password(self._reset, address=self.address)
        return Response(status=204)


class SessionExchangeView(ApiView):
    public = True

    @operation(
        "Use a one-time login link",
        tag=ACCOUNTS,
        public=True,
        takes=serializers.ExchangeSerializer,
        answers=serializers.ExchangedSerializer,
        errors=(403, 410),
        example={"status": "success", "user": EXAMPLE_USER},
    )
    def post(self, request: Request) -> Response:
        """Sets the browser's session cookie. 410 when the link was used or is too old."""
        given = self.body(request, serializers.ExchangeSerializer)
        user = services.use_login_link(given["token"], address=self.address)
        browser.sign_out(request._request, getattr(request._request, "actor", None))
        browser.sign_in(request._request, user, by_link=True)
        return Response({"status": "success", "user": serializers.UserSerializer(user).data})
