"""What should be true of a zone, and the workflows that bring it about."""

from dataclasses import asdict
from itertools import batched, chain

from django.utils import timezone

from dnszones import plans
from dnszones.access import zone_provider
from dnszones.discovery import looking
from dnszones.discovery.states import ExistingRecordsFound, ZoneIsComplete
from dnszones.models import ChangePlan, Zone
from dnszones.ownership_states import ProofIsWritten, load_domain
from dnszones.plans import ExistingRecord, Plan, edits, services
from dnszones.plans.computing import COMPUTE, inverse_of, read_zone
from dnszones.plans.reverts import BY_A_PERSON
from dnszones.spf.flattened import records as flattened
from dnszones.spf.flattened import services as flattening
from dnszones.vendors import own_mail_hosts
from dnszones.zones.states import RowsAreGone, ZoneExists, ZoneIsReleased
from domains.models import Domain
from domains.services import forget_domain
from domains.states import ControlIsProved, DomainIsVerified, NameserversPointHere
from mpanel.core.errors import Conflict, NotFound
from mpanel.core.wording import counted
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress, say


class PlanIsComputed(DesiredState[ChangePlan]):
    """The zone was read, and what would change is known."""

    name = "plan_is_computed"
    label = "Read the zone and compare"

    def observe(self, subject: ChangePlan) -> Observation:
        if subject.status == ChangePlan.COMPUTING:
            if subject.kind != ChangePlan.SETUP and _is_busy(subject.zone):
                return Observation.unknown("Another plan is being applied to this zone just now.")
            return Observation.missing("The zone is to be read.")
        plan = Plan.from_json(subject.plan) if subject.plan else None
        if plan is None:
            return Observation.matches("A newer plan replaced this one.")
        return Observation.matches(_sentence(plan))

    def apply(self, subject: ChangePlan) -> None:
        existing = read_zone(subject)
        warnings: list[str] = []
        if subject.reverts is None:
            plan, warnings = COMPUTE[subject.kind](subject, existing)
        else:
            plan = inverse_of(subject.reverts, existing)
        is_agreed = not plan.losses or plan.digest == subject.confirmation
        # Before the nameservers point here, nothing of the zone is live.
        is_agreed |= subject.kind == ChangePlan.EXISTING and not subject.zone.domain.is_verified
        # A flattened SPF record names whom its source names, whatever addresses they have now.
        is_agreed |= subject.kind == ChangePlan.SPF
        is_shown_first = subject.reverts is not None or subject.kind == ChangePlan.RECORDS
        if is_shown_first and not is_agreed:
            raise edits.ZoneChanged(
                f"The zone was changed meanwhile: {' '.join(plan.confirmations)} Nothing was "
                "written. Look again."
            )
        goes_on = is_agreed and (subject.at_once or subject.reverts is not None)
        columns = {
            "plan": plan.to_json(),
            "spf": subject.spf,
            "warnings": warnings,
            "computed_at": timezone.now(),
        }
        try:
            if goes_on:
                services.begin_applying(subject, **columns)
            else:
                subject.move(ChangePlan.READY, **columns)
        except services.PlanNotReady:
            raise
        except Conflict:
            # A newer plan may have replaced this one while it was computed; then it is not needed.
            subject.refresh_from_db()
            if subject.status != ChangePlan.SUPERSEDED:
                raise


class PlanIsApplied(DesiredState[ChangePlan]):
    """Every record of the plan stands in the zone, read back from the provider."""

    name = "plan_is_applied"
    label = "Write the records and read them back"

    def observe(self, subject: ChangePlan) -> Observation:
        if subject.status == ChangePlan.SUPERSEDED:
            return Observation.conflicts(
                "PLAN_REPLACED", "A newer plan replaced this one, so it is not written."
            )
        plan = _planned(subject)
        if subject.status == ChangePlan.READY:
            return Observation.conflicts(
                "CONFIRMATION_REQUIRED",
                f"{' '.join(plan.confirmations)} Nothing was written: confirm that you want that.",
            )
        existing = read_zone(subject)
        left = plans.remaining(plan, existing)
        if trouble := _trouble(subject, plan, existing, left):
            return _zone_changed(trouble)
        if left:
            return Observation.missing(
                f"{len(left)} of {len(plan.steps)} changes are to be written.",
                found=f"{len(plan.steps) - len(left)} written",
                expected=f"{len(plan.steps)} written",
            )
        return Observation.matches(
            f"Wrote {counted(len(plan.steps), 'change')} and read the zone back."
            if plan.steps
            else "Everything was there already."
        )

    def apply(self, subject: ChangePlan) -> None:
        if subject.zone.domain.status == Domain.DELETING:
            raise services.DomainIsLeaving
        if subject.status == ChangePlan.FAILED:
            services.begin_applying(subject)
        plan, existing = _planned(subject), read_zone(subject)
        if subject.snapshot is None:
            subject.snapshot = [{"id": one.remote_id, **asdict(one.data)} for one in existing]
            subject.save(update_fields=["snapshot", "updated_at"])
        left = [c for c in plans.remaining(plan, existing) if c.action != "conflict"]
        left.sort(key=lambda change: _ORDER.index(change.action))
        phases = [
            [change for change in left if flattened.phase(plan.zone_name, change) == phase]
            for phase in range(3)
        ]
        done = len(plan.steps) - len(left)
        provider = zone_provider(subject.zone)
        # As many at a time as the provider takes whole, so that the lease is renewed in between.
        size = provider.capabilities.batch_size
        for part in chain.from_iterable(batched(phase, size) for phase in phases):
            progress(done, len(plan.steps))
            batch = plans.batch(part)
            provider.apply_batch(
                subject.zone.remote_id,
                deletes=batch.deletes,
                updates=batch.updates,
                creates=batch.creates,
            )
            done += len(part)
        for change in left[:MOST_TOLD]:
            shown = change.after or change.before[0].data
            say(f"{_DONE[change.action]} {shown.type} {shown.name}.")
        if len(left) > MOST_TOLD:
            say(f"And {len(left) - MOST_TOLD} more.")
        progress(len(plan.steps), len(plan.steps))


def _trouble(
    row: ChangePlan, plan: Plan, existing: list[ExistingRecord], left: list[plans.Change]
) -> str:
    """Why the plan cannot be carried out as it was shown; "" where it can."""
    if _is_all_or_nothing(row) and plan.conflicts:
        return " ".join(change.reason for change in plan.conflicts)
    if row.snapshot is None and plan.steps and not plans.is_current(plan, existing):
        return "Records that the plan rests on were changed meanwhile."
    if row.snapshot is None and plans.takes_more(plan, existing, own_hosts=own_mail_hosts()):
        return "The zone was changed meanwhile, and the plan would now take away more."
    return " ".join(change.reason for change in left if change.action == "conflict")


def _is_all_or_nothing(row: ChangePlan) -> bool:
    """Whether nobody was shown the plan and could have agreed to leave its conflicts out."""
    return row.kind in {ChangePlan.RECORDS, ChangePlan.SPF} or (
        row.kind == ChangePlan.IMPORT and row.reverts_id is not None
    )


MOST_TOLD = 50  # lines of a job's log
_ORDER = ("delete", "update", "create")
_DONE = {"create": "Created", "update": "Updated", "delete": "Deleted"}


def _is_busy(zone: Zone) -> bool:
    return zone.plans.filter(status=ChangePlan.APPLYING).exists()


def _planned(row: ChangePlan) -> Plan:
    assert row.plan is not None
    return Plan.from_json(row.plan)


def _zone_changed(why: str) -> Observation:
    return Observation.conflicts(
        "ZONE_CHANGED", f"{why} Nothing more was written. Make a new plan and look at it again."
    )


def _sentence(plan: Plan) -> str:
    counts = {
        "to create": sum(change.action == "create" for change in plan.changes),
        "to update": sum(change.action == "update" for change in plan.changes),
        "to delete": sum(change.action == "delete" for change in plan.changes),
        "kept": sum(change.action == "keep" for change in plan.changes),
        "in conflict": len(plan.conflicts),
    }
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    return f"Compared with the zone: {told or 'nothing to do'}."


def load_plan(job: Job) -> ChangePlan:
    """The plan of a job, fresh, with its zone."""
    found = ChangePlan.objects.select_related("zone__domain__dns_credential", "reverts").filter(
        pk=job.subject_id, zone__domain__tenant_id=job.tenant_id
    )
    if plan := found.first():
        return plan
    raise NotFound("The plan was removed meanwhile.")


def _finish(plan: ChangePlan) -> None:
    """A plan of any kind stands in the zone."""
    (edits.finish_edits if plan.kind in BY_A_PERSON else services.finish_plan)(plan)


register(
    Workflow(
        name="domains.connect",
        label="Connect the domain",
        states=(
            ZoneExists(),
            ProofIsWritten(),
            ExistingRecordsFound(),
            ZoneIsComplete(),
            NameserversPointHere(),
            ControlIsProved(),
            DomainIsVerified(),
        ),
        load=load_domain,
        on_failure=looking.not_seen,
        on_cancel=looking.not_seen,
    )
)
register(
    Workflow(
        name="domains.disconnect",
        label="Disconnect the domain",
        states=(ZoneIsReleased(), RowsAreGone()),
        load=load_domain,
        on_success=forget_domain,
        cancellable=False,
    )
)
register(
    Workflow(
        name="dnszones.plan",
        label="Plan the DNS changes",
        states=(PlanIsComputed(),),
        load=load_plan,
        on_failure=services.fail_plan,
        on_cancel=services.fail_plan,
        on_retry=services.compute_again,
    )
)
register(
    Workflow(
        name="dnszones.apply",
        label="Write the DNS records",
        states=(PlanIsApplied(),),
        load=load_plan,
        on_success=_finish,
        on_failure=services.fail_plan,
        on_cancel=services.fail_plan,
    )
)
register(
    Workflow(
        name="dnszones.setup",
        label="Set up the DNS records",
        states=(PlanIsComputed(), PlanIsApplied()),
        load=load_plan,
        on_success=_finish,
        on_failure=services.fail_plan,
        on_cancel=services.fail_plan,
        on_retry=services.compute_again,
    )
)
register(
    Workflow(
        name="dnszones.records",
        label="Write the DNS records",
        states=(PlanIsComputed(), PlanIsApplied()),
        load=load_plan,
        on_success=_finish,
        on_failure=services.fail_plan,
        on_cancel=services.fail_plan,
        on_retry=services.compute_again,
    )
)
register(
    Workflow(
        name="dnszones.revert",
        label="Take back the DNS changes",
        states=(PlanIsComputed(), PlanIsApplied()),
        load=load_plan,
        on_success=_finish,
        on_failure=services.fail_plan,
        on_cancel=services.fail_plan,
        on_retry=services.compute_again,
    )
)
register(
    Workflow(
        name=flattening.WORKFLOW,
        label="Write the SPF record",
        states=(PlanIsComputed(), PlanIsApplied()),
        load=load_plan,
        on_success=flattening.finish_spf,
        on_failure=flattening.fail_spf,
        on_cancel=flattening.fail_spf,
        on_retry=services.compute_again,
    )
)
