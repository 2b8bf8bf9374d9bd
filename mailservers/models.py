"""Mail servers, how a domain's mail is handled, and how far logs were read.

The tables are named after the app in which they began (docs/decisions/0037).
"""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from mpanel.core.models import Row, StatusRow
from mpanel.core.secrets import SealedField, Unsealable, seal, unseal


class MailServer(Row):
    """A mail server that we run: where it stands, and how customers and we reach it.

    Domains are placed on one. The one called `house` mirrors the settings MAILSERVER_*.
    """

    HOUSE = "house"

    slug = models.SlugField(max_length=32, unique=True)
    label = models.CharField(max_length=80)
    kind = models.CharField(max_length=32, default="mailserver")  # the key of its mail provider
    region = models.SlugField(max_length=32)
    region_label = models.CharField(max_length=80)
    host = models.CharField(max_length=253)
    submission_port = models.PositiveIntegerField(default=587)
    imaps_port = models.PositiveIntegerField(default=993)
    mx_host = models.CharField(max_length=253)
    spf_name = models.CharField(max_length=253)
    # CA that signed its certificate; empty for the system's.
    ca_file = models.CharField(max_length=500, blank=True)
    # The IP addresses from which it sends.
    addresses = models.JSONField(default=list, blank=True)
    # Dovecot's or KumoMTA's own HTTP interface, for ending sessions and reloading; empty for none.
    admin_url = models.CharField(max_length=500, blank=True)
    sealed_admin_key = SealedField(blank=True)
    # Where a server that reads files finds them (KumoMTA).
    directory = models.CharField(max_length=500, blank=True)
    # Whether new domains may be placed on it.
    is_open = models.BooleanField(default=True)
    # When it was last asked in vain how full mailboxes are.
    storage_failed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "mailboxes_mailserver"
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.label

    def set_admin_key(self, key: str) -> None:
        self.sealed_admin_key = seal(key, row=self, column="sealed_admin_key") if key else ""

    def admin_key(self) -> str:
        """The key of its HTTP interface, in the clear."""
        if not self.sealed_admin_key:
            return ""
        return unseal(self.sealed_admin_key, row=self, column="sealed_admin_key")

    def has_admin_key(self, key: str) -> bool:
        """Whether this is its key; False where the stored one does not open."""
        try:
            return self.admin_key() == key
        except Unsealable:
            return False


class MailDomain(StatusRow):
    """How the mail of a domain is handled: by which provider, on which server."""

    PENDING, ACTIVE, FAILED = "pending", "active", "failed"
    STATUSES: ClassVar[dict[str, str]] = {
        PENDING: "Being set up",
        ACTIVE: "Active",
        FAILED: "Failed",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        PENDING: frozenset({ACTIVE, FAILED}),
        ACTIVE: frozenset({PENDING}),
        FAILED: frozenset({PENDING}),
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    domain = models.OneToOneField("domains.Domain", models.CASCADE, related_name="mail")
    provider = models.CharField(max_length=32, default="mailserver")
    server = models.ForeignKey(MailServer, models.PROTECT, null=True, related_name="domains")
    # A vendor's account, where the provider needs one.
    credential = models.ForeignKey(
        "tenants.ProviderCredential", models.PROTECT, null=True, related_name="mail_domains"
    )
    status = models.CharField(max_length=32, default=ACTIVE)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    # What a vendor wants to see in the domain's DNS before it believes that it is ours.
    verification = models.CharField(max_length=253, blank=True)
    # Messages a day of all its mailboxes together; null for no ceiling.
    daily_ceiling = models.PositiveIntegerField(null=True)
    # When its first inbox was given the role addresses.
    roles_at = models.DateTimeField(null=True)
    health_score = models.PositiveSmallIntegerField(null=True)
    health = models.JSONField(default=list)
    health_at = models.DateTimeField(null=True)
    # When it was last measured how full its mailboxes are.
    storage_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "mailboxes_maildomain"
        ordering = ["domain"]
        indexes = [
            models.Index(fields=["server", "storage_at"], name="mail_domain_to_measure"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(server__isnull=False) | Q(credential__isnull=False),
                name="mail_is_somewhere",
            ),
        ]

    def __str__(self) -> str:
        return f"mail of {self.domain}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]


class LogPosition(Row):
    """How far a mail log was read: the file's identity, and bytes from its beginning.

    `head` is the digest of the file's first line. `trouble` says why the log cannot be read now;
    `lost_at` when its place was last lost, so that bounces may be missing.
    """

    name = models.CharField(max_length=200, unique=True)
    inode = models.PositiveBigIntegerField(default=0)
    offset = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64, default="", blank=True)
    trouble = models.CharField(max_length=300, default="", blank=True)
    lost_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "mailboxes_logposition"

    def __str__(self) -> str:
        return self.name
