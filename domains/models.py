"""Domains that customers connect."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from mpanel.core.models import StatusRow


class DomainQuerySet(models.QuerySet["Domain"]):
    """What domains are called."""

    def verified(self) -> "DomainQuerySet":
        """Those whose delegation was seen to point at the zone's nameservers."""
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
        return self.STATUSES[self.status]

    @property
    def is_verified(self) -> bool:
        return self.verified_at is not None

    @property
    def delegation_trouble(self) -> dict[str, Any] | None:
        """The last look at the delegation, where a verified domain points elsewhere now."""
        if not self.is_verified or not self.delegation:
            return None
        return None if self.delegation["verdict"] in {"matches", "unknown"} else self.delegation
