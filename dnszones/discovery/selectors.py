"""Reading what was discovered; an actor sees their own tenant's only."""

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

from dnszones import selectors as zones
from dnszones.discovery.comparing import Comparison
from dnszones.discovery.found import Found
from dnszones.models import ZoneDiscovery
from dnszones.records import value_of
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.actor import Actor
from mpanel.core.errors import Conflict

MOST_LINES = 20  # of what is lost


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


@dataclass(frozen=True)
class Loss:
    """What a domain loses when its nameservers change now. `digest` names exactly that."""

    sentence: str
    lines: tuple[str, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.sentence, *self.lines]).encode()).hexdigest()[:16]


def loss(row: ZoneDiscovery) -> Loss:
    """What is lost if the nameservers are changed now."""
    domain = row.zone.domain
    seen = comparison_of(row)
    if row.status == ZoneDiscovery.DIFFERENT and seen is not None:
        lines = [
            f"{one.type} {one.name}: {', '.join(one.old) or 'nothing'} becomes "
            f"{', '.join(one.new) or 'nothing'}"
            for one in seen.differences
        ]
        if seen.unknown:
            lines.append(f"{seen.unknown} names and types could not be compared.")
        return Loss(f"{domain} answers differently after the change.", _shortened(lines))
    if row.status == ZoneDiscovery.UNSEEN:
        return Loss(
            f"What {domain} publishes now could not be seen. All of it is lost.",
            ("Its website, mail and everything else at its present nameservers",),
        )
    found = records_found(row)
    lines = [f"{one.record.type} {one.record.name}: {value_of(one.record)[:100]}" for one in found]
    said = []
    if any(one.record.name in {domain.name, f"www.{domain.name}"}
           and one.record.type in {"A", "AAAA", "CNAME"} for one in found):  # fmt: skip
        said.append("Its website goes dark.")
    if any(one.record.key == (domain.name, "MX") for one in found):
        said.append(f"Mail to @{domain.name} stops arriving.")
    said.append(f"{len(found)} records are lost.")
    return Loss(" ".join(said), _shortened(lines))


def _shortened(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - MOST_LINES
    return tuple(lines if more <= 0 else [*lines[:MOST_LINES], f"and {more} more"])
