"""Flattened SPF records: their source, and what changed in it."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from dnszones.models.plans import ChangePlan
from dnszones.models.zones import Zone
from mpanel.core.models import Row, StatusRow


class SpfFlattening(StatusRow):
    """A domain's SPF record in which addresses stand in place of lookups, kept as its source is.

    `source` is the text that it stands for, `text` what we wrote last at the domain itself, and
    `parts` the records that `text` includes, by name. `leaving`: former parts that resolvers may
    still ask for, each with its name, text, and until when it stays.
    """

    LIVE, EDITED, STOPPED = "live", "edited", "stopped"
    STATUSES: ClassVar[dict[str, str]] = {
        LIVE: "Kept up to date",
        EDITED: "Changed elsewhere",
        STOPPED: "Stopped",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        LIVE: frozenset({EDITED, STOPPED}),
        EDITED: frozenset({LIVE, STOPPED}),
        STOPPED: frozenset({LIVE}),
    }

    zone = models.OneToOneField(Zone, models.CASCADE, related_name="spf_flattening")
    status = models.CharField(max_length=32, default=LIVE)
    source = models.TextField()
    ipv6 = models.BooleanField(default=True)
    text = models.TextField(blank=True)
    parts = models.JSONField(default=dict)
    leaving = models.JSONField(default=list)
    leaving_at = models.DateTimeField(null=True)
    # What DNS said about the source: type, name, values and TTL of each answer.
    answers = models.JSONField(default=list)
    lookups_before = models.PositiveSmallIntegerField(default=0)
    lookups = models.PositiveSmallIntegerField(default=0)
    void_lookups = models.PositiveSmallIntegerField(default=0)
    warnings = models.JSONField(default=list)
    published_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(default=timezone.now)
    next_check_at = models.DateTimeField(default=timezone.now)
    # Why the source could not be followed when it was last looked at, and since when.
    error = models.TextField(blank=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "flattened SPF record"
        indexes = [
            models.Index(fields=["status", "next_check_at"], name="spf_by_due"),
            models.Index(fields=["leaving_at"], name="spf_by_leaving"),
        ]

    def __str__(self) -> str:
        return f"SPF record of {self.zone}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]

    @property
    def known_parts(self) -> dict[str, str]:
        """The parts that are published, and those that were until lately."""
        parts: dict[str, str] = {one["name"]: one["text"] for one in self.leaving}
        parts.update(self.parts)
        return parts


class SpfFlatteningChange(Row):
    """A change of a flattened record: which networks came and went."""

    flattening = models.ForeignKey(SpfFlattening, models.CASCADE, related_name="history")
    plan = models.ForeignKey(ChangePlan, models.SET_NULL, null=True, related_name="+")
    what = models.CharField(max_length=120)
    added = models.JSONField(default=list)
    removed = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.what
