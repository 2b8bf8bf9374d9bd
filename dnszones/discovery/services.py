"""Looking for a domain's existing records, taking them over, and comparing old with new."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from dnszones import zonefiles
from dnszones.discovery import selectors
from dnszones.discovery.found import Found
from dnszones.discovery.looking import complete, start
from dnszones.discovery.losses import losses_now
from dnszones.discovery.selectors import get_discovery, records_found
from dnszones.models import ChangePlan, ZoneDiscovery
from dnszones.plans import Edit
from dnszones.plans.services import DomainIsLeaving
from dnszones.vendors import dns_provider
from domains.models import Domain
from domains.services import set_zone_complete
from events.services import record
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict
from mpanel.core.losses import MOST_LISTED, require_confirmation
from provisioning.services import start_job


class DiscoveryBusy(Conflict):
    """This is under way just now. Wait until it is done."""

    code = "DISCOVERY_BUSY"


class NothingToTakeOver(Conflict):
    """There are no existing records to be taken over here."""

    code = "NOTHING_TO_TAKE_OVER"


def read_zone_file(actor: Actor, domain_id: UUID, text: str) -> list[dict[str, Any]] | None:
    """The records of a zone file for `look_again`; what doubtful lines may mean is only asked for.

    None for an empty file. Raises `Invalid` with a sentence for each line, `TooLarge`.
    """
    actor.require(ADMIN, "dns:write")
    domain = get_discovery(actor, domain_id).zone.domain
    if domain.is_verified:
        raise NothingToTakeOver(f"The nameservers of {domain} point here already.")
    if not text.strip():
        return None
    provider = dns_provider(domain.dns_credential)
    file = zonefiles.read(
        text, domain.name, capabilities=provider.capabilities, provider=provider.label
    )
    doubtful = [one for ask in file.questions for one in (ask.written, ask.proposal) if one]
    return [
        *(Found(one, ("file",)).to_json() for one in file.records),
        *(Found(one, ()).to_json() for one in doubtful),
    ]


@transaction.atomic
def look_again(
    actor: Actor, domain_id: UUID, *, given: list[dict[str, Any]] | None = None
) -> ZoneDiscovery:
    """Have a worker ask the present nameservers anew. `given`: of `read_zone_file`, asked for, too.

    The nameservers are not shown again before that is settled. Raises `DiscoveryBusy`.
    """
    actor.require(ADMIN, "dns:write")
    row = _locked(actor, domain_id)
    domain = row.zone.domain
    if domain.is_verified:
        raise NothingToTakeOver(f"The nameservers of {domain} point here already.")
    has_file, given = given is not None, row.given if given is None else given
    row.move(ZoneDiscovery.LOOKING, given=given, comparison=None, comparisons=0, plan=None)
    set_zone_complete(domain, complete=False)
    record(
        actor,
        "dns.discovery_asked",
        domain,
        f"Asked what {domain} publishes now{', with a zone file' if has_file else ''}.",
    )
    start(actor, "dnszones.discover", domain)
    return row


def take_over(
    actor: Actor, domain_id: UUID, *, unwanted: Sequence[str] = (), overwrite: bool = False
) -> ZoneDiscovery:
    """Have the found records written into the zone, but for the ids in `unwanted`.

    `overwrite`: also where the zone has other records of the same name and type. Raises
    `DiscoveryBusy`, `NothingToTakeOver`.
    """
    actor.require(ADMIN, "dns:write")
    seen = get_discovery(actor, domain_id)
    chosen = _Chosen.of(seen, unwanted=unwanted, overwrite=overwrite)
    with transaction.atomic():
        row = _locked(actor, domain_id)
        if row.status not in {ZoneDiscovery.FOUND, ZoneDiscovery.DIFFERENT}:
            raise NothingToTakeOver
        if row.updated_at != seen.updated_at:
            chosen = _Chosen.of(row, unwanted=unwanted, overwrite=overwrite)
        return _take_over(actor, row, chosen)


@dataclass(frozen=True)
class _Chosen:
    """What is taken over of what was found, computed before the discovery is locked.

    `edits`: the records as edits; `replace`: ids of conflicts; `left_out`: ids of records.
    """

    edits: list[dict[str, Any]]
    replace: list[str]
    left_out: list[str]

    @classmethod
    def of(cls, row: ZoneDiscovery, *, unwanted: Sequence[str], overwrite: bool) -> "_Chosen":
        found = records_found(row)
        records = [one.record for one in found if one.id not in unwanted]
        provider = dns_provider(row.zone.domain.dns_credential)
        if provider.capabilities.one_ttl_per_rrset:
            records = list(zonefiles.with_one_ttl(records))
        return cls(
            [Edit("create", one).to_json() for one in records],
            selectors.conflict_ids(row) if overwrite else [],
            [one.id for one in found if one.id in unwanted],
        )


def _take_over(actor: Actor, row: ZoneDiscovery, chosen: _Chosen) -> ZoneDiscovery:
    zone, domain = row.zone, row.zone.domain
    outdated = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.FAILED)
    for old in zone.plans.filter(kind=ChangePlan.EXISTING, status__in=outdated):
        old.move(ChangePlan.SUPERSEDED)
    plan = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        kind=ChangePlan.EXISTING,
        edits=chosen.edits,
        replace=chosen.replace,
        at_once=True,
    )
    row.move(ZoneDiscovery.WRITING, plan=plan, unwanted=chosen.left_out, message="")
    record(
        actor,
        "dns.takeover_asked",
        domain,
        f"Asked to take over {len(chosen.edits)} existing records of {domain}.",
        changes={"plan": str(plan.pk), "left_out": len(chosen.left_out)},
    )
    start_job(
        actor,
        "dnszones.takeover",
        subject_id=plan.pk,
        subject_label=str(domain),
        lock=f"zone:{zone.pk}",
    )
    return row


@transaction.atomic
def compare_again(actor: Actor, domain_id: UUID) -> ZoneDiscovery:
    """Have old and new nameservers asked once more."""
    actor.require(ADMIN, "dns:write")
    row = _locked(actor, domain_id)
    if not row.can_move(ZoneDiscovery.COMPARING) or row.status == ZoneDiscovery.WRITING:
        raise NothingToTakeOver("There is nothing to compare yet.")
    row.move(ZoneDiscovery.COMPARING, comparisons=0)
    set_zone_complete(row.zone.domain, complete=False)
    start(actor, "dnszones.compare", row.zone.domain)
    return row


def go_on_without(actor: Actor, domain_id: UUID, *, confirmation: str = "") -> ZoneDiscovery:
    """Show the nameservers although the zone lacks something; the customer knows what.

    `confirmation`: the digest of what is lost, as the error names it. Raises
    `ConfirmationRequired` with the losses for any other.
    """
    actor.require(ADMIN, "dns:write")
    seen = get_discovery(actor, domain_id)
    losses, digest = losses_now(seen)
    with transaction.atomic():
        row = _locked(actor, domain_id)
        if row.status in ZoneDiscovery.DONE:
            return row
        if row.updated_at != seen.updated_at:
            losses, digest = losses_now(row)
        require_confirmation(losses, digest=digest, given=confirmation)
        domain = row.zone.domain
        row.move(ZoneDiscovery.SKIPPED, message="You chose to go on without these records.")
        lost = [loss.sentence for loss in losses[:MOST_LISTED]]
        record(
            actor,
            "dns.takeover_skipped",
            domain,
            f"Went on without existing records of {domain}.",
            changes={"lost": lost, "total": len(losses)},
        )
        complete(domain)
        return row


def _locked(actor: Actor, domain_id: UUID) -> ZoneDiscovery:
    """The discovery, held until the transaction ends. Raises `DiscoveryBusy`, `DomainIsLeaving`."""
    row = get_discovery(actor, domain_id)
    held = ZoneDiscovery.objects.select_for_update(of=("self",)).select_related(
        "zone__domain__dns_credential"
    )
    row = held.get(pk=row.pk)
    if row.zone.domain.status == Domain.DELETING:
        raise DomainIsLeaving
    if row.status in ZoneDiscovery.BUSY:
        raise DiscoveryBusy
    return row
