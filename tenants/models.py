"""Tenants, users and their roles, sessions, API keys, one-time codes, provider credentials."""

import json
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from mpanel.core import actor, registry
from mpanel.core.addresses import CANONICAL, clean_address
from mpanel.core.errors import Invalid
from mpanel.core.models import Row, StatusRow, new_id
from mpanel.core.secrets import SealedField, seal, unseal
from tenants import included
from tenants.team.models import Invitation  # noqa: F401  # Django finds a table here


class Tenant(StatusRow):
    """A customer's organisation: everything it has carries its id."""

    ACTIVE, SUSPENDED = "active", "suspended"
    STATUSES: ClassVar[dict[str, str]] = {ACTIVE: "Active", SUSPENDED: "Suspended"}
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        ACTIVE: frozenset({SUSPENDED}),
        SUSPENDED: frozenset({ACTIVE}),
    }

    name = models.CharField(max_length=120)
    status = models.CharField(max_length=32, default=ACTIVE)

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Users are known by their e-mail address, whatever its capitals."""

    def get_by_natural_key(self, username: str | None) -> "User":
        try:
            return self.get(email=clean_address(username or ""))
        except Invalid:
            raise self.model.DoesNotExist from None

    def create_user(self, email: str, *, name: str = "", is_operator: bool = False) -> "User":
        """A user without a password: people sign in by one-time code."""
        user = self.model(email=clean_address(email), name=name, is_operator=is_operator)
        user.set_unusable_password()
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person. What they may do, a membership says."""

    ACTIVE, SUSPENDED = "active", "suspended"
    STATUSES: ClassVar[dict[str, str]] = {ACTIVE: "Active", SUSPENDED: "Suspended"}

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # As `clean_address` writes it, so that one mailbox is one user.
    email = models.EmailField(max_length=254, unique=True)
    # What it was, where the address had to be given up: another user has the same mailbox.
    former_email = models.CharField(max_length=254, blank=True, editable=False)
    name = models.CharField(max_length=120, blank=True)
    avatar = models.CharField(max_length=40, blank=True)
    preferences = models.JSONField(default=dict)
    is_active = models.BooleanField(default=True)
    is_operator = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    objects = UserManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="one_user_per_email"),
            models.CheckConstraint(
                condition=models.Q(email__regex=CANONICAL), name="email_in_its_one_form"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def status(self) -> str:
        return self.ACTIVE if self.is_active else self.SUSPENDED

    @property
    def is_staff(self) -> bool:
        """Whether Django's admin is for this person."""
        return self.is_active and self.is_operator

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Django's admin asks. Operators look at everything; what changes, services decide."""
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff


class SessionQuerySet(models.QuerySet["Session"]):
    """What sessions are called."""

    def live(self) -> "SessionQuerySet":
        """Those that were neither ended nor left unused for too long."""
        return self.filter(ended_at=None, expires_at__gt=timezone.now())


class Membership(Row):
    """A user's role in a tenant."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(
        max_length=16,
        choices=[(actor.OWNER, "Owner"), (actor.ADMIN, "Admin"), (actor.MEMBER, "Member")],
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="one_membership_each"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant}: {self.role}"


class Session(Row):
    """A sign-in: of a browser, or of a client that holds a refresh token.

    Access tokens name their session, so that ending it ends them. Only the newest refresh token is
    good; who comes with an older one ends the session.
    """

    BROWSER, API = "browser", "api"

    membership = models.ForeignKey(Membership, models.CASCADE, related_name="sessions")
    kind = models.CharField(max_length=8)
    device = models.CharField(max_length=120, blank=True)
    address = models.CharField(max_length=45, blank=True)
    # The browser's cookie and the network of the last use: who comes with either is known. Emptied
    # when the session is ended by somebody, or the password changes.
    device_key = models.UUIDField(null=True)
    network = models.CharField(max_length=45, blank=True)
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=32, blank=True)
    refresh_id = models.CharField(max_length=32, blank=True)
    rotated_at = models.DateTimeField(null=True)
    # When the person last proved who they are: by signing in, or by a fresh code (decision 38).
    confirmed_at = models.DateTimeField(null=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-last_used_at"]
        indexes = [
            models.Index(fields=["membership", "ended_at"], name="session_by_member"),
            models.Index(fields=["device_key"], name="session_by_device"),
        ]

    def __str__(self) -> str:
        return self.device or self.kind

    @property
    def is_live(self) -> bool:
        return self.ended_at is None and self.expires_at > timezone.now()

    @property
    def is_confirmed(self) -> bool:
        """Whether the person proved a moment ago who they are."""
        lasts = timedelta(seconds=settings.CONFIRMATION_LASTS)
        return self.confirmed_at is not None and self.confirmed_at > timezone.now() - lasts


class ApiKey(Row):
    """A key of a program. It acts as the person who made it, within its scopes.

    The key is `mpk_<prefix>_<secret>`; only the hash of the secret is kept.
    """

    membership = models.ForeignKey(Membership, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True)
    secret_hash = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    # Networks in CIDR notation from which the key may be used; empty for all.
    allowed_networks = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_address = models.CharField(max_length=45, blank=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "API key"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_live(self) -> bool:
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not expired


class SecondFactor(Row):
    """A user's authenticator (TOTP, RFC 6238) and the hashes of recovery codes not used yet."""

    user = models.OneToOneField(User, models.CASCADE, related_name="second_factor")
    sealed = SealedField()
    confirmed_at = models.DateTimeField(null=True)
    # The last time step that was accepted, so that no code works twice.
    last_step = models.BigIntegerField(default=0)
    recovery_hashes = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"second factor of {self.user}"

    def set_secret(self, secret: str) -> None:
        self.sealed = seal(secret, row=self, column="sealed")

    def secret(self) -> str:
        """The shared secret, base32: for checking a code, and for showing it while it is new."""
        return unseal(self.sealed, row=self, column="sealed")


class LoginLink(Row):
    """A one-time link that signs a person in to the browser (contract, source 4)."""

    membership = models.ForeignKey(Membership, models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"login link of {self.membership}"


class Customer(Row):
    """Who pays for a tenant: the contact on its invoices."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="customer")
    name = models.CharField(max_length=120, blank=True)
    email = models.EmailField(max_length=254)
    phone = models.CharField(max_length=32, blank=True)
    # line1, line2, city, state, postal_code, country (ISO 3166-1 alpha-2)
    address = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name or self.email


class OneTimeCode(Row):
    """A request for a code by e-mail.

    The code is made when the message is sent, and only its keyed hash is kept. It is good for one
    use, a few tries and a few minutes, for one purpose and, where given, one subject.
    """

    SIGN_IN, REVEAL, REGISTER, RESET = "sign-in", "reveal", "register", "reset"
    CONFIRM = "confirm"  # this browser's session, for a few minutes

    email = models.EmailField(max_length=254)
    purpose = models.CharField(max_length=16, default=SIGN_IN)
    subject_id = models.UUIDField(null=True)
    # What was chosen when the code was asked for (plan, name, a password's hash); never a secret.
    params = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True)
    # Whose budget the request counts against (see `tenants.services.guesses`).
    asker = models.CharField(max_length=64, blank=True)
    known = models.BooleanField(default=False)
    code_hash = models.CharField(max_length=64, blank=True)
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    # Of who asked for the code, and of all others, so that these cannot use up the former.
    tries = models.PositiveSmallIntegerField(default=0)
    tries_elsewhere = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["email", "-created_at"], name="code_by_email"),
            models.Index(fields=["asker", "-created_at"], name="code_by_asker"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.email}"


class Guess(Row):
    """A try of a password or a code that was wrong, or is being compared.

    `account` is a keyed hash, because people mistype addresses of others, and passwords as theirs.
    """

    kind = models.CharField(max_length=32)
    account = models.CharField(max_length=64)
    asker = models.CharField(max_length=64)
    known = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "guesses"
        indexes = [
            models.Index(fields=["account", "created_at"], name="guess_by_account"),
            models.Index(fields=["asker", "created_at"], name="guess_by_asker"),
            models.Index(fields=["created_at"], name="guess_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.asker}"


class ProviderCredentialQuerySet(models.QuerySet["ProviderCredential"]):
    """Query methods for credentials."""

    def usable(self) -> "ProviderCredentialQuerySet":
        """Without the included accounts that the host no longer includes."""
        present = Q(is_included=False)
        for account in included.included():
            present |= Q(port=account.port, provider=account.provider)
        return self.filter(present)


class ProviderCredential(Row):
    """An account at a provider in which we may act for a tenant.

    The tenant's own: secret values are sealed together, bound to this row; the others are
    readable. An included one is the host's: it has no values here, the settings have them.
    """

    UNTESTED, WORKS, REFUSED, UNREACHABLE = "untested", "works", "refused", "unreachable"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+")
    port = models.CharField(max_length=16)
    provider = models.CharField(max_length=32)
    label = models.CharField(max_length=120)
    is_included = models.BooleanField(default=False)
    public = models.JSONField(default=dict)
    sealed = SealedField(blank=True)
    result = models.CharField(max_length=16, default=UNTESTED)
    result_message = models.TextField(blank=True)
    test_asked_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)

    objects = ProviderCredentialQuerySet.as_manager()

    class Meta:
        ordering = ["label", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "label"],
                condition=Q(is_included=False),
                name="one_credential_per_label",
            ),
            models.UniqueConstraint(
                fields=["tenant", "port", "provider"],
                condition=Q(is_included=True),
                name="one_included_account_each",
            ),
            models.CheckConstraint(
                condition=Q(is_included=False) | Q(sealed=""),
                name="included_account_holds_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def provider_label(self) -> str:
        return str(registry.get(self.port, self.provider).label)

    @property
    def is_gone(self) -> bool:
        """Whether the host took this included account away."""
        return self.is_included and not included.is_included(self.port, self.provider)

    @property
    def is_being_tested(self) -> bool:
        """A test was asked for and has not answered; after a minute we stop saying so."""
        asked, tested = self.test_asked_at, self.tested_at
        if asked is None or (tested is not None and tested >= asked):
            return False
        return (timezone.now() - asked).total_seconds() < 60

    def set_values(self, values: dict[str, str]) -> None:
        """Keep these values, the secret ones sealed for this row."""
        if self.is_included:
            raise ValueError("an included account has no values of its own")
        fields = registry.get(self.port, self.provider).credential_fields
        secret = {field.name for field in fields if field.secret}
        self.public = {name: value for name, value in values.items() if name not in secret}
        hidden = {name: value for name, value in values.items() if name in secret}
        self.sealed = seal(json.dumps(hidden), row=self, column="sealed")

    def values(self) -> dict[str, str]:
        """All values, the secret ones in the clear: for a provider's constructor only.

        Raises `AccountNotIncluded` for an account that the host took away.
        """
        if self.is_included:
            return included.values_of(self.port, self.provider)
        return {**self.public, **json.loads(unseal(self.sealed, row=self, column="sealed"))}
