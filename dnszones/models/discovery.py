"""What a domain published before its nameservers pointed here."""

from typing import ClassVar

from django.db import models

from dnszones.models.plans import ChangePlan
from dnszones.models.zones import Zone
from mpanel.core.models import StatusRow


class ZoneDiscovery(StatusRow):
    """What a domain publishes at its present nameservers, and how far its zone here has it.

    Changing the nameservers to a zone that lacks something takes it away; so they are shown once
    this is `HERE`, `EMPTY`, `COMPLETE` or `SKIPPED`.
    """

    LOOKING, UNSEEN, FOUND, WRITING = "looking", "unseen", "found", "writing"
    COMPARING, DIFFERENT = "comparing", "different"
    HERE, EMPTY, COMPLETE, SKIPPED = "here", "empty", "complete", "skipped"
    STATUSES: ClassVar[dict[str, str]] = {
        LOOKING: "Looking",
        UNSEEN: "Could not be seen",
        FOUND: "Found",
        WRITING: "Being written",
        COMPARING: "Being compared",
        DIFFERENT: "Different",
        HERE: "Points here already",
        EMPTY: "Nothing published",
        COMPLETE: "Complete",
        SKIPPED: "Skipped",
    }
    _AGAIN = frozenset({LOOKING, SKIPPED})
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        LOOKING: frozenset({UNSEEN, FOUND, HERE, EMPTY}),
        UNSEEN: _AGAIN,
        FOUND: _AGAIN | {WRITING},
        WRITING: frozenset({COMPARING, FOUND}),
        COMPARING: frozenset({COMPLETE, DIFFERENT, HERE}),
        DIFFERENT: _AGAIN | {WRITING, COMPARING},
        HERE: frozenset({LOOKING}),
        EMPTY: frozenset({LOOKING}),
        COMPLETE: frozenset({LOOKING, COMPARING}),
        SKIPPED: frozenset({LOOKING}),
    }
    DONE = frozenset({HERE, EMPTY, COMPLETE, SKIPPED})
    BUSY = frozenset({LOOKING, WRITING, COMPARING})

    zone = models.OneToOneField(Zone, models.CASCADE, related_name="discovery")
    status = models.CharField(max_length=32, default=LOOKING)
    message = models.TextField(blank=True)
    # The nameservers that the domain has now, and those of their addresses that we may ask.
    nameservers = models.JSONField(default=list)
    # `discovery.found.Found`; records of the customer's zone file; sentences.
    found = models.JSONField(default=list)
    given = models.JSONField(default=list)
    left_out = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    is_transferred = models.BooleanField(default=False)
    # Ids of found records that the customer does not want, and the plan of the others.
    unwanted = models.JSONField(default=list)
    plan = models.ForeignKey(ChangePlan, models.SET_NULL, null=True, related_name="+")
    comparison = models.JSONField(null=True)  # `discovery.comparing.Comparison`
    comparisons = models.PositiveIntegerField(default=0)
    looked_at = models.DateTimeField(null=True)
    compared_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"existing records of {self.zone.domain}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]
