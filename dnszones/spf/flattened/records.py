"""A flattened SPF record as it is kept: what was published, what may go, and what plans must know.

See docs/decisions/0023.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dnszones import spf
from dnszones.mail_records import DesiredRecord
from dnszones.models import ChangePlan, Record, SpfFlattening, SpfFlatteningChange, Zone
from dnszones.plans import Change, ExistingRecord, Plan
from dnszones.providers.base import RemoteRecord
from dnszones.records import DEFAULT_TTL, RecordData, same_text, same_value
from events.services import record
from mpanel.core.actor import system

PART = "Holds a part of the domain's SPF record, which is too long for one."
FORMER_PART = "A former part of the domain's SPF record: resolvers may still ask for it."
MARGIN = timedelta(minutes=5)  # that a former part stays beyond the TTL of what included it
LEAST_INTERVAL = timedelta(minutes=5)  # between two looks, however short the TTLs
CHANGES_KEPT = 50
ASKED_AGAIN = timedelta(days=1)  # about a former part that somebody's record still includes

_PART = re.compile(r"_spf\d+\.(.+)")


def is_own_spf(zone_name: str, data: RecordData) -> bool:
    """Whether this is the SPF record of the domain itself."""
    return data.key == (zone_name, "TXT") and spf.is_spf(data.content)


def is_part(zone_name: str, data: RecordData) -> bool:
    """Whether this is such a record as a long SPF record is laid out over."""
    found = _PART.fullmatch(data.name)
    return found is not None and found[1] == zone_name and spf.is_spf(data.content)


def phase(zone_name: str, change: Change) -> int:
    """When a change is written: what a record includes is there before it, and goes after it."""
    data = change.after or change.before[0].data
    if not is_part(zone_name, data) or change.action == "update":
        return 1
    return 0 if change.action == "create" else 2


def live_flattening(zone: Zone) -> SpfFlattening | None:
    """The flattened record of a zone, if one is kept up to date."""
    return SpfFlattening.objects.filter(zone=zone, status=SpfFlattening.LIVE).first()


def next_look(answers: Iterable[dict[str, Any]], now: datetime) -> datetime:
    """When the source is looked at again: as the first answer expires, within bounds."""
    longest = timedelta(seconds=settings.SPF_REFRESH_INTERVAL)
    ttls = [timedelta(seconds=answer["ttl"]) for answer in answers if answer["ttl"] is not None]
    return now + max(min([longest, *ttls]), min(LEAST_INTERVAL, longest))


# --- What plans of a mail setup must know -----------------------------------------------------


def former_parts(
    flattening: SpfFlattening, parts: Iterable[str], existing: Sequence[ExistingRecord]
) -> list[DesiredRecord]:
    """Parts that the zone still has and the new record does not include: they stay for a while."""
    zone_name = flattening.zone.domain.name
    texts = {name: text for name, text in flattening.known_parts.items() if name not in parts}
    return [
        DesiredRecord(one.data, "spf", "optional", FORMER_PART)
        for one in existing
        if is_part(zone_name, one.data)
        and same_text(one.data.content, texts.get(one.data.name, ""))
    ]


def as_it_is_now(zone: Zone, plan: Plan) -> Plan:
    """An older plan with the SPF record as it stands now, and without the parts of then."""
    flattening = SpfFlattening.objects.filter(zone=zone).first()
    if flattening is None:
        return plan
    text = flattening.text if flattening.status != SpfFlattening.EDITED else ""
    return _with_spf(plan, after=text, before={})


def before_revert(zone: Zone, applied: ChangePlan, plan: Plan) -> Plan:
    """An applied plan as it must be undone: from the record of now, to no flattened one of then.

    What an earlier flattening published would be out of date, so its source returns.
    """
    flattening = live_flattening(zone)
    was = (applied.spf or {}).get("was")
    return _with_spf(
        plan,
        after=flattening.text if flattening else "",
        before={was["text"]: was["source"]} if was else {},
    )


def _with_spf(plan: Plan, *, after: str, before: dict[str, str]) -> Plan:
    def now(data: RecordData, text: str) -> RecordData:
        return replace(data, content=text) if text else data

    def changed(change: Change) -> Change:
        is_own = any(is_own_spf(plan.zone_name, data) for data in _data_of(change))
        if not is_own or change.action == "conflict":
            return change
        olds = tuple(
            replace(one, data=now(one.data, before.get(one.data.content, "")))
            for one in change.before
        )
        return replace(change, before=olds, after=change.after and now(change.after, after))

    return replace(
        plan,
        changes=tuple(
            changed(change)
            for change in plan.changes
            if not any(is_part(plan.zone_name, data) for data in _data_of(change))
        ),
    )


# --- Following what was applied ---------------------------------------------------------------


@transaction.atomic
def follow_setup(zone: Zone, row: ChangePlan, applied: Plan) -> None:
    """A mail setup was written or taken back: its SPF record is flattened from now on, or not."""
    apex = zone.domain.name
    flattening = SpfFlattening.objects.select_for_update().filter(zone=zone).first()
    stands = [
        change
        for change in applied.changes
        if change.action != "conflict"
        and any(is_own_spf(apex, data) for data in _data_of(change))
        and (change.action != "keep" or row.reverts_id is None)
    ]
    if not stands:
        return
    ttl = max([DEFAULT_TTL, *(one.data.ttl for change in stands for one in change.before)])
    text = next((change.after.content for change in stands if change.after), "")
    made = row.spf
    if row.reverts_id is None and made and same_text(text, made["text"]):
        publish(flattening or SpfFlattening(zone=zone), made, row, ttl=ttl)
    elif flattening and flattening.status != SpfFlattening.STOPPED:
        stop(flattening, row, text=text, ttl=ttl)


def publish(
    flattening: SpfFlattening, made: dict[str, Any], row: ChangePlan, *, ttl: int
) -> tuple[list[str], list[str]]:
    """A flattened record stands in the zone. The networks that came, and those that went."""
    now = timezone.now()
    old = networks(flattening.text, flattening.parts)
    new = networks(made["text"], made["parts"])
    _let_go(flattening, made["parts"], ttl=ttl)
    if flattening.text != made["text"] or flattening.parts != made["parts"]:
        flattening.published_at = now
    for name in ("source", "ipv6", "text", "parts", *FINDINGS):
        setattr(flattening, name, made[name])
    checked_at = parse_datetime(made["checked_at"]) or now
    flattening.checked_at, flattening.next_check_at = checked_at, next_look(made["answers"], now)
    flattening.error, flattening.failing_since, flattening.edited_at = "", None, None
    began = flattening.status != SpfFlattening.LIVE or flattening._state.adding
    flattening.status = SpfFlattening.LIVE
    flattening.save()
    came, went = sorted(new - old), sorted(old - new)
    if began or came or went:
        _note(flattening, row, "Flattened" if began else "Addresses changed", came, went)
    return came, went


# Fields of a flattening that tell what was found at the last look.
FINDINGS = ("answers", "lookups_before", "lookups", "void_lookups", "warnings")


def stop(flattening: SpfFlattening, row: ChangePlan | None, *, text: str, ttl: int) -> None:
    """The record is not flattened any more; its parts stay until caches have dropped the record."""
    _let_go(flattening, {}, ttl=ttl)
    flattening.move(
        SpfFlattening.STOPPED,
        text=text,
        parts={},
        leaving=flattening.leaving,
        leaving_at=flattening.leaving_at,
        error="",
        failing_since=None,
    )
    _note(flattening, row, "Stopped", [], [])


def note_edit(zone: Zone, applied: Plan) -> None:
    """Records were written by hand: a flattened record that was changed stays as it is now."""
    flattening, apex = live_flattening(zone), zone.domain.name
    touched = [data for step in applied.steps for data in _data_of(step)]
    if flattening and any(is_own_spf(apex, data) or is_part(apex, data) for data in touched):
        mark_edited(flattening)


@transaction.atomic
def mark_edited(flattening: SpfFlattening) -> None:
    """Somebody else changed the record: it is theirs, and is not overwritten."""
    flattening.move(SpfFlattening.EDITED, edited_at=timezone.now(), error="", failing_since=None)
    domain = flattening.zone.domain
    text = f"The SPF record of {domain} was changed elsewhere, so mPanel leaves it alone."
    record(system(domain.tenant_id), "dns.spf_edited", domain, text)
    _note(flattening, None, "Changed by somebody else", [], [])


def keep_rows(zone: Zone) -> None:
    """Make the rows of the SPF record and its parts those that are published."""
    flattening = SpfFlattening.objects.filter(zone=zone).first()
    if flattening is None:
        return
    apex, now = zone.domain.name, timezone.now()
    rows = zone.records.filter(purpose="spf", type="TXT")
    if flattening.status != SpfFlattening.EDITED and flattening.text:
        stale = rows.filter(name=apex).exclude(content=flattening.text)
        stale.update(content=flattening.text, next_check_at=now)
    known = {(row.name, row.content): row for row in rows.exclude(name=apex)}
    for name, text in flattening.known_parts.items():
        row = known.pop((name, text), None) or Record(
            zone=zone, purpose="spf", name=name, type="TXT", content=text, ttl=DEFAULT_TTL
        )
        is_part_now = flattening.parts.get(name) == text
        row.level, row.reason = ("required", PART) if is_part_now else ("optional", FORMER_PART)
        row.ours = True
        row.save()
    Record.objects.filter(pk__in=[row.pk for row in known.values()]).delete()


# --- Leaving ----------------------------------------------------------------------------------


def back_to_source(
    zone: Zone, remote: Sequence[RemoteRecord], ours: Sequence[RecordData]
) -> list[tuple[RemoteRecord, RecordData]]:
    """What turns a flattened record in a zone that stays into its source again.

    None where the record is ours, and goes, or was changed by somebody else.
    """
    flattening = live_flattening(zone)
    if flattening is None or same_text(flattening.text, flattening.source):
        return []
    return [
        (one, replace(one.data, content=flattening.source))
        for one in remote
        if is_own_spf(zone.domain.name, one.data)
        and same_text(one.data.content, flattening.text)
        and not any(same_value(one.data, data) for data in ours)
    ]


def networks(text: str, parts: dict[str, str]) -> set[str]:
    """The networks that a published record names, itself or in its parts."""
    words = " ".join([text, *parts.values()]).split()
    return {word for word in words if word.startswith(("ip4:", "ip6:"))}


def _let_go(flattening: SpfFlattening, parts: dict[str, str], *, ttl: int) -> None:
    """Parts that are not among these any more leave once no cache includes them."""
    until = (timezone.now() + timedelta(seconds=ttl) + MARGIN).isoformat()
    gone = [
        {"name": name, "text": text, "until": until}
        for name, text in flattening.parts.items()
        if parts.get(name) != text
    ]
    staying = [one for one in flattening.leaving if parts.get(one["name"]) != one["text"]]
    set_leaving(flattening, [*staying, *gone])


def set_leaving(flattening: SpfFlattening, leaving: list[dict[str, str]]) -> None:
    """Set what leaves, and when the first of it does; the caller saves."""
    flattening.leaving = leaving
    flattening.leaving_at = min((parse_datetime(one["until"]) for one in leaving), default=None)  # type: ignore[type-var]


def _note(
    flattening: SpfFlattening,
    row: ChangePlan | None,
    what: str,
    came: list[str],
    went: list[str],
) -> None:
    SpfFlatteningChange.objects.create(
        flattening=flattening, plan=row, what=what, added=came, removed=went
    )
    old = flattening.history.values_list("pk", flat=True)[CHANGES_KEPT:]
    SpfFlatteningChange.objects.filter(pk__in=list(old)).delete()


def _data_of(change: Change) -> list[RecordData]:
    after = [change.after] if change.after else []
    return [*(one.data for one in change.before), *after]
