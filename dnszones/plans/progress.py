"""Carrying a change plan out, going on after a crash, and taking it back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dnszones.providers.base import RemoteRecord
from dnszones.records import RecordData, same_value

from .making import make_plan
from .plan import (
    BY_HAND,
    STILL,
    Action,
    Change,
    ExistingRecord,
    Plan,
    by_name,
    in_the_way,
    listed,
    make_change,
)


@dataclass(frozen=True)
class Batch:
    """Changes as `DNSProvider.apply_batch` takes them."""

    deletes: list[RemoteRecord]
    updates: list[tuple[RemoteRecord, RecordData]]
    creates: list[RecordData]


def batch(changes: Iterable[Change]) -> Batch:
    """The given steps as one batch; changes that write nothing are passed over."""
    gathered = Batch([], [], [])
    for change in changes:
        if change.action == "delete":
            gathered.deletes.append(_remote(change.before[0]))
        elif change.action == "update" and change.after is not None:
            gathered.updates.append((_remote(change.before[0]), change.after))
        elif change.action == "create" and change.after is not None:
            gathered.creates.append(change.after)
    return gathered


def remaining(plan: Plan, existing: Sequence[ExistingRecord]) -> list[Change]:
    """The steps of the plan that the zone does not show yet, with the remote ids of now.

    After a crash in the middle, what is done is skipped. A record in the way that is neither what
    the plan found nor what it writes makes its step a conflict.
    """
    here, by_id = by_name(existing), {record.remote_id: record for record in existing}
    known: dict[str, list[RecordData]] = defaultdict(list)
    for change in plan.changes:
        for data in (*(record.data for record in change.before), *_after(change)):
            known[data.name].append(data)
    left: list[Change] = []
    for step in plan.steps:
        old = _find(here, step.before[0].data) if step.before else None
        if step.after is None:
            changed = by_id.get(step.before[0].remote_id)
            if old is not None:
                left.append(replace(step, before=(old,)))
            elif changed is not None:
                left.append(_as_conflict(step, (changed,)))
            continue
        present = here.get(step.after.name, [])
        strangers = tuple(
            record
            for record in in_the_way(
                plan.zone_name, step.purpose, step.after, present, lone_cname=plan.lone_cname
            )
            if not any(same_value(record.data, data) for data in known[record.data.name])
        )
        held = _find(here, step.after)
        if strangers:
            left.append(_as_conflict(step, strangers))
        elif held is None and old is None and step.action == "update" and step.purpose == BY_HAND:
            left.append(_as_conflict(step, ()))  # beside a value of somebody else it would be wrong
        elif held is None and old is not None:
            left.append(replace(step, action="update", before=(old,)))
        elif held is None:
            left.append(replace(step, action="create", before=()))
        elif old is not None and not same_value(old.data, step.after):
            left.append(replace(step, action="delete", before=(old,), after=None))
        elif _is_about_ttl(step) and held.data.ttl != step.after.ttl:
            left.append(replace(step, before=(held,)))
    return left


def inverse(
    plan: Plan,
    existing: Sequence[ExistingRecord],
    *,
    own_hosts: frozenset[str] = frozenset(),
) -> Plan:
    """The plan that takes this one back: what it wrote goes, what it found returns.

    `existing` is the zone now. What we wrote and somebody changed since then is theirs and stays;
    where it is in the way of what returns, that is a conflict. Steps that never happened need no
    way back.
    """
    undone = replace(plan, changes=tuple(_undone(change) for change in reversed(plan.changes)))
    left = remaining(undone, existing)
    return make_plan(
        plan.zone_name, left, existing, lone_cname=plan.lone_cname, own_hosts=own_hosts
    )


def _as_conflict(step: Change, strangers: tuple[ExistingRecord, ...]) -> Change:
    found = listed(strangers) if strangers else f"{step.before[0].data} is not there any more."
    reason = f"The zone was changed since the plan was made: {found}"
    return make_change(
        "conflict",
        purpose=step.purpose,
        level=step.level,
        reason=reason,
        before=strangers,
        after=step.after,
    )


def _undone(change: Change) -> Change:
    if change.action in STILL:
        return change
    before = () if change.after is None else (ExistingRecord("", change.after, ours=True),)
    after = change.before[0].data if change.before else None
    action: Action = "update"
    if not before:
        action = "create"
    elif after is None:
        action = "delete"
    return make_change(
        action,
        purpose=change.purpose,
        level=change.level,
        reason="Takes back what was changed.",
        before=before,
        after=after,
    )


def _after(change: Change) -> tuple[RecordData, ...]:
    return () if change.after is None else (change.after,)


def _is_about_ttl(step: Change) -> bool:
    """Whether the step changes nothing but a TTL, which is not compared otherwise."""
    if step.action != "update" or step.after is None:
        return False
    before = step.before[0].data
    return before.ttl != step.after.ttl and same_value(before, step.after)


def _find(here: Mapping[str, list[ExistingRecord]], data: RecordData) -> ExistingRecord | None:
    found = here.get(data.name, ())
    return next((record for record in found if same_value(record.data, data)), None)


def _remote(record: ExistingRecord) -> RemoteRecord:
    return RemoteRecord(record.remote_id, record.data)
