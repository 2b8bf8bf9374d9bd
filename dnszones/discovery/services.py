"""Looking for a domain's existing records, taking them over, and comparing old with new."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dnszones import edits, zonefiles
from dnszones.changes import Edit
from dnszones.discovery import selectors
from dnszones.discovery.comparing import Comparison, compare, pairs_to_compare
from dnszones.discovery.found import Findings, Found, shortened
from dnszones.discovery.gathering import Progress, Search
from dnszones.discovery.questions import Asker, Pair
from dnszones.discovery.selectors import Loss, get_discovery, records_found
from dnszones.discovery.servers import new_servers, points_here, present_authority
from dnszones.models import ChangePlan, Zone, ZoneDiscovery
from dnszones.services import DomainIsLeaving, PlanNotReady, compute_again, fail_plan
from dnszones.sights import writable_types
from dnszones.vendors import dns_provider
from domains.models import Domain
from domains.selectors import CONNECTING
from domains.services import set_zone_complete
from events.services import record
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.dnsclient import Server
from mpanel.core.errors import Conflict
from provisioning.models import Job
from provisioning.services import check_now, start_job

MOST_COMPARISONS = 8  # looks, before what differs is taken for settled


class DiscoveryBusy(Conflict):
    """This is under way just now. Wait until it is done."""

    code = "DISCOVERY_BUSY"


class NothingToTakeOver(Conflict):
    """There are no existing records to be taken over here."""

    code = "NOTHING_TO_TAKE_OVER"


class ConfirmationRequired(Conflict):
    """The domain loses what it publishes now. Confirm that you want that."""

    code = "CONFIRMATION_REQUIRED"


@transaction.atomic
def look_again(actor: Actor, domain_id: UUID, *, zone_file: str = "") -> ZoneDiscovery:
    """Have a worker ask the present nameservers anew; what a zone file names is asked for, too.

    The nameservers are not shown again before that is settled. Raises `Invalid` with a sentence
    for each line of the file, `TooLarge`, `DiscoveryBusy`.
    """
    actor.require(ADMIN, "dns:write")
    row = _locked(actor, domain_id)
    domain = row.zone.domain
    if domain.is_verified:
        raise NothingToTakeOver(f"The nameservers of {domain} point here already.")
    given = row.given
    if zone_file.strip():
        given = _read(row.zone, zone_file)
    row.move(ZoneDiscovery.LOOKING, given=given, comparison=None, comparisons=0, plan=None)
    set_zone_complete(domain, complete=False)
    record(
        actor,
        "dns.discovery_asked",
        domain,
        f"Asked what {domain} publishes now{', with a zone file' if zone_file.strip() else ''}.",
    )
    _start(actor, "dnszones.discover", domain)
    return row


@transaction.atomic
def take_over(
    actor: Actor, domain_id: UUID, *, unwanted: Sequence[str] = (), overwrite: bool = False
) -> ZoneDiscovery:
    """Have the found records written into the zone, but for the ids in `unwanted`.

    `overwrite`: also where the zone has other records of the same name and type. Raises
    `DiscoveryBusy`, `NothingToTakeOver`.
    """
    actor.require(ADMIN, "dns:write")
    row = _locked(actor, domain_id)
    if row.status not in {ZoneDiscovery.FOUND, ZoneDiscovery.DIFFERENT}:
        raise NothingToTakeOver
    found = records_found(row)
    chosen = [one.record for one in found if one.id not in unwanted]
    zone, domain = row.zone, row.zone.domain
    provider = dns_provider(domain.dns_credential)
    if provider.capabilities.one_ttl_per_rrset:
        chosen = list(zonefiles.with_one_ttl(chosen))
    outdated = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.FAILED)
    for old in zone.plans.filter(kind=ChangePlan.EXISTING, status__in=outdated):
        old.move(ChangePlan.SUPERSEDED)
    plan = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        kind=ChangePlan.EXISTING,
        edits=[Edit("create", one).to_json() for one in chosen],
        replace=selectors.conflict_ids(row) if overwrite else [],
        at_once=True,
        confirmed=True,
    )
    kept = [one.id for one in found if one.id in unwanted]
    row.move(ZoneDiscovery.WRITING, plan=plan, unwanted=kept, message="")
    record(
        actor,
        "dns.takeover_asked",
        domain,
        f"Asked to take over {len(chosen)} existing records of {domain}.",
        changes={"plan": str(plan.pk), "left_out": len(kept)},
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
    _start(actor, "dnszones.compare", row.zone.domain)
    return row


@transaction.atomic
def go_on_without(actor: Actor, domain_id: UUID, *, confirmation: str = "") -> ZoneDiscovery:
    """Show the nameservers although the zone lacks something; the customer knows what.

    `confirmation`: the digest of what is lost, as the error names it. Raises
    `ConfirmationRequired` with the losses for any other.
    """
    actor.require(ADMIN, "dns:write")
    row = _locked(actor, domain_id)
    if row.status in ZoneDiscovery.DONE:
        return row
    loss = selectors.loss(row)
    if confirmation != loss.digest:
        raise confirmation_required(loss)
    domain = row.zone.domain
    row.move(ZoneDiscovery.SKIPPED, message="You chose to go on without these records.")
    record(
        actor,
        "dns.takeover_skipped",
        domain,
        f"Went on without existing records of {domain}.",
        changes={"lost": list(loss.lines)},
    )
    _complete(domain)
    return row


def confirmation_required(loss: Loss) -> ConfirmationRequired:
    """The error that says what is lost, and how that is confirmed."""
    return ConfirmationRequired(
        loss.sentence, details={"lost": list(loss.lines), "confirmation": loss.digest}
    )


# --- Called by states ------------------------------------------------------------------------


def look(domain: Domain, progress: Progress) -> None:
    """Ask the present nameservers what the domain publishes, and keep it."""
    zone = Zone.objects.get(domain=domain)
    row, _ = ZoneDiscovery.objects.get_or_create(zone=zone)
    if row.status != ZoneDiscovery.LOOKING:
        return
    authority = present_authority(domain)
    now: dict[str, Any] = {
        "nameservers": list(authority.nameservers),
        "looked_at": timezone.now(),
        "found": [],
        "left_out": [],
        "notes": [],
        "is_transferred": False,
    }
    if points_here(domain, authority):
        _settle(row, ZoneDiscovery.HERE, "The nameservers point here already.", **now)
        return
    if authority.verdict == "missing" and not row.given:
        message = f"{domain} has no nameservers yet, so it publishes nothing that could be lost."
        _settle(row, ZoneDiscovery.EMPTY, message, **now)
        return
    provider = dns_provider(domain.dns_credential)
    findings = Findings(domain.name, writable_types(provider.capabilities), provider.label)
    given = [Found.from_json(one) for one in row.given]
    for one in given:
        if one.sources:
            findings.add(one.record, "file")
    asker = Asker(
        domain.name,
        authority.servers,
        timeout=settings.DNS_TIMEOUT,
        beat=lambda: progress(0),
    )
    search = Search(findings, asker)
    search.run(
        authority.servers, named=[one.record.key for one in given], scanned=(), progress=progress
    )
    now |= {
        "found": [one.to_json() for one in findings.records],
        "left_out": [[*pair, why] for pair, why in findings.left_out.items()],
        "notes": shortened(search.notes),
        "is_transferred": search.is_transferred,
    }
    _settle(row, *_outcome(domain, search, authority.nameservers, authority.why), **now)


def compare_now(domain: Domain) -> Comparison | None:
    """Ask old and new nameservers for all that is known, and keep what they said.

    None where the nameservers point here meanwhile, so that there is nothing to compare with.
    """
    row = ZoneDiscovery.objects.get(zone__domain=domain)
    authority = present_authority(domain)
    if points_here(domain, authority):
        row.move(ZoneDiscovery.HERE, message="The nameservers point here already.")
        return None
    records = [one.record for one in records_found(row)]
    left_out = [(name, kind) for name, kind, _ in row.left_out]
    pairs = list(dict.fromkeys((*pairs_to_compare(domain.name, records), *left_out)))
    planned = _unwanted(row) | set(left_out)
    seen = compare(
        _asker(domain, authority.servers),
        _asker(domain, new_servers(domain)),
        pairs,
        planned=planned,
    )
    row.comparison, row.comparisons = seen.to_json(), row.comparisons + 1
    row.compared_at, row.message = timezone.now(), seen.sentence
    row.save(update_fields=["comparison", "comparisons", "compared_at", "message", "updated_at"])
    return seen


def written(plan: ChangePlan) -> None:
    """The existing records stand in the zone: compare what both sides answer."""
    edits.finish_edits(plan)
    row = ZoneDiscovery.objects.select_related("zone__domain").get(zone=plan.zone)
    row.move(ZoneDiscovery.COMPARING, comparisons=0)
    _start(system(row.zone.domain.tenant_id), "dnszones.compare", row.zone.domain)


def not_written(plan: ChangePlan, *why: str) -> None:
    """The job that writes them failed (`why`: code and sentence) or was cancelled."""
    fail_plan(plan)
    row = ZoneDiscovery.objects.filter(zone=plan.zone, status=ZoneDiscovery.WRITING).first()
    if row:
        row.move(ZoneDiscovery.FOUND, message=why[1] if why else "The work was cancelled.")


def write_again(plan: ChangePlan) -> None:
    """The job that writes them is tried again. Raises `PlanNotReady` where that is outdated."""
    compute_again(plan)
    row = ZoneDiscovery.objects.get(zone=plan.zone)
    if row.status != ZoneDiscovery.FOUND or row.plan_id != plan.pk:
        raise PlanNotReady
    row.move(ZoneDiscovery.WRITING, message="")


def settle_comparison(domain: Domain) -> None:
    """The comparison ended: the zone is complete, or a person must look."""
    row = ZoneDiscovery.objects.select_related("zone__domain").get(zone__domain=domain)
    if row.status == ZoneDiscovery.COMPARING:
        seen = selectors.comparison_of(row)
        alike = seen is not None and seen.is_alike
        row.move(ZoneDiscovery.COMPLETE if alike else ZoneDiscovery.DIFFERENT)
    if row.status in ZoneDiscovery.DONE:
        _complete(domain)


def not_compared(domain: Domain, *why: str) -> None:
    """The job that compares failed or was cancelled."""
    row = ZoneDiscovery.objects.filter(zone__domain=domain).first()
    if row and row.status == ZoneDiscovery.COMPARING:
        row.move(ZoneDiscovery.DIFFERENT, message=why[1] if why else "The work was cancelled.")


# --- The steps of these ----------------------------------------------------------------------


def _outcome(
    domain: Domain, search: Search, nameservers: Collection[str], why: str
) -> tuple[str, str]:
    """The status that follows from a search, and the sentence that says so."""
    count, servers = len(search.findings.found), " and ".join(sorted(nameservers))
    if not search.is_answered and not count:
        reason = why or "they do not answer for it"
        return ZoneDiscovery.UNSEEN, (
            f"What {domain} publishes could not be seen: {reason}. That does not mean that there "
            "is nothing."
        )
    if not search.is_answered:
        return ZoneDiscovery.FOUND, (
            f"{count} records are in your zone file. The present nameservers could not be asked."
        )
    if count or search.findings.left_out:
        whole = "the whole zone" if search.is_transferred else f"{len(search.asker.answers)} names"
        return ZoneDiscovery.FOUND, (
            f"{count} record{'s' if count != 1 else ''} found at {servers}, which "
            + (
                "gave the whole zone."
                if search.is_transferred
                else f"answered {whole} and types that we asked for."
            )
        )
    if search.asker.unanswered:
        return ZoneDiscovery.UNSEEN, (
            f"{servers} left {len(search.asker.unanswered)} questions about {domain} open, and "
            "answered the others with nothing."
        )
    return ZoneDiscovery.EMPTY, (
        f"{servers} publish nothing for {domain} under the {len(search.asker.answers)} names and "
        "types that we asked for."
    )


def _settle(row: ZoneDiscovery, status: str, message: str, **columns: Any) -> None:
    """Keep the outcome of a search; one that another runner settled stays as it is."""
    with transaction.atomic():
        fresh = ZoneDiscovery.objects.select_for_update().get(pk=row.pk)
        if fresh.status != ZoneDiscovery.LOOKING:
            return
        fresh.move(status, message=message, **columns)
        if status in ZoneDiscovery.DONE:
            _complete(Domain.objects.get(pk=row.zone.domain_id))


def _complete(domain: Domain) -> None:
    """The nameservers may be shown; the job that waits for that looks now."""
    set_zone_complete(domain, complete=True)
    for job in Job.objects.active().filter(workflow__in=CONNECTING, subject_id=domain.pk):
        check_now(job)


def _unwanted(row: ZoneDiscovery) -> set[Pair]:
    """Names and types that the customer does not want as they are. A name without any record
    that is wanted is not made, so all of its types (of `pairs_to_compare`) may change."""
    found, kinds = records_found(row), {one.record.type for one in records_found(row)}
    unwanted = {one.record.key for one in found if one.id in row.unwanted}
    kept = {one.record.name for one in found if one.id not in row.unwanted}
    gone = {name for name, _ in unwanted} - kept
    return unwanted | {(name, kind) for name in gone for kind in kinds}


def _asker(domain: Domain, servers: Sequence[Server]) -> Asker:
    return Asker(domain.name, servers, timeout=settings.DNS_TIMEOUT)


def _read(zone: Zone, text: str) -> list[dict[str, Any]]:
    """The records of a zone file, to be stored; what doubtful lines may mean is only asked for."""
    provider = dns_provider(zone.domain.dns_credential)
    file = zonefiles.read(
        text, zone.domain.name, capabilities=provider.capabilities, provider=provider.label
    )
    doubtful = [one for ask in file.questions for one in (ask.written, ask.proposal) if one]
    return [
        *(Found(one, ("file",)).to_json() for one in file.records),
        *(Found(one, ()).to_json() for one in doubtful),
    ]


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


def _start(actor: Actor, workflow: str, domain: Domain) -> Job:
    return start_job(
        actor,
        workflow,
        subject_id=domain.pk,
        subject_label=str(domain),
        lock=f"discovery:{domain.pk}",
    )
