"""Change plans that a person writes themselves: single records, and whole zone files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dnszones import dmarc, spf
from dnszones.dkim import records as dkim
from dnszones.plans.making import make_plan
from dnszones.plans.plan import (
    BY_HAND,
    Action,
    Change,
    ExistingRecord,
    Plan,
    by_name,
    excludes,
    listed,
    make_change,
)
from dnszones.records import AUTOMATIC_TTL, RecordData, same_content, same_value, value_of

# What DNS answers where the provider chooses the TTL.
AUTOMATIC_TTL_SECONDS = 300


@dataclass(frozen=True)
class Edit:
    """One thing that a person wants of a zone.

    `record`: what shall be written, or what shall go. Where a record is there already, `id` is the
    provider's and `was` what the person was shown.
    """

    action: Literal["create", "update", "delete"]
    record: RecordData
    id: str = ""
    was: RecordData | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, strings and numbers, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Edit":
        was = stored["was"] and RecordData(**stored["was"])
        return cls(stored["action"], RecordData(**stored["record"]), stored["id"], was)


def plan_edits(
    zone_name: str,
    existing: Sequence[ExistingRecord],
    edits: Iterable[Edit],
    *,
    lone_cname: bool = True,
    own_hosts: frozenset[str] = frozenset(),
) -> Plan:
    """What these edits come to. What cannot be had, or is not as it was shown, is a conflict.

    `lone_cname`: as the provider's capabilities say.
    """
    here = by_name(existing)
    found = [_edited(existing, here, edit, lone_cname=lone_cname) for edit in edits]
    changes = [change for change in found if change]
    return make_plan(zone_name, changes, existing, lone_cname=lone_cname, own_hosts=own_hosts)


def plan_import(
    zone_name: str,
    existing: Sequence[ExistingRecord],
    wanted: Iterable[RecordData],
    *,
    consent: frozenset[str] = frozenset(),
    lone_cname: bool = True,
    own_hosts: frozenset[str] = frozenset(),
) -> Plan:
    """What it takes until the zone has all records of a zone file; nothing is taken from it.

    Where the zone says otherwise than the file, that is a conflict, and becomes changes when the
    ids of all conflicts about that name and type are in `consent`.
    """
    here = by_name(existing)
    changes: list[Change] = []
    for group in _grouped(zone_name, wanted, here, lone_cname=lone_cname):
        present = here.get(group[0].name, [])
        changes += _imported(group, present, consent, lone_cname=lone_cname)
    return make_plan(zone_name, changes, existing, lone_cname=lone_cname, own_hosts=own_hosts)


def _edited(
    existing: Sequence[ExistingRecord],
    here: Mapping[str, list[ExistingRecord]],
    edit: Edit,
    *,
    lone_cname: bool,
) -> Change | None:
    if edit.action == "create":
        return _placed(here, edit.record, old=None, lone_cname=lone_cname)
    old = _meant(existing, edit)
    if old is None and edit.action == "delete":
        return None  # it is gone already
    if old is None or not _is_as_shown(old, edit):
        now = f"It says {value_of(old.data)} now." if old else "It is not there any more."
        reason = f"The record was changed since it was shown. {now}"
        return _change("conflict", reason, (old,) if old else (), edit.record)
    if edit.action == "delete":
        return _change("delete", "", (old,), None)
    return _placed(here, edit.record, old=old, lone_cname=lone_cname)


def _placed(
    here: Mapping[str, list[ExistingRecord]],
    wanted: RecordData,
    *,
    old: ExistingRecord | None,
    lone_cname: bool,
) -> Change:
    """The record as it is wanted, among those that its name has."""
    others = [record for record in here.get(wanted.name, []) if record is not old]
    same = next((record for record in others if same_content(record.data, wanted)), None)
    if same:
        return _change("conflict", "The zone has this record already.", (same,), wanted)
    blocked = tuple(one for one in others if excludes(wanted, one.data, lone_cname=lone_cname))
    if blocked:
        rule = "other records" if lone_cname else "A, AAAA or another CNAME"
        reason = f"A CNAME cannot be at the same name as {rule}. The zone has: {listed(blocked)}"
        return _change("conflict", reason, blocked, wanted)
    if old is None:
        return _change("create", "", (), wanted)
    if same_value(old.data, wanted) and old.data.ttl == wanted.ttl:
        return _change("keep", "It says that already.", (old,), wanted)
    return _change("update", "", (old,), wanted)


def _meant(existing: Sequence[ExistingRecord], edit: Edit) -> ExistingRecord | None:
    """The record that an edit names, by the provider's id; else by its value."""
    by_id = (record for record in existing if record.remote_id == edit.id)
    by_value = (
        record for record in existing if edit.was is not None and same_value(record.data, edit.was)
    )
    return next(by_id, None) or next(by_value, None)


def _is_as_shown(record: ExistingRecord, edit: Edit) -> bool:
    return edit.was is None or same_value(record.data, edit.was)


def _grouped(
    zone_name: str,
    wanted: Iterable[RecordData],
    here: Mapping[str, list[ExistingRecord]],
    *,
    lone_cname: bool,
) -> list[list[RecordData]]:
    """The file's records that are decided about together: of one name and type, and those of a
    name that a CNAME on either side excludes."""
    found: dict[tuple[str, str], list[RecordData]] = {}
    for data in wanted:
        present = [record.data for record in here.get(data.name, ())]
        is_excluded = any(
            one.type != data.type and excludes(data, one, lone_cname=lone_cname) for one in present
        )
        found.setdefault((data.name, "" if is_excluded else data.type), []).append(data)
    return [found[key] for key in sorted(found, key=lambda key: (key[0] != zone_name, *key))]


def _imported(
    group: Sequence[RecordData],
    present: Sequence[ExistingRecord],
    consent: frozenset[str],
    *,
    lone_cname: bool,
) -> list[Change]:
    others, changes, missing = list(present), [], []
    for data in group:
        match = next((one for one in others if same_value(one.data, data)), None)
        if match is None:
            missing.append(data)
            continue
        others.remove(match)
        if _seconds(match.data.ttl) == _seconds(data.ttl):
            changes.append(_change("keep", "The zone has it already.", (match,), match.data))
        else:
            reason = f"Gets the TTL of the file; it has {match.data.ttl} s now."
            changes.append(_change("update", reason, (match,), data))
    differing = tuple(
        one
        for one in others
        if any(_instead(data, one.data, lone_cname=lone_cname) for data in missing)
    )
    if not differing:
        return [*changes, *(_change("create", "", (), data) for data in missing)]
    reason = f"The zone says otherwise: {listed(differing)}"
    conflicts = [_change("conflict", reason, differing, data) for data in missing]
    if not {conflict.id for conflict in conflicts} <= consent:
        return [*changes, *conflicts]
    return [*changes, *_swapped(list(differing), missing)]


def _swapped(leaving: list[ExistingRecord], missing: Sequence[RecordData]) -> list[Change]:
    """The records of the file in place of those that differ, as was agreed."""
    changes: list[Change] = []
    for data in missing:
        old = next((one for one in leaving if one.data.type == data.type), None)
        if old:
            leaving.remove(old)
            changes.append(_change("update", "Replaced by the file's record.", (old,), data))
        else:
            changes.append(_change("create", "", (), data))
    gone = [
        _change("delete", "Makes room for the file's records.", (one,), None) for one in leaving
    ]
    return [*gone, *changes]


def _instead(wanted: RecordData, present: RecordData, *, lone_cname: bool) -> bool:
    """Whether the file's record would stand in place of the present one rather than beside it."""
    if wanted.type != present.type:
        return excludes(wanted, present, lone_cname=lone_cname)
    if wanted.type != "TXT":
        return True
    return any(
        belongs(wanted.content) and belongs(present.content)
        for belongs in (spf.is_spf, dmarc.looks_like_dmarc, dkim.is_dkim)
    )


def _seconds(ttl: int) -> int:
    return AUTOMATIC_TTL_SECONDS if ttl == AUTOMATIC_TTL else ttl


def _change(
    action: Action, reason: str, before: tuple[ExistingRecord, ...], after: RecordData | None
) -> Change:
    return make_change(
        action, purpose=BY_HAND, level="optional", reason=reason, before=before, after=after
    )
