"""What keeps a wanted record from being seen although nothing stands at its name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dnszones.mail_records import DesiredRecord
from dnszones.record_types import split_target
from dnszones.records import RecordData, value_of

from .plan import ExistingRecord


def cut_above(
    zone_name: str, wanted: RecordData, existing: Iterable[ExistingRecord]
) -> tuple[ExistingRecord, ...]:
    """The NS or DNAME records that take the name out of the zone; the topmost where there are more.

    Resolvers are sent to the nameservers of a delegation (RFC 1034 §4.2.1), which also covers the
    name that has the NS records; a DNAME covers what is below it (RFC 6672 §2.3).
    """
    above: dict[str, list[ExistingRecord]] = {}
    for record in existing:
        owner, kind = record.data.key
        is_below = wanted.name.endswith(f".{owner}")
        is_cut_itself = wanted.name == owner and wanted.type not in {"NS", "DS"}
        is_delegated = kind == "NS" and owner != zone_name and (is_below or is_cut_itself)
        if is_delegated or (kind == "DNAME" and is_below):
            above.setdefault(owner, []).append(record)
    return tuple(above[min(above, key=len)]) if above else ()


def why_hidden(wanted: RecordData, cut: Sequence[ExistingRecord]) -> str:
    """What the customer can do about a record that the zone's own nameservers would not show."""
    owner, kind = cut[0].data.key
    targets = ", ".join(record.data.content for record in cut)
    what = f"delegated to {targets}" if kind == "NS" else f"led to {targets} by a DNAME"
    there = "at those nameservers" if kind == "NS" else "there"
    return (
        f"{owner} is {what}, so this zone is not asked for {wanted.name}. Enter {wanted.type} "
        f"{wanted.name} {there}: {value_of(wanted)}. Or have the {kind} records removed."
    )


def proxied_targets(
    desired: Iterable[DesiredRecord], existing: Mapping[str, Sequence[ExistingRecord]]
) -> Iterator[tuple[DesiredRecord, ExistingRecord]]:
    """The proxied records behind hosts that mail is sent to, each with a record that names it."""
    seen: set[str] = set()
    for wanted in desired:
        data = wanted.data
        target = data.content if data.type == "MX" else split_target(data.type, data.content)[1]
        for record in existing.get(target, ()) if target and target not in seen else ():
            if record.data.proxied:
                yield wanted, record
        seen.add(target)
