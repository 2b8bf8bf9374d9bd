"""Which records we keep in a zone: those that we wrote, and those that a mail setup needs."""

from dnszones import selectors
from dnszones.dkim import key_choice
from dnszones.models import ChangePlan, Record, Zone
from dnszones.ownership_record import proof_record
from dnszones.plans import Plan
from dnszones.records import RecordData, same_value


def our_data(zone: Zone, *, but: ChangePlan | None = None) -> list[RecordData]:
    """What we wrote into a zone: the records we keep, and what plans that did not end wrote.

    A plan that was begun and then failed or was cancelled may have written all of it. `but` is the
    plan under way, whose own writes it judges by itself.
    """
    rows = zone.records.filter(ours=True)
    # A plan leaves alone what stands beside the mail setup (extras.py).
    ours = [row.data for row in (rows.exclude(purpose="other") if but else rows)]
    if but is None:
        ours.append(proof_record(zone.domain))
    kinds = (ChangePlan.SETUP, ChangePlan.SPF)
    begun = zone.plans.filter(kind__in=kinds, snapshot__isnull=False, applied_at=None)
    for row in begun.exclude(pk__in=[but.pk] if but else []):
        plan = selectors.plan_of(row)
        ours += [
            change.after
            for change in (plan.steps if plan else ())
            if change.after is not None and all(before.ours for before in change.before)
        ]
    return ours


def keep_records(zone: Zone, plan: Plan | None, *, applied: Plan | None = None) -> None:
    """Make the zone's `Record` rows those that the setup needs, and a DKIM rotation (`applied`: the
    plan that was written just now, which may be older than the rotation).

    A required record that could not be written for a conflict is among them: it is watched like the
    others, shows as a conflict, and keeps the domain from becoming ready.
    """
    rows = list(zone.records.exclude(purpose="other"))
    kept = []
    for change in plan.changes if plan else ():
        is_conflict = change.action == "conflict"
        if change.after is None or (is_conflict and change.level != "required"):
            continue
        if key_choice.is_retired(zone, change.after):
            continue
        known = next((row for row in rows if same_value(row.data, change.after)), None)
        row = known or Record(
            zone=zone,
            name=change.after.name,
            type=change.after.type,
            content=change.after.content,
            priority=change.after.priority,
        )
        row.ttl = change.after.ttl
        row.purpose, row.level, row.reason = change.purpose, change.level, change.reason
        row.ours = (
            row.ours
            or change.action == "create"
            or bool(change.before and all(before.ours for before in change.before))
        ) and not is_conflict
        row.save()
        kept.append(row.pk)
    kept += [row.pk for row in key_choice.rows_that_stay(zone, applied)]
    zone.records.exclude(pk__in=kept).exclude(purpose="other").delete()
