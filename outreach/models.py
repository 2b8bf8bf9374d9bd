"""Mailboxes that were handed to an outreach tool.

The tables are named after the app in which they began (docs/decisions/0037).
"""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from mpanel.core.models import Row, StatusRow


class OutreachLink(StatusRow):
    """A mailbox at an outreach tool, and the warm-up that the tool does for it."""

    CONNECTING, CONNECTED, FAILED = "connecting", "connected", "failed"
    DISCONNECTING, DISCONNECTED = "disconnecting", "disconnected"
    STATUSES: ClassVar[dict[str, str]] = {
        CONNECTING: "Connecting",
        CONNECTED: "Connected",
        FAILED: "Failed",
        DISCONNECTING: "Disconnecting",
        DISCONNECTED: "Disconnected",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        CONNECTING: frozenset({CONNECTED, FAILED, DISCONNECTING}),
        CONNECTED: frozenset({CONNECTING, FAILED, DISCONNECTING}),
        FAILED: frozenset({CONNECTING, DISCONNECTING, DISCONNECTED}),
        DISCONNECTING: frozenset({DISCONNECTED, FAILED}),
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    mailbox = models.ForeignKey("mailboxes.Mailbox", models.CASCADE, related_name="outreach_links")
    # Kept while anything must be done with it; a connection of the past lets it go.
    credential = models.ForeignKey(
        "tenants.ProviderCredential", models.PROTECT, null=True, related_name="outreach_links"
    )
    provider = models.CharField(max_length=32)
    remote_id = models.CharField(max_length=320, blank=True)
    status = models.CharField(max_length=32, default=CONNECTING)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    warmup_enabled = models.BooleanField(default=True)
    max_email_per_day = models.PositiveIntegerField(default=50)
    total_warmup_per_day = models.PositiveIntegerField(default=40)
    daily_rampup = models.PositiveIntegerField(default=5)
    # What the tool says of its warm-up: 0 to 100, null where it says nothing.
    reputation = models.PositiveSmallIntegerField(null=True)
    connected_at = models.DateTimeField(null=True)
    disconnected_at = models.DateTimeField(null=True)
    stats_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "mailboxes_outreachlink"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["mailbox", "provider"],
                condition=~Q(status="disconnected"),
                name="one_link_per_tool",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "status"], name="link_by_tenant")]

    def __str__(self) -> str:
        return f"{self.mailbox} at {self.provider}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]


class CampaignSeat(Row):
    """A campaign that a mailbox was assigned to; kept as history after it left."""

    link = models.ForeignKey(OutreachLink, models.CASCADE, related_name="seats")
    campaign_id = models.CharField(max_length=64)
    campaign_name = models.CharField(max_length=200)
    joined_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "mailboxes_campaignseat"
        ordering = ["campaign_name"]
        constraints = [
            models.UniqueConstraint(fields=["link", "campaign_id"], name="one_seat_per_campaign"),
        ]

    def __str__(self) -> str:
        return self.campaign_name


class WarmupDay(Row):
    """One day of warm-up, as the tool counted it."""

    link = models.ForeignKey(OutreachLink, models.CASCADE, related_name="days")
    date = models.DateField()
    sent = models.PositiveIntegerField(default=0)
    delivered = models.PositiveIntegerField(null=True)
    bounced = models.PositiveIntegerField(null=True)
    replied = models.PositiveIntegerField(default=0)
    saved_from_spam = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "mailboxes_warmupday"
        ordering = ["date"]
        constraints = [
            models.UniqueConstraint(fields=["link", "date"], name="one_row_per_warmup_day"),
        ]

    def __str__(self) -> str:
        return f"{self.link} on {self.date}"
