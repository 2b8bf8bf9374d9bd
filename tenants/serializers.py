"""Serializers of who: accounts, sessions, keys."""

from typing import Any

from rest_framework import serializers

from mpanel.core.actor import SCOPES, Actor
from mpanel.core.api.serializers import (
    CamelSerializer,
    Email,
    PageQuerySerializer,
    Serializer,
    Text,
)
from tenants.models import ApiKey, Session, User
from tenants.paid import PAID, paid_for
from tenants.services.passwords import LONGEST

CODE_LENGTH = 20


class Password(Text):
    """A password: what is typed counts, spaces included."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(max_length=LONGEST, trim_whitespace=False, **kwargs)


# --- Coming in -------------------------------------------------------------------------------


class RegisterSerializer(Serializer):
    """A new user."""

    email = Email()
    password = Password(min_length=1)
    name = Text(max_length=120, default="", allow_blank=True)


class LogInSerializer(Serializer):
    """E-mail address and password, and a code where a second factor is on."""

    email = Email()
    password = Password()
    second_factor = Text(max_length=CODE_LENGTH, default="", allow_blank=True)


class PanelLogInSerializer(CamelSerializer):
    """E-mail address and password, and a code where a second factor is on."""

    email = Email()
    password = Password()
    second_factor = Text(max_length=CODE_LENGTH, default="", allow_blank=True)


class RefreshSerializer(Serializer):
    """The newest refresh token of a session."""

    refresh_token = Text(max_length=2000)


class PanelRefreshSerializer(CamelSerializer):
    """The newest refresh token of a session."""

    refresh_token = Text(max_length=2000)


class ForgotPasswordSerializer(Serializer):
    """Whose password was forgotten."""

    email = Email()


class ResetPasswordSerializer(Serializer):
    """A new password, for the code that was sent."""

    email = Email()
    code = Text(max_length=CODE_LENGTH)
    password = Password(min_length=1)


class ExchangeSerializer(Serializer):
    """The token of a one-time login link."""

    token = Text(max_length=200)


class ProfileChangeSerializer(Serializer):
    """What a person may change about themselves."""

    name = Text(max_length=120, required=False, allow_blank=True)
    organisation = Text(
        max_length=120, required=False, source="tenant_name", help_text="Its name; for admins."
    )
    avatar = Text(
        max_length=40, required=False, allow_blank=True, help_text="The name of a picture."
    )
    preferences = serializers.DictField(
        child=Text(max_length=500, allow_null=True, allow_blank=True),
        required=False,
        help_text="Merged into the present ones; null removes one.",
    )


class NewApiKeySerializer(Serializer):
    """A key, and what it may do."""

    name = Text(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(SCOPES)), min_length=1, max_length=len(SCOPES)
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    allowed_networks = serializers.ListField(
        child=Text(max_length=50),
        max_length=20,
        default=list,
        help_text="Addresses or networks (CIDR) from which the key may be used; empty for all.",
    )


class ApiKeyQuerySerializer(PageQuerySerializer):
    """Which keys."""

    search = Text(max_length=80, required=False, default="", allow_blank=True)
    order = serializers.ChoiceField(
        choices=["created_at", "-created_at", "name", "-name", "last_used_at", "-last_used_at"],
        default="-created_at",
    )


# --- Going out -------------------------------------------------------------------------------


class RegisteredSerializer(Serializer):
    """What was sent, and how long it is good."""

    registration_id = serializers.UUIDField(source="id")
    email = serializers.EmailField()
    expires_at = serializers.DateTimeField()
    next_step = serializers.SerializerMethodField()

    def get_next_step(self, row: object) -> str:
        return (
            "Send email, registration_id and the code from the e-mail as otp to "
            "/api/v1/auth/trial/verify-otp."
        )


class UserSerializer(Serializer):
    """A user."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


class PanelUserSerializer(CamelSerializer):
    """A user, as the panel says it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.EmailField()
    roles = serializers.ListField(child=serializers.CharField())
    tenant_id = serializers.UUIDField()


class PanelMeSerializer(PanelUserSerializer):
    """Who acts, and what they may do: scopes, or "*" for all."""

    permissions = serializers.ListField(child=serializers.CharField())


class TokensSerializer(Serializer):
    """A pair of tokens. `expires_in`: seconds that the access token is good."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()


class LoggedInSerializer(TokensSerializer):
    """Tokens, and whose they are."""

    user = UserSerializer()


class PanelLoggedInSerializer(CamelSerializer):
    """Tokens, and whose they are."""

    token = serializers.CharField()
    refresh_token = serializers.CharField()
    user = PanelUserSerializer()


class PanelTokensSerializer(CamelSerializer):
    """The next pair of tokens."""

    token = serializers.CharField()
    refresh_token = serializers.CharField()


class SessionSerializer(Serializer):
    """A sign-in that lives."""

    id = serializers.UUIDField()
    kind = serializers.CharField(help_text="browser or api")
    device = serializers.CharField()
    address = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    current = serializers.SerializerMethodField()

    def get_current(self, row: Session) -> bool:
        actor: Actor | None = self.context.get("actor")
        return actor is not None and row.pk == actor.session_id


class LoginUrlSerializer(Serializer):
    """Where the one-time link leads."""

    url = serializers.URLField()


class ExchangedSerializer(Serializer):
    """Signed in: the answer set the browser's session cookie."""

    status = serializers.CharField()
    user = UserSerializer()


class ProfileSerializer(Serializer):
    """A person's profile, and the organisation they act in."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    avatar = serializers.CharField()
    preferences = serializers.DictField()
    role = serializers.CharField()
    organisation = serializers.CharField()
    second_factor = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class ApiKeySerializer(Serializer):
    """An API key, without its secret. `prefix`: how the key begins."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_networks = serializers.ListField(child=serializers.CharField())
    owner = serializers.CharField(source="membership.user.email")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)

    def get_prefix(self, row: ApiKey) -> str:
        return f"mpk_{row.prefix}"


class ApiKeyMadeSerializer(ApiKeySerializer):
    """A new API key; `key` is shown only once."""

    key = serializers.CharField()


def panel_user(actor: Actor, user: User) -> dict[str, object]:
    """A user as the panel says it, with the roles of the tenant they act in."""
    return {
        "id": user.pk,
        "name": user.name,
        "email": user.email,
        "roles": [actor.role, *(["operator"] if actor.is_operator else [])],
        "tenant_id": actor.tenant_id,
    }


def permissions(actor: Actor) -> list[str]:
    """What an actor may do, as scopes."""
    if actor.scopes is not None:
        return sorted(actor.scopes)
    if actor.is_operator:
        return ["*"]
    if actor.is_admin:
        return sorted(set(SCOPES) - {"operator"})
    return sorted(scope for scope in SCOPES if scope.endswith(":read") and scope != "audit:read")


# --- Signing in by code ----------------------------------------------------------------------


class PlanForLater(serializers.ChoiceField):
    """The plan that somebody means to take after the trial, of those that are sold."""

    def __init__(self, **options: Any) -> None:
        # Made anew for each serializer (DRF copies fields so), when the app above has registered.
        plans = [plan for extension in PAID for plan in extension.plans()]
        super().__init__(choices=plans, **options)


class RequestCodeSerializer(Serializer):
    """Who wants to sign in, and which plan they mean to take after the trial."""

    email = Email()
    plan = PlanForLater(required=False, default="", allow_blank=True)


class VerifyCodeSerializer(Serializer):
    """The code from the e-mail."""

    email = Email()
    otp = Text(max_length=CODE_LENGTH)
    plan = PlanForLater(required=False, default="", allow_blank=True)
    registration_id = serializers.UUIDField(
        required=False, default=None, help_text="Of who registered with a password."
    )
    second_factor = Text(
        max_length=CODE_LENGTH,
        default="",
        allow_blank=True,
        help_text="Of the authenticator, where a second factor is on.",
    )


class CodeSentSerializer(Serializer):
    """What happens next; the same whether or not the address is known."""

    message = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds that the code is good.")


class SignedInSerializer(TokensSerializer):
    """Tokens, and the trial."""

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "trial": paid_for().trial_shape()}


class MeSerializer(UserSerializer):
    """The user, their role and the plan."""

    role = serializers.CharField()
    tier = serializers.CharField()
