"""Zones at a DNS provider, and their DKIM keys."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from mpanel.core.models import Row, StatusRow
from mpanel.core.secrets import SealedField, seal, unseal


class Zone(Row):
    """A domain's zone at its DNS provider."""

    domain = models.OneToOneField("domains.Domain", models.CASCADE, related_name="zone")
    provider = models.CharField(max_length=32)
    remote_id = models.CharField(max_length=64, blank=True)
    # When we asked for it to be made: only such a zone do we ever remove.
    creation_asked_at = models.DateTimeField(null=True)
    # What the zone bears at a provider that can mark zones, from when we asked for it.
    marker = models.CharField(max_length=40, blank=True)
    # Where its nameservers answer: name to addresses, and when that was looked up.
    addresses = models.JSONField(default=dict)
    addresses_at = models.DateTimeField(null=True)
    # DNSSEC: what is wanted, null where nobody chose; and the DS records for the registrar.
    dnssec_wanted = models.BooleanField(null=True)
    ds_records = models.JSONField(default=list)
    # What the parent zone said last about DS records (`dnssec.AtParent`), and when it was asked.
    parent_ds = models.JSONField(null=True)
    parent_ds_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "remote_id"],
                condition=~Q(remote_id=""),
                name="one_owner_per_remote_zone",
            ),
        ]

    def __str__(self) -> str:
        return f"zone of {self.domain}"


class DkimKey(StatusRow):
    """A DKIM key pair that we made; the private half is sealed.

    The signing key is the one that mail is signed with. A rotation makes the next one, publishes
    it, signs with it once it is seen everywhere, and takes the old one's record away later.
    """

    NEXT, SIGNING, RETIRING, RETIRED = "next", "signing", "retiring", "retired"
    STATUSES: ClassVar[dict[str, str]] = {
        NEXT: "Next",
        SIGNING: "Signs now",
        RETIRING: "Being retired",
        RETIRED: "Retired",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        NEXT: frozenset({SIGNING, RETIRED}),
        SIGNING: frozenset({RETIRING, NEXT}),
        RETIRING: frozenset({RETIRED, SIGNING}),
        RETIRED: frozenset({NEXT, SIGNING}),
    }

    zone = models.ForeignKey(Zone, models.CASCADE, related_name="dkim_keys")
    selector = models.CharField(max_length=63)
    public_value = models.TextField()
    sealed = SealedField()
    status = models.CharField(max_length=32, default=NEXT)
    published_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    signing_since = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "DKIM key"
        constraints = [
            models.UniqueConstraint(fields=["zone", "selector"], name="one_key_per_selector"),
            models.UniqueConstraint(
                fields=["zone"], condition=Q(status="signing"), name="one_signing_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.selector} of {self.zone}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]

    @property
    def tone(self) -> str:
        """The tone of its status on a page."""
        return {self.SIGNING: "success", self.NEXT: "info"}.get(self.status, "neutral")

    @property
    def since(self) -> datetime:
        """When it came to its present status."""
        since = {
            self.NEXT: self.published_at,
            self.SIGNING: self.signing_since,
            self.RETIRED: self.retired_at,
        }.get(self.status)
        return since or self.updated_at

    def seal_private(self, pem: str) -> None:
        self.sealed = seal(pem, row=self, column="sealed")

    def private_pem(self) -> str:
        """The private key, PKCS 8 PEM: for the signer only."""
        return unseal(self.sealed, row=self, column="sealed")
