"""Mailboxes, and the batches in which they are provisioned."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import BigIntegerField, F, Q
from django.db.models.functions import Cast
from django.utils import timezone

from mpanel.core.models import Row, StatusRow
from mpanel.core.secrets import SealedField, seal, unseal

REVEAL_LASTS = timedelta(minutes=10)
MEGABYTE = 2**20
# Levels of what a mailbox holds, in per cent of its quota.
ALMOST_FULL, FULL = 90, 100


class Batch(Row):
    """Mailboxes that were asked for at once; its credentials are revealed once."""

    # The convention of a batch whose passwords people chose.
    CHOSEN = "chosen"

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    domain = models.ForeignKey("domains.Domain", models.CASCADE, related_name="batches")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    convention = models.CharField(max_length=32)
    count = models.PositiveIntegerField()
    idempotency_key = models.CharField(max_length=100, blank=True)
    revealed_at = models.DateTimeField(null=True)
    revealed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="one_batch_per_key",
            ),
        ]

    # The mailboxes that the present job is about; all of the batch where none are named.
    only: tuple[str, ...] = ()
    # The present job's id.
    job_id: UUID | None = None

    def __str__(self) -> str:
        return f"{self.size} on {self.domain}"

    @property
    def size(self) -> str:
        """How many, in words: `1 inbox`, `50 inboxes`."""
        return "1 inbox" if self.count == 1 else f"{self.count} inboxes"

    @property
    def chosen(self) -> "MailboxQuerySet":
        """The batch's mailboxes that the present job is about."""
        rows = Mailbox.objects.filter(batch=self)
        return rows.filter(pk__in=self.only) if self.only else rows

    @property
    def reveal_is_open(self) -> bool:
        """Whether its credentials were revealed just now, so that page and file both show them."""
        return self.revealed_at is not None and timezone.now() < self.revealed_at + REVEAL_LASTS


class MailboxQuerySet(models.QuerySet["Mailbox"]):
    """What mailboxes are called."""

    def present(self) -> "MailboxQuerySet":
        """All but the deleted ones, whose rows stay so that an address is not given twice."""
        return self.exclude(status=Mailbox.DELETED)

    def working(self) -> "MailboxQuerySet":
        """Those whose login was proved and that are not suspended."""
        return self.filter(status__in=Mailbox.WORKING)

    def receiving(self) -> "MailboxQuerySet":
        """Those to which mail is delivered: also before the proof, and while suspended."""
        return self.exclude(status__in=[Mailbox.DELETING, Mailbox.DELETED])

    def unverified(self) -> "MailboxQuerySet":
        """Those whose login was not proved yet."""
        return self.filter(status=Mailbox.PROVISIONING)


class Mailbox(StatusRow):
    """One mailbox. It counts as active once its login was proved by really logging in."""

    PROVISIONING, ACTIVE, WARMING = "provisioning", "active", "warming"
    SUSPENDED, FAILED, DELETING, DELETED = "suspended", "failed", "deleting", "deleted"
    WORKING = (ACTIVE, WARMING)
    STATUSES: ClassVar[dict[str, str]] = {
        PROVISIONING: "Being set up",
        ACTIVE: "Active",
        WARMING: "Warming up",
        SUSPENDED: "Suspended",
        FAILED: "Failed",
        DELETING: "Deleting",
        DELETED: "Deleted",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        PROVISIONING: frozenset({ACTIVE, FAILED, DELETING}),
        ACTIVE: frozenset({WARMING, SUSPENDED, DELETING}),
        WARMING: frozenset({ACTIVE, SUSPENDED, DELETING}),
        SUSPENDED: frozenset({ACTIVE, WARMING, DELETING}),
        FAILED: frozenset({PROVISIONING, DELETING}),
        DELETING: frozenset({DELETED}),
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    domain = models.ForeignKey("domains.Domain", models.CASCADE, related_name="mailboxes")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="mailboxes")
    provider = models.CharField(max_length=32, default="mailserver")
    local_part = models.CharField(max_length=64)
    address = models.CharField(max_length=320)
    first_name = models.CharField(max_length=80, blank=True)
    last_name = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=32, default=PROVISIONING)
    sealed_password = SealedField(blank=True)
    # bcrypt, for the mail system.
    password_hash = models.CharField(max_length=80, blank=True)
    # A fast salted digest of the random password, only until the login is proved
    # (docs/decisions/0003).
    proof_digest = models.CharField(max_length=160, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    smtp_proved_at = models.DateTimeField(null=True)
    imap_proved_at = models.DateTimeField(null=True)
    revealed_at = models.DateTimeField(null=True)
    # What a vendor's directory calls this account; empty for our own server.
    remote_id = models.CharField(max_length=64, blank=True)
    # Where a vendor's directory puts a new account; null for its root.
    organization_unit = models.CharField(max_length=200, null=True, blank=True)
    # The provider was not told the present password yet.
    password_pending = models.BooleanField(default=False)
    quota_mb = models.PositiveIntegerField(default=1024)
    # Recipients a day; null for the usual limit (settings.MAILBOX_DAILY_LIMIT).
    daily_limit = models.PositiveIntegerField(null=True)
    # The ramp up to that limit: from when (UTC), from how many, by how many more each day.
    warmup_since = models.DateField(null=True)
    warmup_start = models.PositiveIntegerField(default=5)
    warmup_step = models.PositiveIntegerField(default=5)
    # Sending was stopped because something is wrong, and why.
    paused_at = models.DateTimeField(null=True)
    paused_reason = models.TextField(blank=True)
    # When a person let it go on (UTC): bounces up to that day do not pause it again.
    resumed_on = models.DateField(null=True)
    health_score = models.PositiveSmallIntegerField(null=True)
    health = models.JSONField(default=list)
    health_at = models.DateTimeField(null=True)
    # How much mail it holds, as its server said when it was asked; null where nobody knows. And the
    # level that people were told of last.
    stored_bytes = models.PositiveBigIntegerField(null=True)
    storage_at = models.DateTimeField(null=True)
    storage_told = models.PositiveSmallIntegerField(null=True)
    # Its mail is kept for a while after it was deleted.
    deleted_at = models.DateTimeField(null=True)
    mail_purged_at = models.DateTimeField(null=True)

    objects = MailboxQuerySet.as_manager()

    # How much of today's limit is used, where a list has filled it in.
    use: object = None

    class Meta:
        verbose_name_plural = "mailboxes"
        ordering = ["address"]
        constraints = [
            models.UniqueConstraint(
                fields=["address", "domain"],
                condition=~Q(status="deleted"),
                name="one_mailbox_per_address",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "status", "address"], name="mailbox_by_tenant"),
            models.Index(fields=["batch", "status"], name="mailbox_by_batch"),
            models.Index(fields=["address"], name="mailbox_by_address"),
            models.Index(
                fields=["storage_at"],
                name="mailbox_nearly_full",
                condition=Q(storage_told__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def storage_percent(self) -> int | None:
        """How full it is, in per cent of its quota, rounded down; None where nobody knows."""
        if self.stored_bytes is None or not self.quota_mb:
            return None
        return self.stored_bytes * 100 // (self.quota_mb * MEGABYTE)

    @property
    def storage_tone(self) -> str:
        percent = self.storage_percent or 0
        return "danger" if percent >= FULL else "warning" if percent >= ALMOST_FULL else "info"

    @property
    def quota_bytes(self) -> int:
        return self.quota_mb * MEGABYTE

    def set_password(self, password: str) -> None:
        """Keep the password sealed; the mail system's hash is made by a worker."""
        self.sealed_password = seal(password, row=self, column="sealed_password")
        self.password_hash = self.proof_digest = ""

    def password(self) -> str:
        """The password in the clear: for a reveal that is recorded, or a proof."""
        return unseal(self.sealed_password, row=self, column="sealed_password")


def filled_to(percent: int) -> Q:
    """Mailboxes that hold at least so much of their quota, as `storage_percent` says."""
    quota = Cast(F("quota_mb"), BigIntegerField())
    return Q(quota_mb__gt=0, stored_bytes__gte=(quota * (MEGABYTE * percent) + 99) / 100)
