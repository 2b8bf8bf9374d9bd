"""Reading zones, plans, records and propagation; an actor sees their own tenant's only."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from dnszones.changes import ChangePlan as Plan
from dnszones.models import ChangePlan, PropagationSession, Record
from dnszones.resolvers import RecordStatus
from domains.models import Domain
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound


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
}


@dataclass(frozen=True)
class PurposeState:
    """What the zone's own nameservers last said about all records of one purpose."""

    purpose: str
    label: str
    verdict: str
    found: tuple[str, ...]
    records: tuple[Record, ...]


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
    if plan := found.select_related("zone__domain").first():
        return plan
    raise PlanNotFound


def plans_of(domain: Domain) -> list[ChangePlan]:
    """The plans of a domain that were shown or applied, newest first."""
    return list(
        ChangePlan.objects.filter(zone__domain=domain)
        .exclude(status=ChangePlan.SUPERSEDED)
        .select_related("created_by", "zone__domain")[:20]
    )


def present_plan(domain: Domain) -> ChangePlan | None:
    """The plan that is being made, shown, or applied now."""
    open_statuses = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.APPLYING, ChangePlan.FAILED)
    return (
        ChangePlan.objects.filter(zone__domain=domain, status__in=open_statuses)
        .select_related("zone__domain")
        .first()
    )


def revertible_plan(domain: Domain) -> ChangePlan | None:
    """The newest applied plan that was not taken back: the one that can be."""
    return (
        ChangePlan.objects.filter(
            zone__domain=domain, status=ChangePlan.APPLIED, reverts__isnull=True
        )
        .exclude(Q(reverted_by__status=ChangePlan.APPLIED))
        .order_by("-applied_at")
        .first()
    )


def plan_of(row: ChangePlan) -> Plan | None:
    """What the stored plan says, once it was computed."""
    return Plan.from_json(row.plan) if row.plan else None


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
