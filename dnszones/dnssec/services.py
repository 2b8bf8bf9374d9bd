"""DNSSEC of a zone: what is wanted, what the registrar must be given, what the parent zone has.

Signing alone protects nobody: the chain is closed by a DS record in the parent zone, which the
customer gives to the registrar. On the way back the DS goes first; while it is there, or remembered
by caches, resolvers that validate refuse the answers of a zone that is not signed (RFC 6781 §4.4).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dnszones.models import Zone
from dnszones.plans.services import lock_zone
from dnszones.providers.base import DnssecState, DsRecord
from dnszones.selectors import ZoneNotFound
from domains.delegation import SignerReport
from domains.models import Domain
from domains.ownership import look_at_signers
from domains.selectors import get_domain
from events.services import record
from mpanel.core import registry
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.bulk import update_in_slices
from mpanel.core.errors import Conflict
from mpanel.core.losses import Loss, digest_of, require_confirmation
from provisioning.models import Job
from provisioning.selectors import jobs_about, newest_job
from provisioning.services import start_job

ON, OFF, OFF_REGARDLESS = "dnszones.dnssec_on", "dnszones.dnssec_off", "dnszones.dnssec_cut"
WORKFLOWS = (ON, OFF, OFF_REGARDLESS)
LOOK = 8.0  # seconds that a request may ask DNS
MOST_PER_SWEEP = 200
LONGEST_CACHED = timedelta(days=7)  # caches cut longer TTLs (RFC 8767 §4)

Status = Literal["off", "turning_on", "on", "turning_off"]
Sight = Literal["seen", "not_seen", "others", "unknown"]


class DnssecNotOffered(Conflict):
    """The DNS provider of this domain does not sign zones."""

    code = "DNSSEC_NOT_OFFERED"


class DnssecChanging(Conflict):
    """DNSSEC of this domain is being changed just now. Try again when that is done."""

    code = "DNSSEC_CHANGING"


class DsAtParent(Conflict):
    """The parent zone still has DS records. Remove them at your registrar first."""

    code = "DS_AT_PARENT"


class ParentSilent(Conflict):
    """The parent zone could not be asked whether it still has DS records. Try again in a minute."""

    code = "PARENT_SILENT"


@dataclass(frozen=True)
class AtParent:
    """What the parent zone said last. `until`: when no cache remembers DS records any more.

    `found` is what was known before, where `is_silent`: the last look got no answer.
    """

    parent: str
    found: tuple[str, ...]
    until: datetime | None = None
    is_silent: bool = False

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "AtParent":
        until = parse_datetime(stored["until"]) if stored["until"] else None
        return cls(stored["parent"], tuple(stored["found"]), until, stored["is_silent"])

    def to_json(self) -> dict[str, Any]:
        until = self.until.isoformat() if self.until else None
        return {**asdict(self), "found": list(self.found), "until": until}

    @property
    def is_remembered(self) -> bool:
        """Whether caches may still hold DS records that are gone."""
        return not self.found and self.until is not None and self.until > timezone.now()


@dataclass(frozen=True)
class DnssecReport:
    """A zone's DNSSEC. `is_offered`: whether its provider signs zones at all.

    `sight`: whether the parent has one of our DS records, none at all, or only others.
    """

    zone: Zone
    is_offered: bool
    status: Status
    ds_records: tuple[DsRecord, ...]
    sight: Sight
    at_parent: AtParent | None
    job: Job | None

    @property
    def is_broken(self) -> bool:
        """Whether resolvers that validate refuse the domain: the chain leads nowhere."""
        if self.at_parent is None or not self.at_parent.found:
            return False
        return self.sight == "others" or self.status == "off"

    @property
    def is_changing(self) -> bool:
        """Whether a job is at it now."""
        return self.job is not None and self.job.is_active

    @property
    def failed_job(self) -> Job | None:
        """The job that ended without bringing about what is wanted."""
        is_wanted = self.status in {"on", "off"}
        return None if is_wanted or self.is_changing else self.job


# --- Reading ---------------------------------------------------------------------------------


def dnssec_of_domain(domain: Domain) -> DnssecReport | None:
    """How a domain's DNSSEC stands; None before it has a zone."""
    zone = Zone.objects.filter(domain=domain).first()
    return dnssec_of(zone) if zone else None


def dnssec_of(zone: Zone) -> DnssecReport:
    """How a zone's DNSSEC stands, as it was last seen."""
    ours = tuple(DsRecord.from_text(text) for text in zone.ds_records)
    at_parent = AtParent.from_json(zone.parent_ds) if zone.parent_ds else None
    wanted = {True: "on", False: "off", None: "off"}[zone.dnssec_wanted]
    is_so = bool(ours) == (wanted == "on")
    status = wanted if is_so else f"turning_{wanted}"
    job = newest_job(zone.pk, *WORKFLOWS)
    return DnssecReport(
        zone,
        is_offered=_is_offered(zone),
        status=status,  # type: ignore[arg-type]
        ds_records=ours,
        sight=_sight(ours, at_parent),
        at_parent=at_parent,
        job=job,
    )


def _sight(ours: Sequence[DsRecord], at_parent: AtParent | None) -> Sight:
    if at_parent is None:
        return "unknown"
    if not at_parent.found:
        return "unknown" if at_parent.is_silent else "not_seen"
    return "seen" if {str(one) for one in ours} & set(at_parent.found) else "others"


def _is_offered(zone: Zone) -> bool:
    return bool(registry.get("dns", zone.provider).capabilities.dnssec)


# --- Turning on and off ----------------------------------------------------------------------


@transaction.atomic
def turn_on_dnssec(actor: Actor, domain_id: UUID) -> Job:
    """Have the zone signed. Twice gives the same job.

    Raises `DnssecNotOffered`, `DnssecChanging`, and what `lock_zone` raises.
    """
    domain = get_domain(actor, domain_id)
    zone = lock_zone(actor, domain)
    if not _is_offered(zone):
        raise DnssecNotOffered
    if running := _running(zone, ON):
        return running
    zone.dnssec_wanted = True
    zone.save(update_fields=["dnssec_wanted", "updated_at"])
    record(actor, "dns.dnssec_on", domain, f"Turned on DNSSEC for {domain}.")
    return _start(actor, zone, domain, ON)


def turn_off_dnssec(
    actor: Actor, domain_id: UUID, *, forced: bool = False, confirmation: str = ""
) -> Job:
    """Have the zone signed no more. Twice gives the same job.

    The parent zone is asked first, for `LOOK` seconds at most. While it has DS records, caches may
    remember them, or it does not answer: raises `DsAtParent` or `ParentSilent`; where it is forced,
    `ConfirmationRequired`. Else as `turn_on_dnssec`.
    """
    actor.require(ADMIN, "dns:write")
    domain = get_domain(actor, domain_id)
    if zone := Zone.objects.filter(domain=domain).first():
        (found,) = look_at_parents([zone], within=LOOK)
        if forced:
            losses, digest = lost_unsigned(domain, found)
            require_confirmation(losses, digest=digest, given=confirmation)
        else:
            require_no_ds(found)
    return _begin_turning_off(actor, domain, forced=forced)


def lost_unsigned(domain: Domain, found: AtParent) -> tuple[tuple[Loss, ...], str]:
    """What is lost when the zone is signed no more, and the digest of that."""
    if not (found.found or found.is_remembered or found.is_silent):
        return (), ""
    why = "has DS records" if found.found else "had DS records that caches remember"
    if found.is_silent:
        why = "does not say whether it has DS records"
    told = f"{found.parent.capitalize()} {why}: resolvers that validate refuse {domain.name}, and "
    loss = Loss("dnssec", domain.name, f"{told}its mail and websites are not reached through them.")
    return (loss,), digest_of(domain.name, why, sorted(found.found))


@transaction.atomic
def _begin_turning_off(actor: Actor, domain: Domain, *, forced: bool) -> Job:
    zone = lock_zone(actor, domain)
    if running := _running(zone, OFF, OFF_REGARDLESS):
        return running
    zone.dnssec_wanted = False
    zone.save(update_fields=["dnssec_wanted", "updated_at"])
    regardless = ", whatever the parent zone says" if forced else ""
    record(actor, "dns.dnssec_off", domain, f"Turned off DNSSEC for {domain}{regardless}.")
    return _start(actor, zone, domain, OFF_REGARDLESS if forced else OFF)


def check_parent_now(actor: Actor, domain_id: UUID) -> Zone:
    """Ask the parent zone now, for `LOOK` seconds at most. Raises `ZoneNotFound`."""
    actor.need("dns:read")
    zone = Zone.objects.filter(domain=get_domain(actor, domain_id)).first()
    if zone is None:
        raise ZoneNotFound
    look_at_parents([zone], within=LOOK)
    return zone


def last_seen_at_parent(domain: Domain) -> AtParent:
    """What the parent zone said last; silence where it was never asked."""
    zone = Zone.objects.filter(domain=domain).first()
    if zone is None or not zone.parent_ds:
        return AtParent("the parent zone", (), is_silent=True)
    return AtParent.from_json(zone.parent_ds)


def require_no_ds(found: AtParent) -> None:
    """Raise `DsAtParent` or `ParentSilent` unless an unsigned zone would be believed."""
    if found.is_silent:
        raise ParentSilent
    if found.found:
        raise DsAtParent(
            f"{found.parent.capitalize()} still has DS records. Remove them at your registrar "
            "first, or resolvers that validate will refuse the domain."
        )
    if found.is_remembered and found.until:
        raise DsAtParent(
            "The DS records are gone, but resolvers may remember them until "
            f"{found.until:%d %B, %H:%M} UTC. Until then the zone must stay signed."
        )


def _running(zone: Zone, *workflows: str) -> Job | None:
    """The job that is at it already. Raises `DnssecChanging` where one wants the opposite."""
    job = jobs_about(zone.pk, *WORKFLOWS).active().first()
    if job and job.workflow not in workflows:
        raise DnssecChanging
    return job


def _start(actor: Actor, zone: Zone, domain: Domain, workflow: str) -> Job:
    return start_job(
        actor,
        workflow,
        subject_id=zone.pk,
        subject_label=str(domain),
        lock=f"zone:{zone.pk}",
    )


# --- Called by states and sweeps -------------------------------------------------------------


def note_state(zone: Zone, state: DnssecState) -> None:
    """Keep the DS records of a zone as its provider says; the parent is looked at soon."""
    zone.ds_records = [str(ds) for ds in state.ds_records] if state.is_on else []
    zone.parent_ds_at = None
    zone.save(update_fields=["ds_records", "parent_ds_at", "updated_at"])


@transaction.atomic
def tell_signed(zone: Zone) -> None:
    """The zone is signed: the customer has something to give to the registrar."""
    domain = zone.domain
    text = f"{domain} is signed. Give its DS record to the registrar."
    record(system(domain.tenant_id), "dns.signed", domain, text)


@transaction.atomic
def tell_unsigned(zone: Zone) -> None:
    """The zone is not signed any more."""
    domain = zone.domain
    record(system(domain.tenant_id), "dns.unsigned", domain, f"{domain} is not signed any more.")


def look_at_due_parents() -> None:
    """Ask again about the zones whose DNSSEC somebody chose, some minutes after the last time."""
    before = timezone.now() - timedelta(seconds=settings.DNS_WATCH_INTERVAL)
    due = Zone.objects.filter(dnssec_wanted__isnull=False).select_related("domain")
    due = due.filter(Q(parent_ds_at__lt=before) | Q(parent_ds_at=None))
    if zones := list(due.order_by(F("parent_ds_at").asc(nulls_first=True))[:MOST_PER_SWEEP]):
        look_at_parents(zones)


def look_at_parents(zones: Sequence[Zone], *, within: float | None = None) -> list[AtParent]:
    """Ask the parents of these zones for DS records, and keep what they say.

    Silence is told, but never replaces what was known.
    """
    reports = look_at_signers([zone.domain.name for zone in zones], within=within)
    seen = [_merged(zone, report) for zone, report in zip(zones, reports, strict=True)]
    now = timezone.now()
    closed = []
    for zone, found in zip(zones, seen, strict=True):
        before = dnssec_sight(zone)
        zone.parent_ds, zone.parent_ds_at = found.to_json(), now
        if before != "seen" and dnssec_sight(zone) == "seen":
            closed.append(zone)
    columns = ["parent_ds", "parent_ds_at"]
    for zone in closed:
        domain = zone.domain
        text = f"The parent zone has the DS record of {domain}: DNSSEC protects it now."
        given = {name: getattr(zone, name) for name in columns}
        with transaction.atomic():
            # Not where the zone was deleted during the look: the others are kept all the same.
            if Zone.objects.filter(pk=zone.pk).update(**given):
                record(system(domain.tenant_id), "dns.ds_seen", domain, text)
    update_in_slices([zone for zone in zones if zone not in closed], columns)
    return seen


def dnssec_sight(zone: Zone) -> Sight:
    """Whether the parent had one of our DS records when it was last asked."""
    at_parent = AtParent.from_json(zone.parent_ds) if zone.parent_ds else None
    return _sight([DsRecord.from_text(text) for text in zone.ds_records], at_parent)


def _merged(zone: Zone, report: SignerReport) -> AtParent:
    """What is known of the parent after a look."""
    known = AtParent.from_json(zone.parent_ds) if zone.parent_ds else None
    if report.found is None:
        found, until = (known.found, known.until) if known else ((), None)
        parent = known.parent if known else report.parent_text
        return AtParent(parent, found, until, is_silent=True)
    until = known.until if known else None
    if report.found:
        until = timezone.now() + min(timedelta(seconds=report.ttl or 0), LONGEST_CACHED)
    found = tuple(sorted(str(DsRecord.from_text(text)) for text in report.found))
    return AtParent(report.parent_text, found, until)
