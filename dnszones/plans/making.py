"""Where every change plan is made: the steps, what they rest on, and what they take away."""

from collections.abc import Iterable, Sequence

from .losses import losses_of
from .plan import (
    BY_HAND,
    Change,
    ExistingRecord,
    Plan,
    fingerprint,
    looked_at,
    make_change,
)


def make_plan(
    zone_name: str,
    changes: Sequence[Change],
    existing: Sequence[ExistingRecord],
    *,
    lone_cname: bool = True,
    own_hosts: frozenset[str] = frozenset(),
    merged_spf: str | None = None,
) -> Plan:
    """A plan of these changes, with all that follows from them and the zone's records.

    `lone_cname`: as the provider's capabilities say. `own_hosts` and `merged_spf`: see `losses_of`.
    """
    named = {record.remote_id for change in changes for record in change.before}
    return Plan(
        zone_name=zone_name,
        changes=tuple(changes),
        untouched=sum(record.remote_id not in named for record in existing),
        losses=losses_of(zone_name, changes, existing, own_hosts=own_hosts, merged_spf=merged_spf),
        fingerprint=fingerprint(looked_at(zone_name, changes, existing, lone_cname=lone_cname)),
        lone_cname=lone_cname,
    )


def plan_removal(
    zone_name: str,
    existing: Sequence[ExistingRecord],
    gone: Iterable[ExistingRecord],
    *,
    reason: str,
    own_hosts: frozenset[str],
) -> Plan:
    """What it means that some of a zone's records go, each for itself."""
    steps = [
        make_change(
            "delete", purpose=BY_HAND, level="optional", reason=reason, before=(one,), after=None
        )
        for one in gone
    ]
    return make_plan(zone_name, steps, existing, own_hosts=own_hosts)


def takes_more(
    plan: Plan,
    existing: Sequence[ExistingRecord],
    *,
    own_hosts: frozenset[str] = frozenset(),
) -> bool:
    """Whether the plan would take away from the zone of now what nobody was told about.

    Losses are compared whole: one that is worse has another sentence. A record beside those that
    the plan rests on may have gone since, so that its steps remove the last of several.
    """
    # A setup's SPF record names all senders of the one it replaces; that one is looked at already.
    spf = (step.after for step in plan.steps if step.purpose == "spf" and step.after is not None)
    settled = next(spf, None)
    now = losses_of(
        plan.zone_name,
        plan.steps,
        existing,
        own_hosts=own_hosts,
        merged_spf=settled.content if settled else None,
    )
    told = set(plan.losses)
    return any(loss not in told for loss in now if loss.kind != "extent")
