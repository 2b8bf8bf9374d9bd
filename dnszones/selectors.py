"""Reading zones, plans, records and propagation; an actor sees their own tenant's only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from dnszones.mail_records import MailSetup
from dnszones.models import ChangePlan, PropagationSession, Record, Zone
from dnszones.plans import Change, Plan
from dnszones.propagation.checks import RecordStatus, estimated_completion, overall_percentage
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound
from provisioning.models import Job
from provisioning.selectors import newest_job


class ZoneNotFound(NotFound):
    """There is no such zone in your account."""

    code = "ZONE_NOT_FOUND"


class PlanNotFound(NotFound):
    """There is no such change plan in your account."""

    code = "PLAN_NOT_FOUND"


class SessionNotFound(NotFound):
    """There is no such propagation session in your account."""

    code = "SESSION_NOT_FOUND"


PURPOSES = {
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "mx": "MX",
    "tracking": "Tracking",
    "mta-sts": "MTA-STS",
    "tls-rpt": "TLS reports",
    "autoconfig": "Autoconfig",
}
NEEDED = ("spf", "dkim", "dmarc", "mx")


ZONE_STATUSES = {
    "creating": "Being made",
    "pending": "Not delegated yet",
    "active": "In use",
    "moved": "Delegated elsewhere",
    "deleting": "Being removed",
}


@dataclass(frozen=True)
class PurposeState:
    """What the zone's own nameservers last said about all records of one purpose."""

    purpose: str
    label: str
    verdict: str
    found: tuple[str, ...]
    records: tuple[Record, ...]


def zones(
    actor: Actor,
    *,
    search: str = "",
    customer_id: UUID | None = None,
    domain_id: UUID | None = None,
) -> QuerySet[Zone]:
    """The tenant's zones, by name. `customer_id`: their own customer, or nothing is found."""
    actor.need("dns:read")
    found = Zone.objects.filter(domain__tenant_id=actor.tenant_id).select_related(
        "domain__dns_credential"
    )
    if search:
        found = found.filter(
            Q(domain__name__icontains=search) | Q(domain__unicode_name__icontains=search)
        )
    if customer_id:
        found = found.filter(domain__tenant__customer=customer_id)
    if domain_id:
        found = found.filter(domain_id=domain_id)
    return found.order_by("domain__name", "id")


def get_zone(actor: Actor, zone_id: UUID) -> Zone:
    """One zone of the tenant, with its domain and credential. Raises `ZoneNotFound`."""
    if zone := zones(actor).filter(pk=zone_id).first():
        return zone
    raise ZoneNotFound


def zone_status(zone: Zone) -> str:
    """One of `ZONE_STATUSES`."""
    if zone.domain.status == Domain.DELETING:
        return "deleting"
    if not zone.remote_id:
        return "creating"
    trouble = zone.domain.delegation_trouble
    if trouble and trouble["verdict"] != "matches":
        return "moved"
    return "active" if zone.domain.is_verified else "pending"


def records_of(domain: Domain) -> list[Record]:
    """The records that we keep for a domain."""
    return list(Record.objects.filter(zone__domain=domain))


def get_plan(actor: Actor, plan_id: UUID, *, domain_id: UUID | None = None) -> ChangePlan:
    """One change plan of the tenant, and of this domain where one is named.

    Raises `PlanNotFound`.
    """
    actor.need("dns:read")
    found = ChangePlan.objects.filter(pk=plan_id, zone__domain__tenant_id=actor.tenant_id)
    if domain_id:
        found = found.filter(zone__domain_id=domain_id)
    if plan := found.select_related("zone__domain", "created_by").first():
        return plan
    raise PlanNotFound


def job_of(plan: ChangePlan) -> Job | None:
    """The newest job that computes or applies a plan."""
    return newest_job(plan.pk)


def plans_of(domain: Domain) -> QuerySet[ChangePlan]:
    """The plans of a domain that were shown or applied, newest first."""
    return (
        ChangePlan.objects.filter(zone__domain=domain)
        .exclude(status=ChangePlan.SUPERSEDED)
        .select_related("created_by", "zone__domain")
        .defer("snapshot", "edits")
    )


def present_plan(domain: Domain) -> ChangePlan | None:
    """The plan of a mail setup that is being made, shown, or applied now."""
    open_statuses = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.APPLYING, ChangePlan.FAILED)
    setups = ChangePlan.objects.filter(zone__domain=domain, kind=ChangePlan.SETUP)
    return setups.filter(status__in=open_statuses).select_related("zone__domain").first()


def revertible_plan(domain: Domain) -> ChangePlan | None:
    """The mail setup in force: the newest applied plan of one that was not taken back."""
    setups = ChangePlan.objects.filter(zone__domain=domain, kind=ChangePlan.SETUP)
    return (
        setups.filter(status=ChangePlan.APPLIED, reverts__isnull=True)
        .exclude(Q(reverted_by__status=ChangePlan.APPLIED))
        .order_by("-applied_at")
        .first()
    )


def setup_in_force(name: str) -> MailSetup | None:
    """The mail setup of a verified domain, as it was applied last; one query."""
    applied = ChangePlan.objects.filter(
        zone__domain__name=name,
        zone__domain__verified_at__isnull=False,
        kind=ChangePlan.SETUP,
        status=ChangePlan.APPLIED,
        reverts__isnull=True,
    ).exclude(Q(reverted_by__status=ChangePlan.APPLIED))
    stored = applied.order_by("-applied_at").values_list("setup", flat=True).first()
    return MailSetup.from_json(stored) if stored else None


JUST_NOW = timedelta(minutes=2)


def latest_edit(zone: Zone) -> ChangePlan | None:
    """The newest plan of a person's own, while its writer looks at what becomes of it."""
    by_hand = zone.plans.filter(kind__in=(ChangePlan.RECORDS, ChangePlan.IMPORT))
    newest = by_hand.exclude(status=ChangePlan.SUPERSEDED).defer("edits", "snapshot").first()
    is_past = newest is not None and newest.status in {ChangePlan.APPLIED, ChangePlan.FAILED}
    if newest is None or (is_past and newest.updated_at < timezone.now() - JUST_NOW):
        return None
    return newest


def plan_of(row: ChangePlan) -> Plan | None:
    """What the stored plan says, once it was computed."""
    return Plan.from_json(row.plan) if row.plan else None


def plan_shown(plan: Plan, *, most: int) -> list[Change]:
    """The changes of a plan that a person must see first: conflicts, then what is written."""
    order = {"conflict": 0, "delete": 1, "update": 2, "create": 3, "keep": 4}
    return sorted(plan.changes, key=lambda change: order[change.action])[:most]


def verify(domain: Domain) -> list[PurposeState]:
    """What is configured and what is missing, by purpose, as last seen at the zone itself.

    The verdict of a purpose is the worst of its records': conflicts, missing, unknown, matches.
    """
    by_purpose: dict[str, list[Record]] = {}
    for record in records_of(domain):
        by_purpose.setdefault(record.purpose, []).append(record)
    states = []
    for purpose, label in PURPOSES.items():
        records = by_purpose.get(purpose, [])
        if not records:
            continue
        verdicts = {record.verdict for record in records}
        worst = next(v for v in ("conflicts", "missing", "unknown", "matches") if v in verdicts)
        found = {
            value
            for record in records
            if record.own and record.verdict == worst
            for value in record.own["found"]
        }
        states.append(PurposeState(purpose, label, worst, tuple(sorted(found)), tuple(records)))
    return states


def latest_session(domain: Domain) -> PropagationSession | None:
    """The newest propagation session of a domain."""
    return PropagationSession.objects.filter(zone__domain=domain).first()


def get_session(actor: Actor, session_id: UUID) -> PropagationSession:
    """One propagation session of the tenant. Raises `SessionNotFound`."""
    actor.need("dns:read")
    found = PropagationSession.objects.filter(
        pk=session_id, zone__domain__tenant_id=actor.tenant_id
    )
    if session := found.select_related("zone__domain").first():
        return session
    raise SessionNotFound


@dataclass(frozen=True)
class PropagationReport:
    """How far all of a zone's records have got. `session`: that asked for, or the running one."""

    session: PropagationSession | None
    records: tuple[tuple[Record, RecordStatus], ...]

    @property
    def progress(self) -> int:
        return overall_percentage([status for _, status in self.records])

    @property
    def estimated_completion_at(self) -> datetime | None:
        return estimated_completion((status for _, status in self.records), now=timezone.now())

    def count(self, *statuses: str) -> int:
        """How many records are in one of these statuses."""
        return sum(status.status in statuses for _, status in self.records)


def session_report(actor: Actor, session_id: UUID) -> PropagationReport:
    """A session and its zone's records. Raises `SessionNotFound`."""
    session = get_session(actor, session_id)
    return _report(session, records_of(session.zone.domain))


def domain_report(actor: Actor, domain_id: UUID) -> PropagationReport:
    """The running session of a domain, if there is one, and its records."""
    actor.need("dns:read")
    domain = get_domain(actor, domain_id)
    running = PropagationSession.objects.filter(
        zone__domain=domain, status=PropagationSession.POLLING
    )
    return _report(running.select_related("zone").first(), records_of(domain))


def all_seen_since(session: PropagationSession, moment: datetime) -> bool:
    """Whether every record of a session's zone was looked at since then."""
    return (
        not Record.objects.filter(zone_id=session.zone_id).exclude(checked_at__gt=moment).exists()
    )


def _report(session: PropagationSession | None, records: list[Record]) -> PropagationReport:
    return PropagationReport(session, tuple((row, record_status(row)) for row in records))


@dataclass(frozen=True)
class Verification:
    """What is configured, by purpose, and each record that is not as it should be.

    A purpose counts as configured when the zone's own nameservers have all of its records. What
    they could not be asked about is `unknown`, not missing.
    """

    configured: frozenset[str]
    missing: tuple[str, ...]
    conflicts: tuple[str, ...]
    unknown: tuple[str, ...]
    checked_at: datetime | None


def verification(actor: Actor, domain_id: UUID) -> Verification:
    """How the mail records of a domain stand, as last seen at the zone itself."""
    actor.need("dns:read")
    states = {state.purpose: state for state in verify(get_domain(actor, domain_id))}
    records = [record for state in states.values() for record in state.records]

    def shown(verdict: str) -> list[str]:
        return [f"{row.type} {row.name}" for row in records if row.verdict == verdict]

    absent = [PURPOSES[need] for need in NEEDED if need not in states]
    seen = [row.checked_at for row in records if row.checked_at]
    return Verification(
        configured=frozenset(
            purpose for purpose, state in states.items() if state.verdict == "matches"
        ),
        missing=(*shown("missing"), *(f"{label} is not set up" for label in absent)),
        conflicts=tuple(shown("conflicts")),
        unknown=tuple(shown("unknown")),
        checked_at=min(seen, default=None),
    )


def record_status(record: Record) -> RecordStatus:
    """How far a record has got, from what was kept of the last sweep."""
    answering = [s for s in record.sightings if s["verdict"] != "unknown"]
    return RecordStatus(
        status=record.status,  # type: ignore[arg-type]
        percentage=record.percent,
        matching=sum(s["verdict"] == "matches" for s in answering),
        answering=len(answering),
        asked=len(record.sightings),
        cached_until=record.cached_until,
    )
