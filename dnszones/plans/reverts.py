"""Taking back a plan that was applied: what it wrote goes, what it found returns."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from dnszones import selectors
from dnszones.live_zone import look
from dnszones.models import ChangePlan, Zone
from dnszones.plans import Plan
from dnszones.plans.computing import inverse_of
from dnszones.plans.services import DomainIsLeaving
from dnszones.records import RecordData, same_value, value_of
from domains.models import Domain
from events.services import record
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict
from mpanel.core.losses import require_confirmation
from provisioning.models import Job
from provisioning.selectors import newest_job
from provisioning.services import start_job

BY_A_PERSON = (ChangePlan.RECORDS, ChangePlan.IMPORT, ChangePlan.EXISTING)


class NothingToRevert(Conflict):
    """This plan cannot be taken back: it was not applied, was taken back, or is not in force."""

    code = "NOTHING_TO_REVERT"


class RecordsChanged(Conflict):
    """Records that this plan wrote were changed since then."""

    code = "RECORDS_CHANGED"


@dataclass(frozen=True)
class Undoing:
    """What taking back `row` comes to in its zone as that was seen."""

    row: ChangePlan
    plan: Plan


def look_at_undoing(actor: Actor, plan_id: UUID, *, to_write: bool = False) -> Undoing:
    """What taking back a plan would change and take away now; reads the zone at its provider.

    `to_write`: refuse at once an actor who may not write.

    Raises what `revert_plan` raises of the plan itself, `ZoneNotMade` and `ProviderError`.
    """
    if to_write:
        actor.require(ADMIN, "dns:write")
    row = selectors.get_plan(actor, plan_id)
    _require_revertible(row)
    sight = look(actor, row.zone_id, to_write=to_write)
    return Undoing(row, inverse_of(row, [one.existing for one in sight.records]))


def revert_plan(actor: Actor, plan_id: UUID, *, confirmation: str = "") -> Job:
    """Look at what an applied plan wrote, and take it back; see `take_back`."""
    return take_back(
        actor, look_at_undoing(actor, plan_id, to_write=True), confirmation=confirmation
    )


@transaction.atomic
def take_back(actor: Actor, undoing: Undoing, *, confirmation: str = "") -> Job:
    """Take back what an applied plan changed; nothing else is touched.

    Of mail setups, only the one in force. Raises `NothingToRevert`, `RecordsChanged` naming the
    records where a later plan changed what this one wrote, and `ConfirmationRequired`.
    """
    actor.require(ADMIN, "dns:write")
    plan = selectors.get_plan(actor, undoing.row.pk)
    domain = plan.zone.domain
    Zone.objects.select_for_update().get(pk=plan.zone_id)
    if domain.status == Domain.DELETING:
        raise DomainIsLeaving
    under_way = plan.zone.plans.filter(reverts=plan, status__in=("computing", "applying")).first()
    if under_way and (job := newest_job(under_way.pk, "dnszones.revert")):
        return job
    _require_revertible(plan)
    undone = undoing.plan
    require_confirmation(undone.losses, digest=undone.digest, given=confirmation)
    revert = ChangePlan.objects.create(
        zone=plan.zone,
        created_by_id=actor.user_id,
        reverts=plan,
        kind=plan.kind,
        setup=plan.setup,
        confirmation=undone.digest,
    )
    record(actor, "dns.plan_reverted", domain, f"Took back a DNS plan of {domain}.")
    return start_job(
        actor,
        "dnszones.revert",
        label="Take back the DNS changes",
        subject_id=revert.pk,
        subject_label=str(domain),
        lock=f"zone:{plan.zone_id}",
    )


def _require_revertible(plan: ChangePlan) -> None:
    """Raise `NothingToRevert` or `RecordsChanged`."""
    if not can_be_reverted(plan):
        raise NothingToRevert
    if changed := changed_since(plan):
        names = ", ".join(f"{data.type} {data.name} ({value_of(data)[:80]})" for data in changed)
        raise RecordsChanged(f"Later plans changed what this one wrote: {names}.")


def can_be_reverted(plan: ChangePlan) -> bool:
    """Whether a plan stands: it was applied, and not taken back; of mail setups, the last one."""
    if plan.kind not in BY_A_PERSON:
        return selectors.revertible_plan(plan.zone.domain) == plan
    is_applied = plan.status == ChangePlan.APPLIED and plan.reverts_id is None
    return is_applied and not plan.reverted_by.filter(status=ChangePlan.APPLIED).exists()


def revertible_ids(plans: list[ChangePlan]) -> set[UUID]:
    """Which of these plans of one domain can be taken back, in two queries."""
    by_hand = [plan.pk for plan in plans if plan.kind in BY_A_PERSON]
    applied = ChangePlan.objects.filter(pk__in=by_hand, status=ChangePlan.APPLIED, reverts=None)
    taken_back = Q(reverted_by__status=ChangePlan.APPLIED)
    found = set(applied.exclude(taken_back).values_list("pk", flat=True))
    in_force = selectors.revertible_plan(plans[0].zone.domain) if plans else None
    return found | ({in_force.pk} if in_force else set())


def changed_since(plan: ChangePlan) -> list[RecordData]:
    """The records that a plan wrote, and that a later one changed or deleted."""
    computed = selectors.plan_of(plan)
    written: dict[str, list[RecordData]] = {}
    for step in computed.steps if computed else ():
        if step.after is not None:
            written.setdefault(step.after.name, []).append(step.after)
    changed: list[RecordData] = []
    for later in _later_plans(plan):
        theirs = selectors.plan_of(later)
        for step in theirs.steps if theirs else ():
            for before in step.before:
                for data in written.get(before.data.name, ()):
                    if same_value(before.data, data) and data not in changed:
                        changed.append(data)
    return changed


def _later_plans(plan: ChangePlan) -> QuerySet[ChangePlan]:
    """The plans that were applied after this one and stand; pairs that undo each other do not.

    Nor do those that only keep a flattened SPF record current: taking back goes from there.
    """
    later = plan.zone.plans.filter(status=ChangePlan.APPLIED, applied_at__gt=plan.applied_at)
    undone = Q(reverted_by__status=ChangePlan.APPLIED)
    undoing = Q(reverts__applied_at__gt=plan.applied_at)
    later = later.exclude(kind=ChangePlan.SPF).exclude(undone).exclude(undoing)
    return later.defer("snapshot", "edits")
