"""The values of a change plan, how they are stored, and which records they rest on."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from dnszones.mail_records import Level
from dnszones.propagation.verdicts import competes
from dnszones.records import Purpose, RecordData, same_value, value_of
from mpanel.core.losses import Loss, digest_of

Action = Literal["create", "update", "keep", "conflict", "delete"]

# Actions that write nothing.
STILL: Final = frozenset({"keep", "conflict"})

# The purpose of records that a person writes themselves: nothing is known about what they are for.
BY_HAND: Final = "record"
ADDRESSES: Final = frozenset({"A", "AAAA"})


@dataclass(frozen=True)
class ExistingRecord:
    """A record of the zone now.

    `ours`: we created it, and it still holds what we last wrote. A record of somebody else that
    we only extended (SPF) is not ours, nor is one that was changed behind our back.
    """

    remote_id: str
    data: RecordData
    ours: bool = False


@dataclass(frozen=True)
class Change:
    """One step of a plan, or (`keep`, `conflict`) why there is none.

    `before`: the record that is updated, deleted or kept; of a conflict, all that stand in the
    way. `after`: the value then; None for a delete, and for a conflict where the records that are
    there only have too many beside them. `id` names the same change in the next plan, too.
    """

    action: Action
    purpose: Purpose
    level: Level
    reason: str
    before: tuple[ExistingRecord, ...]
    after: RecordData | None
    id: str


@dataclass(frozen=True)
class Plan:
    """Every change of a zone, in order. `untouched` counts the records that no change names.

    `losses`: what goes dark, so must be confirmed first. `fingerprint`: of the records that the
    plan was computed from, see `is_current`. `lone_cname`: the provider's capability.
    """

    zone_name: str
    changes: tuple[Change, ...]
    untouched: int
    losses: tuple[Loss, ...]
    fingerprint: str
    lone_cname: bool = True

    @property
    def requires_confirmation(self) -> bool:
        return bool(self.losses)

    @property
    def confirmations(self) -> tuple[str, ...]:
        """Sentences about what must be confirmed first."""
        return tuple(loss.sentence for loss in self.losses)

    @property
    def digest(self) -> str:
        """Stands for exactly these steps, losses and records they rest on: what is confirmed."""
        steps = [
            [step.action, [_value(record.data) for record in step.before], _value(step.after)]
            for step in self.steps
        ]
        losses = sorted((loss.kind, loss.name) for loss in self.losses)
        return digest_of(self.zone_name, self.fingerprint, losses, steps)

    @property
    def conflicts(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.action == "conflict")

    @property
    def blocked(self) -> tuple[Change, ...]:
        """The conflicts without whose solution mail does not work."""
        return tuple(change for change in self.conflicts if change.level == "required")

    @property
    def steps(self) -> tuple[Change, ...]:
        """The changes that write something."""
        return tuple(change for change in self.changes if change.action not in STILL)

    @property
    def outcome(self) -> list[tuple[Purpose, RecordData]]:
        """What the zone holds for each purpose once the plan is carried out."""
        return [
            (change.purpose, change.after)
            for change in self.changes
            if change.after is not None and change.action != "conflict"
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Plan":
        return cls(
            stored["zone_name"],
            tuple(change_from_json(change) for change in stored["changes"]),
            stored["untouched"],
            tuple(Loss.from_json(loss) for loss in stored.get("losses", ())),
            stored["fingerprint"],
            stored.get("lone_cname", True),
        )


def change_from_json(stored: dict[str, Any]) -> Change:
    """A change as `dataclasses.asdict` wrote it."""
    before = tuple(
        ExistingRecord(record["remote_id"], RecordData(**record["data"]), record["ours"])
        for record in stored["before"]
    )
    after = None if stored["after"] is None else RecordData(**stored["after"])
    return Change(**(stored | {"before": before, "after": after}))


def make_change(
    action: Action,
    *,
    purpose: Purpose,
    level: Level,
    reason: str,
    before: tuple[ExistingRecord, ...],
    after: RecordData | None,
) -> Change:
    """A change with its id, which follows from what it is about and not from the action."""
    values = [str(record.data) for record in before]
    named = json.dumps([purpose, sorted(values), None if after is None else str(after)])
    digest = hashlib.sha256(named.encode()).hexdigest()[:12]
    return Change(action, purpose, level, reason, before, after, digest)


def is_current(plan: Plan, existing: Sequence[ExistingRecord]) -> bool:
    """Whether the records that the plan looked at are as they were when it was made."""
    found = looked_at(plan.zone_name, plan.changes, existing, lone_cname=plan.lone_cname)
    return plan.fingerprint == fingerprint(found)


def fingerprint(existing: Iterable[ExistingRecord]) -> str:
    """A digest of what records say; order, ids and TTLs do not matter."""
    lines = sorted(str(record.data) for record in existing)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def in_the_way(
    zone_name: str,
    purpose: str,
    wanted: RecordData,
    existing: Iterable[ExistingRecord],
    *,
    lone_cname: bool = True,
) -> list[ExistingRecord]:
    """The records that cannot be ignored when `wanted` is published at its name."""
    return [
        record
        for record in existing
        if bears_on(zone_name, purpose, wanted, record.data, lone_cname=lone_cname)
    ]


def excludes(one: RecordData, other: RecordData, *, lone_cname: bool) -> bool:
    """Whether a provider refuses two records of one name because one of them is a CNAME."""
    types = {one.type, other.type}
    return "CNAME" in types and (lone_cname or types <= ADDRESSES | {"CNAME"})


def bears_on(
    zone_name: str,
    purpose: str,
    wanted: RecordData,
    present: RecordData,
    *,
    lone_cname: bool = True,
) -> bool:
    """Whether `present` cannot be ignored when `wanted` is published for its purpose.

    A CNAME beside a record of the mail setup is always in its way, whatever the provider allows:
    those who ask may be led to its target.
    """
    if present.name != wanted.name:
        return False
    if purpose == BY_HAND:
        # Other types may have several values, and a person sees them.
        return excludes(wanted, present, lone_cname=lone_cname)
    if present.type != wanted.type:
        # A CNAME stands alone (RFC 1034 §3.6.2), but at the apex, where a provider that takes one
        # answers with its addresses instead.
        return "CNAME" in {present.type, wanted.type} and present.name != zone_name
    return present.type != "TXT" or competes(purpose, present.content)


def looked_at(
    zone_name: str,
    changes: Sequence[Change],
    existing: Iterable[ExistingRecord],
    *,
    lone_cname: bool = True,
) -> list[ExistingRecord]:
    """The records on which these changes rest."""
    about: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        names = {record.data.name for record in change.before}
        for name in names | ({change.after.name} if change.after else set()):
            about[name].append(change)

    def counts(record: ExistingRecord) -> bool:
        for change in about.get(record.data.name, ()):
            if change.after is not None and bears_on(
                zone_name, change.purpose, change.after, record.data, lone_cname=lone_cname
            ):
                return True
            if any(same_value(record.data, before.data) for before in change.before):
                return True
        return False

    return [record for record in existing if counts(record)]


def by_name(existing: Iterable[ExistingRecord]) -> dict[str, list[ExistingRecord]]:
    """The records of each name; without it, plans for large zones would take for ever."""
    found: dict[str, list[ExistingRecord]] = defaultdict(list)
    for record in existing:
        found[record.data.name].append(record)
    return dict(found)


def listed(records: Iterable[ExistingRecord]) -> str:
    """Records as the end of a sentence."""
    return ", ".join(_shown(record.data) for record in records) + "."


def _shown(data: RecordData) -> str:
    return f"{data.type} {value_of(data)}{' (proxied)' if data.proxied else ''}"


def _value(data: RecordData | None) -> list[Any] | None:
    return None if data is None else [*data.key, value_of(data), data.ttl, data.proxied]
