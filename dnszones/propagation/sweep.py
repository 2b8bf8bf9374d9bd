"""The propagation sweep: all records that are due, in bulk, however many zones they are in.

A record is looked at every `PROPAGATION_INTERVAL` seconds while a session of its zone runs, and
every `DNS_WATCH_INTERVAL` seconds afterwards, so that drift shows.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import batched
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dnszones.models import PropagationSession, Record, Zone
from dnszones.propagation import checks as eyes
from dnszones.propagation.verdicts import expectation_key, expectations
from dnszones.selectors import record_status
from dnszones.vendors import dns_client, resolvers
from domains.models import Domain
from domains.services import mark_ready
from events.services import record as record_event
from mpanel.core.actor import system
from mpanel.core.errors import Conflict
from mpanel.dns.client import Question, Server

MOST_ZONES = 500  # per sweep: a few seconds
ADDRESSES_GOOD_FOR = timedelta(hours=1)
CHUNK = 500  # rows per statement
ZONES_AT_ONCE = 100  # that one transaction writes


def sweep() -> bool:
    """Look at records that are due, and write back what changed. Whether more are due."""
    due = Record.objects.due().values_list("zone_id", flat=True).distinct().order_by()
    zone_ids = list(due[:MOST_ZONES])
    check_zones(zone_ids)
    return len(zone_ids) == MOST_ZONES


def check_zones(zone_ids: Iterable[UUID]) -> int:
    """Look at all records of these zones, and settle their sessions. How many records."""
    zones = {
        zone.pk: zone
        for zone in Zone.objects.filter(pk__in=list(zone_ids)).select_related("domain")
    }
    if not zones:
        return 0
    _look_up_addresses(zones.values())
    rows: dict[UUID, list[Record]] = defaultdict(list)
    for row in Record.objects.filter(zone_id__in=zones):
        rows[row.zone_id].append(row)
    watches = [watch for zone in zones.values() for watch in _watches(zone, rows[zone.pk])]
    observed = asyncio.run(_sweep(watches))
    seen = {item.key: item for item in observed}
    now = timezone.now()
    changed = [row for group in rows.values() for row in group if _note(row, seen[_key(row)], now)]
    # All of it is computed; the database is locked for a few zones at a time.
    for some in map(set, batched(rows, ZONES_AT_ONCE)):
        group = {pk: rows[pk] for pk in some}
        settled = _write(group, [row for row in changed if row.zone_id in some], now)
        _settle_sessions({pk: zones[pk] for pk in settled}, rows, now)
    return sum(map(len, rows.values()))


def _watches(zone: Zone, rows: Sequence[Record]) -> list[eyes.Watch]:
    """What to look for: one watch for each rrset of a purpose, shared by its records, and one for
    each text that stands by itself."""
    servers = tuple(
        Server(address, settings.DNS_PORT, name)
        for name, addresses in sorted(zone.addresses.items())
        for address in addresses
    )
    return [
        eyes.Watch((zone.pk, *key), servers, expected, zone.domain.name)
        for key, expected in expectations((row.purpose, row.data) for row in rows).items()
    ]


def _key(row: Record) -> tuple[UUID, str, str, str, str]:
    return (row.zone_id, *expectation_key(row.purpose, row.data))


async def _sweep(watches: Sequence[eyes.Watch]) -> list[eyes.Observed]:
    async with dns_client() as client:
        return await eyes.sweep(client, watches, resolvers())


def _note(row: Record, seen: eyes.Observed, now: datetime) -> bool:
    """Put what was seen into the row; whether anything differs from before."""
    status = eyes.summarise(seen.own, seen.resolvers, now=now)
    until = status.cached_until and _minute_after(status.cached_until)
    fresh = (
        status.status,
        status.percentage,
        _plain(seen.own, now),
        [_plain(sighting, now) for sighting in seen.resolvers],
        until,
    )
    before = (row.status, row.percent, row.own, row.sightings, row.cached_until)
    row.status, row.percent, row.own, row.sightings, row.cached_until = fresh
    return fresh != before


def _minute_after(moment: datetime) -> datetime:
    """The next whole minute: until then a cache that counts down says the same every time."""
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _plain(sighting: eyes.Sighting, now: datetime) -> dict[str, Any]:
    until = None
    if sighting.verdict in {"missing", "conflicts"} and sighting.ttl is not None:
        gone = now + min(timedelta(seconds=sighting.ttl), eyes.LONGEST_CACHED)
        until = _minute_after(gone).isoformat()
    return {
        "server": sighting.server_name,
        "verdict": sighting.verdict,
        "found": list(sighting.found) if sighting.verdict != "matches" else [],
        "until": until,
        "why": sighting.why,
    }


@transaction.atomic
def _write(
    rows: Mapping[UUID, Sequence[Record]], changed: Sequence[Record], now: datetime
) -> set[UUID]:
    """Keep what was seen. The zones whose records are still those that were looked at.

    Of any other zone nothing is written: a plan was applied or taken back while we looked, and the
    next sweep sees what is wanted now.
    """
    there: dict[UUID, set[UUID]] = defaultdict(set)
    locked = Record.objects.select_for_update().order_by("pk")
    for pk, zone_id in locked.filter(zone_id__in=rows).values_list("pk", "zone_id"):
        there[zone_id].add(pk)
    settled = {
        zone_id for zone_id, group in rows.items() if {row.pk for row in group} == there[zone_id]
    }
    # An upsert of rows that are there: many times as fast as `bulk_update`.
    Record.objects.bulk_create(
        [row for row in changed if row.zone_id in settled],
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["status", "percent", "own", "sightings", "cached_until"],
    )
    watched = set(
        PropagationSession.objects.filter(status=PropagationSession.POLLING).values_list(
            "zone_id", flat=True
        )
    )
    for interval, group in (
        (settings.PROPAGATION_INTERVAL, list(settled & watched)),
        (settings.DNS_WATCH_INTERVAL, list(settled - watched)),
    ):
        for start in range(0, len(group), CHUNK):
            Record.objects.filter(zone_id__in=group[start : start + CHUNK]).update(
                checked_at=now, next_check_at=now + timedelta(seconds=interval)
            )
    return settled


def _settle_sessions(
    zones: dict[UUID, Zone], rows: dict[UUID, list[Record]], now: datetime
) -> None:
    """Bring the running sessions of these zones up to date; end those that are over."""
    polling = PropagationSession.objects.filter(status=PropagationSession.POLLING)
    running = list(polling.filter(zone_id__in=zones))
    alike: dict[tuple[int, datetime | None], list[UUID]] = defaultdict(list)
    for session in running:
        statuses = [record_status(row) for row in rows[session.zone_id]]
        progress = eyes.overall_percentage(statuses)
        alike[progress, eyes.estimated_completion(statuses, now=now)].append(session.pk)
    with transaction.atomic():
        for (progress, completion), ids in alike.items():
            polling.filter(pk__in=ids).update(
                progress=progress,
                estimated_completion_at=completion,
                last_checked_at=now,
                check_count=F("check_count") + 1,
            )
        for session in running:
            with suppress(Conflict):  # cancelled meanwhile, say
                _end_if_over(session, rows[session.zone_id], zones[session.zone_id].domain, now)


def _end_if_over(
    session: PropagationSession, rows: Sequence[Record], domain: Domain, now: datetime
) -> None:
    """A domain is ready once its required records have spread; all others are still watched."""
    required = [row for row in rows if row.level == "required"] or rows
    if domain.status == Domain.DNS_CONFIGURING and _have_spread(required):
        _ready(domain)
    if _have_spread(rows):
        _complete(session, domain, now)
    elif now > session.timeout_at:
        session.move(PropagationSession.TIMEOUT, completed_at=now)


def _have_spread(rows: Sequence[Record]) -> bool:
    return all(row.status == Record.PROPAGATED for row in rows)


@transaction.atomic
def _ready(domain: Domain) -> None:
    mark_ready(domain)
    text = f"{domain} is ready for inboxes."
    record_event(system(domain.tenant_id), "domain.ready", domain, text)


@transaction.atomic
def _complete(session: PropagationSession, domain: Domain, now: datetime) -> None:
    session.move(PropagationSession.COMPLETED, completed_at=now)
    text = f"The records of {domain} have propagated."
    record_event(system(domain.tenant_id), "dns.propagated", domain, text)


def _look_up_addresses(zones: Iterable[Zone]) -> None:
    """Find out where the zones' own nameservers answer; kept for an hour, and on failure longer.

    The IPv4 addresses, or the IPv6 addresses of a nameserver that has no others.
    """
    now = timezone.now()
    stale = [
        zone
        for zone in zones
        if zone.addresses_at is None
        or zone.addresses_at < now - ADDRESSES_GOOD_FOR
        or set(zone.addresses) != set(zone.domain.nameservers)
    ]
    names = sorted({name for zone in stale for name in zone.domain.nameservers})
    if not names:
        return
    found = asyncio.run(_addresses(names))
    alike: dict[str, list[Zone]] = defaultdict(list)
    for zone in stale:
        fresh = {name: found.get(name, ()) for name in zone.domain.nameservers}
        zone.addresses = {
            name: list(addresses or zone.addresses.get(name, ()))
            for name, addresses in fresh.items()
        }
        alike[json.dumps(zone.addresses)].append(zone)
    # A provider has few sets of nameservers, so this is few statements.
    with transaction.atomic():
        for group in alike.values():
            Zone.objects.filter(pk__in=[zone.pk for zone in group]).update(
                addresses=group[0].addresses, addresses_at=now
            )


async def _addresses(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    asked = [
        Question(server, name, rdtype)
        for rdtype in ("A", "AAAA")
        for name in names
        for server in resolvers()
    ]
    async with dns_client() as client:
        answers = await client.ask_many(asked)
    found: dict[str, tuple[str, ...]] = {}
    for question, answer in zip(asked, answers, strict=True):
        if answer.values and question.name not in found:
            found[question.name] = answer.values
    return found
