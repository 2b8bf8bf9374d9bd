"""The records that we keep in a zone, and watching them spread."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from dnszones.models.zones import Zone
from dnszones.records import RecordData
from mpanel.core.models import Row, StatusRow

SESSION_LASTS = timedelta(hours=48)


class RecordQuerySet(models.QuerySet["Record"]):
    """What records are called."""

    def due(self) -> "RecordQuerySet":
        """Those whose publication should be looked at now."""
        return self.filter(next_check_at__lte=timezone.now())


class Record(Row):
    """A record that we keep in a zone, and where it was last seen."""

    PENDING, PROPAGATING, PROPAGATED, FAILED = "pending", "propagating", "propagated", "failed"

    zone = models.ForeignKey(Zone, models.CASCADE, related_name="records")
    purpose = models.CharField(max_length=16)
    level = models.CharField(max_length=16)
    reason = models.TextField()
    name = models.CharField(max_length=253)
    type = models.CharField(max_length=10)
    content = models.TextField()
    ttl = models.PositiveIntegerField()
    priority = models.PositiveIntegerField(null=True)
    # We created it; a foreign record that we found or only extended is not ours.
    ours = models.BooleanField(default=False)
    status = models.CharField(max_length=16, default=PENDING)
    percent = models.PositiveSmallIntegerField(default=0)
    # What the zone's own nameservers say, and what each resolver says.
    own = models.JSONField(null=True)
    sightings = models.JSONField(default=list)
    cached_until = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(default=timezone.now)

    objects = RecordQuerySet.as_manager()

    class Meta:
        ordering = ["purpose", "name", "priority", "content"]
        indexes = [models.Index(fields=["next_check_at"], name="record_by_due")]

    def __str__(self) -> str:
        return f"{self.name} {self.type}"

    @property
    def data(self) -> RecordData:
        return RecordData(
            name=self.name,
            type=self.type,
            content=self.content,
            ttl=self.ttl,
            priority=self.priority,
        )

    @property
    def verdict(self) -> str:
        """What the zone's own nameservers said last: matches, missing, conflicts or unknown."""
        return str(self.own["verdict"]) if self.own else "unknown"


class PropagationSession(StatusRow):
    """Watching a domain's records spread, for 48 hours at most; one at a time per zone."""

    POLLING, COMPLETED, TIMEOUT, CANCELLED = "polling", "completed", "timeout", "cancelled"
    STATUSES: ClassVar[dict[str, str]] = {
        POLLING: "Watching",
        COMPLETED: "All records have propagated",
        TIMEOUT: "Gave up after 48 hours",
        CANCELLED: "Cancelled",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        POLLING: frozenset({COMPLETED, TIMEOUT, CANCELLED}),
    }

    zone = models.ForeignKey(Zone, models.CASCADE, related_name="sessions")
    status = models.CharField(max_length=32, default=POLLING)
    progress = models.PositiveSmallIntegerField(default=0)
    timeout_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    last_checked_at = models.DateTimeField(null=True)
    estimated_completion_at = models.DateTimeField(null=True)
    check_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["zone"], condition=Q(status="polling"), name="one_active_session"
            ),
        ]

    def __str__(self) -> str:
        return f"propagation of {self.zone}"

    @property
    def expected_by(self) -> datetime | None:
        """When caches must have let go of what is old; None once that has passed."""
        until = self.estimated_completion_at
        return until if until and until > timezone.now() else None

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]
