"""Change plans: what is to be written to a zone, and how far that is."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from dnszones.models.zones import Zone
from mpanel.core.models import StatusRow


class ChangePlan(StatusRow):
    """What would be written to a zone, as it was shown; only such a plan is ever applied."""

    COMPUTING, READY, APPLYING = "computing", "ready", "applying"
    APPLIED, FAILED, SUPERSEDED = "applied", "failed", "superseded"
    STATUSES: ClassVar[dict[str, str]] = {
        COMPUTING: "Reading the zone",
        READY: "Ready to apply",
        APPLYING: "Applying",
        APPLIED: "Applied",
        FAILED: "Failed",
        SUPERSEDED: "Replaced by a newer plan",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        COMPUTING: frozenset({READY, APPLYING, FAILED, SUPERSEDED}),
        READY: frozenset({APPLYING, SUPERSEDED}),
        APPLYING: frozenset({APPLIED, FAILED}),
        FAILED: frozenset({COMPUTING, APPLYING, APPLIED, SUPERSEDED}),
    }
    SETUP, RECORDS, IMPORT, DKIM = "setup", "records", "import", "dkim"
    EXISTING, SPF = "existing", "spf"
    KINDS: ClassVar[dict[str, str]] = {
        SETUP: "Mail setup",
        RECORDS: "Records",
        IMPORT: "Zone file",
        DKIM: "DKIM rotation",
        EXISTING: "Existing records",
        SPF: "SPF addresses",
    }

    zone = models.ForeignKey(Zone, models.CASCADE, related_name="plans")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    status = models.CharField(max_length=32, default=COMPUTING)
    # What the plan is for: a mail setup, single records that a person wrote, or a zone file.
    kind = models.CharField(max_length=16, default=SETUP)
    # What a person asked to write or remove, for all kinds but a mail setup.
    edits = models.JSONField(default=list)
    setup = models.JSONField(default=dict)
    replace = models.JSONField(default=list)
    plan = models.JSONField(null=True)
    # Of a flattened SPF record: what it was made from, and what it became (flattened.py).
    spf = models.JSONField(null=True)
    warnings = models.JSONField(default=list)
    # Lines of a zone file that looked wrong, with the records to choose from and the choice.
    questions = models.JSONField(default=list)
    # To be applied as soon as it is computed, where nothing is lost or this digest was confirmed.
    at_once = models.BooleanField(default=False)
    confirmation = models.CharField(max_length=64, blank=True)
    reverts = models.ForeignKey("self", models.SET_NULL, null=True, related_name="reverted_by")
    # The whole zone as it was before the first write.
    snapshot = models.JSONField(null=True)
    computed_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["zone", "-id"], name="plan_by_zone")]
        constraints = [
            models.UniqueConstraint(
                fields=["zone"], condition=Q(status="applying"), name="one_plan_applied_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"plan for {self.zone}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]
