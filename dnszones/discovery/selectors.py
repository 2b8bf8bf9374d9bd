"""Reading what was discovered; an actor sees their own tenant's only."""

from uuid import UUID

from dnszones import selectors as zones
from dnszones.discovery.comparing import Comparison
from dnszones.discovery.found import Found
from dnszones.models import ZoneDiscovery
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.actor import Actor
from mpanel.core.errors import Conflict


class NotLookedYet(Conflict):
    """What the domain publishes was not looked at: its zone is being made, or it was connected
    before that was done."""

    code = "NOT_LOOKED_YET"


def get_discovery(actor: Actor, domain_id: UUID) -> ZoneDiscovery:
    """What was discovered about a domain. Raises `DomainNotFound`, `NotLookedYet`."""
    actor.need("dns:read")
    row = discovery_of(get_domain(actor, domain_id))
    if row is None:
        raise NotLookedYet
    return row


def discovery_of(domain: Domain) -> ZoneDiscovery | None:
    """The same for a domain that was fetched for an actor; None before its zone is made."""
    found = ZoneDiscovery.objects.filter(zone__domain=domain)
    return found.select_related("zone__domain", "plan").first()


def records_found(row: ZoneDiscovery) -> list[Found]:
    """The records that were found, the zone's own name first."""
    return [Found.from_json(stored) for stored in row.found]


def comparison_of(row: ZoneDiscovery) -> Comparison | None:
    """What the last comparison saw."""
    return Comparison.from_json(row.comparison) if row.comparison else None


def conflict_ids(row: ZoneDiscovery) -> list[str]:
    """The changes that the plan left out because the zone has other records there."""
    plan = zones.plan_of(row.plan) if row.plan else None
    return [change.id for change in plan.conflicts] if plan else []
