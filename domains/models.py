"""Domains that customers connect, and those that they register here."""

import json
import secrets
from dataclasses import asdict
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from domains.providers.base import Contact
from domains.registrars import REGISTRARS
from mpanel.core import registry
from mpanel.core.models import StatusRow
from mpanel.core.money import Money
from mpanel.core.secrets import SealedField, seal, unseal


def new_token() -> str:
    """What nobody can guess, for a domain's proof."""
    return secrets.token_urlsafe(24)


class DomainQuerySet(models.QuerySet["Domain"]):
    """What domains are called."""

    def verified(self) -> "DomainQuerySet":
        """Those of which it is proved whose they are (ownership.py)."""
        return self.filter(verified_at__isnull=False)


class Domain(StatusRow):
    """A domain of a tenant and how far its e-mail setup is (contract, source 3)."""

    PENDING = "pending"
    PENDING_NAMESERVERS = "pending_nameservers"
    VERIFIED = "verified"
    DNS_CONFIGURING = "dns_configuring"
    READY = "ready"
    PROVISIONED = "provisioned"
    CONNECTED = "connected"
    DELETING = "deleting"
    STATUSES: ClassVar[dict[str, str]] = {
        PENDING: "Connecting",
        PENDING_NAMESERVERS: "Waiting for nameservers",
        VERIFIED: "Nameservers verified",
        DNS_CONFIGURING: "DNS spreading",
        READY: "Ready for inboxes",
        PROVISIONED: "Inboxes ready",
        CONNECTED: "Outreach connected",
        DELETING: "Disconnecting",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        PENDING: frozenset({PENDING_NAMESERVERS, DELETING}),
        PENDING_NAMESERVERS: frozenset({VERIFIED, DELETING}),
        VERIFIED: frozenset({DNS_CONFIGURING, DELETING}),
        DNS_CONFIGURING: frozenset({READY, VERIFIED, DELETING}),
        READY: frozenset({DNS_CONFIGURING, PROVISIONED, VERIFIED, DELETING}),
        PROVISIONED: frozenset({CONNECTED, VERIFIED, DELETING}),
        CONNECTED: frozenset({PROVISIONED, VERIFIED, DELETING}),
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    name = models.CharField(max_length=253)
    unicode_name = models.CharField(max_length=253)
    registrar = models.CharField(max_length=32, default="other")
    notes = models.TextField(blank=True)
    status = models.CharField(max_length=32, default=PENDING)
    dns_credential = models.ForeignKey(
        "tenants.ProviderCredential", models.PROTECT, related_name="domains"
    )
    nameservers = models.JSONField(default=list)
    delegation = models.JSONField(null=True)
    delegation_checked_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    # Its zone has what the domain publishes elsewhere, or the customer agreed to begin without it.
    zone_complete_at = models.DateTimeField(null=True)
    # What we write into the zone, and when it stood there first: since then it is demanded.
    proof_token = models.CharField(max_length=64, default=new_token, editable=False)
    proof_written_at = models.DateTimeField(null=True)
    # Control was seen to be gone: since when, on how many looks; and when we drew the conclusion.
    gone_since = models.DateTimeField(null=True)
    gone_looks = models.PositiveIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True)
    # While it is disconnected: kind and name of what the customer was told that goes dark; None
    # where they agreed to whatever it is.
    confirmed_losses = models.JSONField(null=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_domain_per_tenant"),
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(verified_at__isnull=False),
                name="one_verified_owner",
            ),
        ]
        indexes = [models.Index(fields=["delegation_checked_at"], name="domain_by_check")]

    def __str__(self) -> str:
        return self.unicode_name

    @property
    def status_label(self) -> str:
        return "No longer verified" if self.is_revoked else self.STATUSES[self.status]

    @property
    def dns_provider_name(self) -> str:
        """Who runs its nameservers."""
        return str(registry.get("dns", self.dns_credential.provider).label)

    @property
    def typed_names(self) -> tuple[str, str]:
        """What a person may type to name it: as people read it, and as DNS holds it."""
        return self.unicode_name, self.name

    @property
    def registrar_name(self) -> str:
        return REGISTRARS[self.registrar].name

    @property
    def is_verified(self) -> bool:
        return self.verified_at is not None

    @property
    def shown_nameservers(self) -> list[str]:
        """The nameservers to set at the registrar; none while that would take something away."""
        nameservers: list[str] = self.nameservers
        return nameservers if self.is_verified or self.zone_complete_at else []

    @property
    def is_revoked(self) -> bool:
        """Whether it was verified, and is no longer: its delegation or its proof is gone."""
        return self.revoked_at is not None and self.status != self.DELETING

    @property
    def delegation_trouble(self) -> dict[str, Any] | None:
        """The last look, where a verified domain points elsewhere now or shows no proof."""
        seen: dict[str, Any] | None = self.delegation if self.is_verified else None
        if not seen:
            return None
        is_unproved = self.proof_written_at and seen.get("proof") == "missing"
        return seen if is_unproved or seen["verdict"] not in {"matches", "unknown"} else None

    @property
    def trouble_title(self) -> str:
        """What `delegation_trouble` is about."""
        if (self.delegation or {}).get("verdict") == "matches":
            return "The nameservers do not prove that the domain is yours"
        return "The nameservers point elsewhere now"

    @property
    def stale_ds(self) -> list[str]:
        """DS records of the zone above that fit no key of the zone, when it was last asked."""
        return list((self.delegation or {}).get("stale_ds", ()))


class Registration(StatusRow):
    """The purchase of a domain at the tenant's registrar: the intent first, then what came of it.

    `asked_at` is set before the call that buys, and taken back only where the registrar said no:
    while it stands without an answer, money may have been spent. The row outlives its domain, as
    the record of what was paid and the last contact that was used; its credential it lets go.
    """

    PENDING = "pending"
    BUYING = "buying"
    REGISTERED = "registered"
    FAILED = "failed"
    STATUSES: ClassVar[dict[str, str]] = {
        PENDING: "To be registered",
        BUYING: "Being registered",
        REGISTERED: "Registered",
        FAILED: "Not registered",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        PENDING: frozenset({BUYING, FAILED}),
        BUYING: frozenset({BUYING, REGISTERED, FAILED}),
        FAILED: frozenset({PENDING, BUYING}),
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    domain = models.OneToOneField(
        Domain, models.SET_NULL, null=True, blank=True, related_name="registration"
    )
    name = models.CharField(max_length=253)
    credential = models.ForeignKey(
        "tenants.ProviderCredential", models.PROTECT, null=True, related_name="+"
    )
    provider = models.CharField(max_length=32)
    status = models.CharField(max_length=32, default=PENDING)
    years = models.PositiveSmallIntegerField(default=1)
    cost = models.PositiveBigIntegerField()
    max_cost = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    sealed_contact = SealedField(bound_as="contact")
    asked_at = models.DateTimeField(null=True)
    remote_id = models.CharField(max_length=64, blank=True)
    remote_ids = models.JSONField(default=dict)
    registered_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    auto_renews = models.BooleanField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(status="buying"), name="one_buyer_per_name"
            ),
            # Tenants may share a registrar's account, so what is found there is not yet theirs.
            models.UniqueConstraint(
                fields=["provider", "remote_id"],
                condition=~Q(remote_id=""),
                name="one_registration_per_remote_domain",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "-id"], name="registration_by_tenant")]

    def __str__(self) -> str:
        return self.name

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]

    @property
    def price(self) -> Money:
        """What the customer was shown; once it is bought, what was charged."""
        return Money(self.cost, self.currency)

    @property
    def is_registered(self) -> bool:
        return self.status == self.REGISTERED

    @property
    def was_ordered(self) -> bool:
        """The registrar confirmed the order, whether or not the registry did."""
        return bool(self.remote_ids)

    @property
    def contact(self) -> Contact:
        """Who the domain is for, in the clear: for the registrar and the form only."""
        return Contact(**json.loads(unseal(self.sealed_contact, row=self, column="contact")))

    def set_contact(self, contact: Contact) -> None:
        """Keep the contact, sealed for this row: it is personal data."""
        self.sealed_contact = seal(json.dumps(asdict(contact)), row=self, column="contact")
