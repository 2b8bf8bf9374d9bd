"""What should be true of a zone, and the workflows that bring it about."""

from dataclasses import asdict
from itertools import batched

from django.db import IntegrityError, transaction
from django.utils import timezone

from dnszones import changes, edits, services
from dnszones.changes import ChangePlan as Plan
from dnszones.changes import ExistingRecord
from dnszones.computing import COMPUTE, provider_of, read_zone
from dnszones.discovery.states import ExistingRecordsFound, ZoneIsComplete
from dnszones.models import ChangePlan, Zone
from dnszones.providers.base import RemoteRecord, RemoteZone
from dnszones.records import same_value
from dnszones.reverts import BY_A_PERSON
from domains.models import Domain
from domains.services import DomainTaken, assign_nameservers, forget_domain
from domains.states import DomainIsVerified, NameserversPointHere
from mpanel.core.errors import Conflict, NotFound
from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job
from provisioning.run import progress, say

ZONE_TAKEN = (
    "Another customer of this DNS account began to set up this domain. If it is yours, connect it "
    "with a DNS account of your own, or ask us."
)


class ZoneExists(DesiredState[Domain]):
    """The customer's DNS provider has a zone for the domain, and we know its nameservers."""

    name = "zone_exists"
    label = "Make the zone"

    def observe(self, subject: Domain) -> Observation:
        remote = provider_of(subject).find_zone(subject.name)
        if remote is None:
            return Observation.missing(f"There is no zone for {subject} yet.")
        zone = Zone.objects.filter(domain=subject, remote_id=remote.id).first()
        if zone is None or sorted(subject.nameservers) != sorted(remote.nameservers):
            return Observation.missing(f"The zone for {subject} is there, but not noted here yet.")
        return Observation.matches(
            "The zone is there."
        )  # its nameservers are shown when it is full

    def apply(self, subject: Domain) -> None:
        if subject.status == Domain.DELETING:
            raise services.DomainIsLeaving
        zone, _ = Zone.objects.get_or_create(
            domain=subject, defaults={"provider": subject.dns_credential.provider}
        )
        provider = provider_of(subject)
        remote = provider.find_zone(subject.name)
        if remote is not None and _is_anothers(zone, remote):
            Zone.objects.filter(pk=zone.pk).update(creation_asked_at=None)
            raise DomainTaken(ZONE_TAKEN)
        if remote is None:
            # Noted before the call: a zone that we find after a crash is then known as ours.
            zone.creation_asked_at = timezone.now()
            zone.save(update_fields=["creation_asked_at", "updated_at"])
            remote = provider.create_zone(subject.name)
            say(f"Made a zone for {subject}.")
        elif zone.creation_asked_at is None:
            say(f"A zone for {subject} was there already; its records stay as they are.")
        try:
            with transaction.atomic():
                zone.remote_id = remote.id
                zone.save(update_fields=["remote_id", "updated_at"])
                assign_nameservers(subject, remote.nameservers)
        except IntegrityError:
            Zone.objects.filter(pk=zone.pk).update(creation_asked_at=None)
            raise DomainTaken(ZONE_TAKEN) from None
        services.dkim_key(zone, "mpanel")


class ZoneIsReleased(DesiredState[Domain]):
    """What we made at the DNS provider is gone: the zone, or in a foreign zone our records."""

    name = "zone_is_released"
    label = "Remove what we made"

    def observe(self, subject: Domain) -> Observation:
        zone = Zone.objects.filter(domain=subject).first()
        if zone is None or not zone.remote_id:
            if zone is None or not _unnoted_zone(subject, zone):
                return Observation.matches("There is nothing of ours at the provider.")
            return Observation.missing("The zone that we made is still there.")
        if provider_of(subject).get_zone(zone.remote_id) is None:
            return Observation.matches("The zone is gone.")
        if zone.creation_asked_at:
            return Observation.missing("The zone that we made is still there.")
        if _our_remote_records(subject, zone):
            return Observation.missing("Records that we made are still in the zone.")
        return Observation.matches("The zone was there before us and stays; our records are gone.")

    def apply(self, subject: Domain) -> None:
        zone = Zone.objects.get(domain=subject)
        provider = provider_of(subject)
        remote_id = zone.remote_id or _unnoted_zone(subject, zone)
        if zone.creation_asked_at:
            if remote_id:
                provider.delete_zone(remote_id)
        else:
            provider.apply_batch(remote_id, deletes=_our_remote_records(subject, zone))


def _unnoted_zone(domain: Domain, zone: Zone) -> str:
    """The id of a zone that we asked for but never noted, so long as nobody else has it."""
    if zone.creation_asked_at is None:
        return ""
    remote = provider_of(domain).find_zone(domain.name)
    return "" if remote is None or _is_anothers(zone, remote) else remote.id


def _is_anothers(zone: Zone, remote: RemoteZone) -> bool:
    """Whether another domain's row holds this zone: tenants may share a provider account."""
    others = Zone.objects.exclude(pk=zone.pk)
    return others.filter(provider=zone.provider, remote_id=remote.id).exists()


def _our_remote_records(domain: Domain, zone: Zone) -> list[RemoteRecord]:
    ours = services.our_data(zone)
    return [
        remote
        for remote in provider_of(domain).list_records(zone.remote_id)
        if any(same_value(remote.data, data) for data in ours)
    ]


class PlanIsComputed(DesiredState[ChangePlan]):
    """The zone was read, and what would change is known."""

    name = "plan_is_computed"
    label = "Read the zone and compare"

    def observe(self, subject: ChangePlan) -> Observation:
        if subject.status == ChangePlan.COMPUTING:
            if subject.kind in BY_A_PERSON and _is_busy(subject.zone):
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
            goes_on = subject.at_once and (subject.confirmed or not plan.requires_confirmation)
        else:
            assert subject.reverts.plan is not None
            plan = changes.inverse(Plan.from_json(subject.reverts.plan), existing)
            goes_on = True
        columns = {"plan": plan.to_json(), "warnings": warnings, "computed_at": timezone.now()}
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
                "PLAN_NEEDS_CONFIRMATION",
                f"{' '.join(plan.confirmations)} Nothing was written: confirm that you want that.",
            )
        existing = read_zone(subject)
        left = changes.remaining(plan, existing)
        if trouble := _trouble(subject, plan, existing, left):
            return _zone_changed(trouble)
        if left:
            return Observation.missing(
                f"{len(left)} of {len(plan.steps)} changes are to be written.",
                found=f"{len(plan.steps) - len(left)} written",
                expected=f"{len(plan.steps)} written",
            )
        return Observation.matches(
            f"Read back: all {len(plan.steps)} changes stand in the zone."
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
        left = [c for c in changes.remaining(plan, existing) if c.action != "conflict"]
        left.sort(key=lambda change: _ORDER.index(change.action))
        done = len(plan.steps) - len(left)
        provider = provider_of(subject.zone.domain)
        # As many at a time as the provider takes whole, so that the lease is renewed in between.
        for part in batched(left, provider.capabilities.batch_size):
            progress(done, len(plan.steps))
            batch = changes.batch(part)
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
    row: ChangePlan, plan: Plan, existing: list[ExistingRecord], left: list[changes.Change]
) -> str:
    """Why the plan cannot be carried out as it was shown; "" where it can."""
    if _is_all_or_nothing(row) and plan.conflicts:
        return " ".join(change.reason for change in plan.conflicts)
    if row.snapshot is None and plan.steps and not changes.is_current(plan, existing):
        return "Records that the plan rests on were changed meanwhile."
    return " ".join(change.reason for change in left if change.action == "conflict")


def _is_all_or_nothing(row: ChangePlan) -> bool:
    """Whether nobody was shown the plan and could have agreed to leave its conflicts out."""
    return row.kind == ChangePlan.RECORDS or (
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


def load_domain(job: Job) -> Domain:
    """The domain of a job, fresh, with its credential."""
    found = Domain.objects.select_related("dns_credential").filter(
        pk=job.subject_id, tenant_id=job.tenant_id
    )
    if domain := found.first():
        return domain
    raise NotFound("The domain was removed meanwhile.")


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
            ExistingRecordsFound(),
            ZoneIsComplete(),
            NameserversPointHere(),
            DomainIsVerified(),
        ),
        load=load_domain,
    )
)
register(
    Workflow(
        name="domains.disconnect",
        label="Disconnect the domain",
        states=(ZoneIsReleased(),),
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
