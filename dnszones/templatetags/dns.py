"""How DNS facts are shown."""

from collections.abc import Iterable

from django.template import Library
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dnszones.models import PropagationSession, Record
from dnszones.plans import Change, ExistingRecord, Plan
from dnszones.providers.base import DsRecord
from dnszones.records import RecordData, value_of
from dnszones.selectors import record_status
from mpanel.core.wording import counted

register = Library()


@register.filter
def clock(moment: str) -> str:
    """A stored moment as a person reads it: `14:05`, or with the day if it is not today."""
    found = parse_datetime(moment)
    if found is None:
        return ""
    shown = "%H:%M" if found.date() == timezone.now().date() else "%H:%M on %-d %b"
    return f"{found:{shown}} UTC"


@register.simple_tag
def sighting_state(sighting: dict[str, object], own: dict[str, object] | None, session: str) -> str:
    """The word for what a server showed, for `{% state %}`.

    An old answer in a cache, and a record that a zone shows in a moment, are waited for.
    `own`: what the zone itself says, for a resolver. `session`: the propagation session's status.
    """
    verdict = str(sighting["verdict"])
    if verdict not in {"missing", "conflicts"}:
        return verdict
    if own and own["verdict"] == "matches":
        return "waiting"
    is_watched = session == PropagationSession.POLLING
    return "waiting" if verdict == "missing" and is_watched else verdict


@register.filter
def is_ahead(moment: str) -> bool:
    """Whether a stored moment has not passed."""
    found = parse_datetime(moment)
    return found is not None and found > timezone.now()


@register.filter
def spread(record: Record) -> str:
    """By how many resolvers a record is seen: "Seen by 3 of 4"."""
    told = str(record_status(record))
    return f"{told[0].upper()}{told[1:]}"


@register.filter
def main_record(change: Change) -> RecordData:
    """The record that a change is about: as it will be, or for a deletion as it is."""
    return change.after or change.before[0].data


@register.filter
def shown_value(data: RecordData | None) -> str:
    """A record's value on one line, and whether it is proxied; "" for none."""
    if data is None:
        return ""
    return f"{value_of(data)} (proxied)" if data.proxied else value_of(data)


@register.filter
def ds_in_zone(ds: DsRecord, domain: str) -> str:
    """A DS record as a zone file has it, with its owner."""
    return f"{domain}. IN DS {ds}"


@register.filter
def within(name: str, zone_name: str) -> str:
    """A name as it is written in its zone: `www`, and `@` for the zone itself."""
    return "@" if name == zone_name else name.removesuffix(f".{zone_name}")


@register.filter
def steps_told(plan: Plan | None) -> str:
    """What a plan writes, in a few words: its one step, or how many there are."""
    if plan is None:
        return "–"
    if len(plan.steps) != 1:
        return counted(len(plan.steps), "change")
    shown = main_record(plan.steps[0])
    return f"{plan.steps[0].action.capitalize()} {shown.type} {shown.name}"


@register.filter
def present_values(records: Iterable[ExistingRecord]) -> str:
    """The values of the records that are there now."""
    return "; ".join(shown_value(record.data) for record in records)
