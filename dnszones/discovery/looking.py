"""What the jobs around existing records do: looking, writing, comparing, and what follows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dnszones.access import zone_provider
from dnszones.discovery import selectors
from dnszones.discovery.comparing import Comparison, compare, pairs_to_compare
from dnszones.discovery.found import Findings, Found, shortened
from dnszones.discovery.gathering import Progress, Search
from dnszones.discovery.questions import Asker, Pair
from dnszones.discovery.selectors import records_found
from dnszones.discovery.servers import new_servers, points_here, present_authority
from dnszones.live_zone import writable_types
from dnszones.models import ChangePlan, Zone, ZoneDiscovery
from dnszones.plans import edits
from dnszones.plans.services import PlanNotReady, compute_again, fail_plan
from dnszones.providers.base import DNSProvider, ZoneScanner
from domains.models import Domain
from domains.selectors import CONNECTING
from domains.services import set_zone_complete
from mpanel.core.actor import Actor, system
from mpanel.core.errors import Conflict, ProviderError
from mpanel.core.wording import counted
from mpanel.dns.client import Server
from provisioning.models import Job
from provisioning.run import progress as report
from provisioning.services import start_job, wake_jobs

MOST_COMPARISONS = 8  # looks, before what differs is taken for settled


class Outdated(Conflict):
    """Somebody else continued with the existing records of this domain. Continue from its page."""

    code = "DISCOVERY_OUTDATED"


def look(domain: Domain, progress: Progress) -> None:
    """Ask the present nameservers what the domain publishes, and keep it."""
    zone = Zone.objects.select_related("domain__dns_credential").get(domain=domain)
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
    provider = zone_provider(zone)
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
    _start_scan(provider, zone)
    search.run(
        authority.servers,
        named=[one.record.key for one in given],
        scanned=_scanned(provider, zone),
        progress=progress,
    )
    now |= {
        "found": [one.to_json() for one in findings.records],
        "left_out": [[*pair, why] for pair, why in findings.left_out.items()],
        "notes": shortened(search.notes),
        "is_transferred": search.is_transferred,
    }
    _settle(row, *_outcome(domain, search, authority.nameservers, authority.why), **now)


def not_seen(domain: Domain, *why: str) -> None:
    """The job that looks failed (`why`: code and sentence) or was cancelled: nothing is known, and
    the customer may look again, give a zone file or go on without."""
    row = ZoneDiscovery.objects.filter(zone__domain=domain).first()
    if row and row.status == ZoneDiscovery.LOOKING:
        reason = why[1] if why else "The work was cancelled."
        message = f"What {domain} publishes was not looked at to the end. {reason}"
        row.move(ZoneDiscovery.UNSEEN, message=message)


def look_anew(domain: Domain) -> None:
    """The job that looks is tried again. Raises `Outdated`."""
    _again(domain, ZoneDiscovery.UNSEEN, ZoneDiscovery.LOOKING)


def compare_anew(domain: Domain) -> None:
    """The job that compares is tried again. Raises `Outdated`."""
    _again(domain, ZoneDiscovery.DIFFERENT, ZoneDiscovery.COMPARING, comparisons=0)


def _again(domain: Domain, ended: str, status: str, **columns: Any) -> None:
    row = ZoneDiscovery.objects.get(zone__domain=domain)
    if row.status != ended:
        raise Outdated
    row.move(status, message="", **columns)


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
        _asker(domain, authority.servers, done=row.comparisons),
        _asker(domain, new_servers(domain), done=row.comparisons),
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
    start(system(row.zone.domain.tenant_id), "dnszones.compare", row.zone.domain)


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
        complete(domain)


def not_compared(domain: Domain, *why: str) -> None:
    """The job that compares failed or was cancelled."""
    row = ZoneDiscovery.objects.filter(zone__domain=domain).first()
    if row and row.status == ZoneDiscovery.COMPARING:
        row.move(ZoneDiscovery.DIFFERENT, message=why[1] if why else "The work was cancelled.")


def _start_scan(provider: DNSProvider, zone: Zone) -> None:
    """Let the DNS provider look, too; where it cannot, there is one source less."""
    if isinstance(provider, ZoneScanner):
        with suppress(ProviderError):
            provider.start_scan(zone.remote_id)


def _scanned(provider: DNSProvider, zone: Zone) -> Iterator[Pair]:
    """What the provider's scan has found when it is asked for."""
    if isinstance(provider, ZoneScanner):
        with suppress(ProviderError):
            yield from provider.scanned(zone.remote_id)


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
            f"Your zone file has {counted(count, 'record')}. The present nameservers could not be "
            "asked."
        )
    asked = len(search.asker.answers)
    if count or search.findings.left_out:
        how = f"answered {asked} names and types that we asked for"
        if search.is_transferred:
            how = "gave the whole zone"
        return ZoneDiscovery.FOUND, (f"{counted(count, 'record')} found at {servers}, which {how}.")
    if search.asker.unanswered:
        return ZoneDiscovery.UNSEEN, (
            f"{servers} left {len(search.asker.unanswered)} questions about {domain} open, and "
            "answered the others with nothing."
        )
    return ZoneDiscovery.EMPTY, (
        f"{servers} publish nothing for {domain} under the {asked} names and "
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
            complete(Domain.objects.get(pk=row.zone.domain_id))


def complete(domain: Domain) -> None:
    """The nameservers may be shown; the job that waits for that looks now."""
    set_zone_complete(domain, complete=True)
    wake_jobs(domain.pk, *CONNECTING)


def _unwanted(row: ZoneDiscovery) -> set[Pair]:
    """Names and types that the customer does not want as they are. A name without any record
    that is wanted is not made, so all of its types (of `pairs_to_compare`) may change."""
    found, kinds = records_found(row), {one.record.type for one in records_found(row)}
    unwanted = {one.record.key for one in found if one.id in row.unwanted}
    kept = {one.record.name for one in found if one.id not in row.unwanted}
    gone = {name for name, _ in unwanted} - kept
    return unwanted | {(name, kind) for name in gone for kind in kinds}


def _asker(domain: Domain, servers: Sequence[Server], *, done: int) -> Asker:
    return Asker(
        domain.name,
        servers,
        timeout=settings.DNS_TIMEOUT,
        beat=lambda: report(done, MOST_COMPARISONS),
    )


def start(actor: Actor, workflow: str, domain: Domain) -> Job:
    return start_job(
        actor,
        workflow,
        subject_id=domain.pk,
        subject_label=str(domain),
        lock=f"discovery:{domain.pk}",
    )
