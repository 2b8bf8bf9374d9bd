"""Tenants, users and their roles, one-time codes, provider credentials."""

import json
from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from mpanel.core import actor, registry
from mpanel.core.models import Row, StatusRow, new_id
from mpanel.core.secrets import seal, unseal


class Tenant(StatusRow):
    """A customer's organisation: everything it has carries its id."""

    ACTIVE, SUSPENDED = "active", "suspended"
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
        return self.get(email__iexact=username)

    def create_user(self, email: str, *, name: str = "", is_operator: bool = False) -> "User":
        """A user without a password: people sign in by one-time code."""
        user = self.model(email=email.strip().lower(), name=name, is_operator=is_operator)
        user.set_unusable_password()
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person. What they may do, a membership says."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    is_operator = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_email")]

    def __str__(self) -> str:
        return self.email


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


class OneTimeCode(Row):
    """A request for a code by e-mail.

    The code is made when the message is sent, and only its keyed hash is kept. It is good for one
    use, a few tries and a few minutes, for one purpose and, where given, one subject.
    """

    SIGN_IN, REVEAL = "sign-in", "reveal"

    email = models.EmailField(max_length=254)
    purpose = models.CharField(max_length=16, default=SIGN_IN)
    subject_id = models.UUIDField(null=True)
    address = models.CharField(max_length=45, blank=True)
    code_hash = models.CharField(max_length=64, blank=True)
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["email", "-created_at"], name="code_by_email"),
            models.Index(fields=["address", "-created_at"], name="code_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.email}"


class ProviderCredential(Row):
    """What a tenant gave us so that we may act for them at a provider.

    Secret values are sealed together, bound to this row; the others are readable.
    """

    UNTESTED, WORKS, REFUSED, UNREACHABLE = "untested", "works", "refused", "unreachable"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+")
    port = models.CharField(max_length=16)
    provider = models.CharField(max_length=32)
    label = models.CharField(max_length=120)
    public = models.JSONField(default=dict)
    sealed = models.TextField()
    result = models.CharField(max_length=16, default=UNTESTED)
    result_message = models.TextField(blank=True)
    test_asked_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["label", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "label"], name="one_credential_per_label"),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def provider_label(self) -> str:
        return str(registry.get(self.port, self.provider).label)

    @property
    def is_being_tested(self) -> bool:
        """A test was asked for and has not answered; after a minute we stop saying so."""
        asked, tested = self.test_asked_at, self.tested_at
        if asked is None or (tested is not None and tested >= asked):
            return False
        return (timezone.now() - asked).total_seconds() < 60

    def set_values(self, values: dict[str, str]) -> None:
        """Keep these values, the secret ones sealed for this row."""
        fields = registry.get(self.port, self.provider).credential_fields
        secret = {field.name for field in fields if field.secret}
        self.public = {name: value for name, value in values.items() if name not in secret}
        hidden = {name: value for name, value in values.items() if name in secret}
        self.sealed = seal(json.dumps(hidden), row=self, column="sealed")

    def values(self) -> dict[str, str]:
        """All values, the secret ones in the clear: for a provider's constructor only."""
        return {**self.public, **json.loads(unseal(self.sealed, row=self, column="sealed"))}
