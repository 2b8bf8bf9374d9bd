"""The sweep over flattened SPF records: the sources of all that are due are looked at together."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dnszones import spf
from dnszones.models import ChangePlan, Record, SpfFlattening
from dnszones.spf.flattened import records as flattened
from dnszones.spf.flattened.plans import CLEAN, REFRESH, made_from
from dnszones.spf.flattened.services import UNDER_WAY, begin_plan, note_failure, note_recovery
from dnszones.spf.resolver import NotingResolver, SharedAnswers
from dnszones.vendors import dns_client, resolvers
from domains.models import Domain
from mpanel.core.actor import system
from mpanel.core.bulk import update_in_slices
from mpanel.dns.client import TemporaryFailure

MOST_PER_SWEEP = 200
MOST_PLANS = 50  # begun by one sweep; the others are due at the next one
LOOKS_FOR = 15.0  # seconds, for all records of a sweep: a source of many senders needs some
SETTLED = timedelta(minutes=5)  # after which a nameserver that shows another text means it


@dataclass(frozen=True)
class Look:
    """What DNS said about one source, or why it cannot be published. `is_new`: it is published
    otherwise now."""

    answers: list[dict[str, Any]]
    found: spf.Flattening | None = None
    is_new: bool = False
    trouble: str = ""


def sweep() -> bool:
    """Look at sources that are due, publish what changed, and take former parts away.

    Whether more are due, and this look brought something.
    """
    now = timezone.now()
    busy = ChangePlan.objects.filter(kind=ChangePlan.SPF, status__in=UNDER_WAY)
    kept = (
        SpfFlattening.objects.exclude(zone__domain__status=Domain.DELETING)
        .exclude(zone_id__in=busy.values("zone_id"))
        .select_related("zone__domain")
    )
    statuses = (SpfFlattening.LIVE, SpfFlattening.EDITED)
    due = kept.filter(status__in=statuses, next_check_at__lte=now).order_by("next_check_at")
    rows = list(due[:MOST_PER_SWEEP])
    _follow_edits(rows, now)
    live = [row for row in rows if row.status == SpfFlattening.LIVE]
    looks = asyncio.run(_look(live)) if live else {}
    begun = _keep(rows, looks, now)
    leaving = kept.filter(leaving_at__lte=now).exclude(pk__in=begun)
    for row in leaving.order_by("leaving_at")[: MOST_PLANS - len(begun)]:
        begin_plan(
            system(row.zone.domain.tenant_id),
            row,
            {"goal": CLEAN},
            label="Remove former parts of the SPF record",
        )
    return len(rows) == MOST_PER_SWEEP and bool(looks)


async def _look(rows: Sequence[SpfFlattening]) -> dict[UUID, Look]:
    """Flatten all sources at once. Those that time is too short for are not in the answer."""
    looks: dict[UUID, Look] = {}
    async with dns_client() as client:
        shared = SharedAnswers(client, resolvers())

        async def look(row: SpfFlattening) -> None:
            looks[row.pk] = await _flatten(row, NotingResolver(shared))

        tasks = [asyncio.ensure_future(look(row)) for row in rows]
        _, late = await asyncio.wait(tasks, timeout=LOOKS_FOR)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return looks


async def _flatten(row: SpfFlattening, resolver: NotingResolver) -> Look:
    domain = row.zone.domain.name
    try:
        found = await spf.flatten(
            row.source, domain=domain, resolver=resolver, force=True, ipv6=row.ipv6
        )
        published = row.text.lower().split()
        if broken := [term for term in found.broken if term.lower() not in published]:
            why = (text for text in found.warnings if text.startswith(f"{broken[0]} "))
            return Look(resolver.answers(), trouble=next(why, broken[0]))
        if found.errors:
            return Look(resolver.answers(), trouble=" ".join(found.errors))
        layout = spf.lay_out(
            spf.parse(found.flattened),
            domain=domain,
            lookups=found.lookups_after,
            known=row.known_parts,
        )
    except (TemporaryFailure, spf.TooComplex, spf.SPFSyntaxError) as error:
        return Look(resolver.answers(), trouble=str(error))
    is_new = not spf.same(layout.text, row.text) or layout.parts != row.parts
    return Look(resolver.answers(), found, is_new)


def _follow_edits(rows: Sequence[SpfFlattening], now: datetime) -> None:
    """Leave alone what somebody else changed, as the zones' own nameservers show it.

    A record that was changed back is kept current again.
    """
    seen: dict[UUID, list[Record]] = defaultdict(list)
    watched = Record.objects.filter(zone_id__in=[row.zone_id for row in rows], purpose="spf")
    for record in watched.only("zone_id", "own", "checked_at"):
        seen[record.zone_id].append(record)
    for row in rows:
        changed_at = row.edited_at or row.published_at
        records = seen[row.zone_id]
        if not records or any(
            one.checked_at is None or one.checked_at < changed_at + SETTLED for one in records
        ):
            continue
        verdicts = {one.verdict for one in records}
        if row.status == SpfFlattening.LIVE and "conflicts" in verdicts:
            flattened.mark_edited(row)
        elif row.status == SpfFlattening.EDITED and verdicts == {"matches"}:
            row.move(SpfFlattening.LIVE, edited_at=None)


def _keep(rows: Sequence[SpfFlattening], looks: dict[UUID, Look], now: datetime) -> set[UUID]:
    """Write back what was seen; the rows for which a plan was begun.

    What begins a plan or tells somebody has a transaction of its own; the others are written in
    slices, too. A row that was stopped, edited or published during the look stays as it is.
    """
    begun: set[UUID] = set()
    quiet: list[SpfFlattening] = []
    for row in rows:
        look = looks.get(row.pk)
        if row.status == SpfFlattening.EDITED:
            row.next_check_at = flattened.next_look((), now)
            quiet.append(row)
        elif look is not None and not (look.is_new and len(begun) >= MOST_PLANS):
            made = made_from(look.found, look.answers, ipv6=row.ipv6) if look.found else None
            if look.is_new or look.trouble or row.error:
                with transaction.atomic():
                    if not _is_as_seen(row):
                        continue
                    _note(row, look, made, now)
                    row.save(update_fields=COLUMNS)
            else:
                _note(row, look, made, now)
                quiet.append(row)
            if look.is_new:
                begun.add(row.pk)
    update_in_slices(quiet, COLUMNS, as_seen=AS_SEEN)
    return begun


COLUMNS = ("checked_at", "next_check_at", "error", "failing_since", *flattened.FINDINGS)
AS_SEEN = ("status", "published_at")


def _is_as_seen(row: SpfFlattening) -> bool:
    """Whether nobody stopped, edited or published it during the look; it is locked now."""
    seen = {name: getattr(row, name) for name in AS_SEEN}
    same = SpfFlattening.objects.filter(pk=row.pk, **seen)
    return same.select_for_update().exists()


def _note(row: SpfFlattening, look: Look, made: dict[str, Any] | None, now: datetime) -> None:
    """Put what was seen into the row, and begin to publish it where it is new."""
    row.checked_at = now
    row.next_check_at = flattened.next_look(look.answers, now)
    if made is None:
        note_failure(row, look.trouble)
        row.next_check_at = min(row.next_check_at, now + flattened.LEAST_INTERVAL)
        return
    if look.is_new:
        begin_plan(
            system(row.zone.domain.tenant_id),
            row,
            {"goal": REFRESH, **made},
            label="Publish fresh addresses in the SPF record",
        )
        return
    note_recovery(row)
    for name in ("answers", "lookups_before", "void_lookups", "warnings"):
        setattr(row, name, made[name])
