"""Zones at a DNS provider, the records we keep in them, change plans, propagation sessions."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from dnszones.records import RecordData
from mpanel.core.models import Row, StatusRow
from mpanel.core.secrets import SealedField, seal, unseal

SESSION_LASTS = timedelta(hours=48)


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
