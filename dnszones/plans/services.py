"""Change plans and propagation sessions: making, applying, taking back; starting, cancelling."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from dnszones import selectors
from dnszones.dkim import key_choice
from dnszones.dkim.keys import with_own_key
from dnszones.kept_records import keep_records
from dnszones.mail_records import MailSetup, desired_records
from dnszones.models import ChangePlan, PropagationSession, Zone
from dnszones.plans import Plan
from dnszones.propagation.services import watch_zone
from dnszones.spf.flattened import records as flattened
from dnszones.vendors import chosen_setup
from domains.models import Domain
from domains.selectors import get_domain
from events.services import record
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.losses import MOST_SAID, Loss, require_confirmation
from mpanel.core.wording import counted
from provisioning.models import Job
from provisioning.selectors import newest_job
from provisioning.services import cancel_jobs, start_job


class DomainNotVerified(Conflict):
    """The domain's nameservers do not point here yet, so nobody would see its records."""

    code = "DOMAIN_NOT_VERIFIED"


class DomainIsLeaving(Conflict):
    """This domain is being disconnected, so nothing more is written for it."""

    code = "DOMAIN_IS_LEAVING"


class MoreWouldGo(Conflict):
    """The zone was changed since you confirmed what goes dark. Nothing was removed."""

    code = "ZONE_CHANGED"

    def __init__(self, losses: Sequence[Loss]) -> None:
        told = " ".join(loss.sentence for loss in losses[:MOST_SAID])
        super().__init__(
            f"The zone was changed since you confirmed what goes dark: {told} Nothing was removed. "
            "Disconnect the domain once more if you want that."
        )


class PlanNotReady(Conflict):
    """This plan cannot be applied: it is not ready, or a newer one replaced it. Make a new plan."""

    code = "PLAN_NOT_READY"


@transaction.atomic
def make_plan(actor: Actor, domain_id: UUID, *, choices: dict[str, Any]) -> ChangePlan:
    """Have a worker read the zone and compute what a mail setup would change; nothing is written.

    `choices`: fields of `MailSetup`. An older plan that was not applied is replaced. Raises
    `Invalid` with fields.
    """
    domain = get_domain(actor, domain_id)
    return begin_plan(actor, domain, chosen_setup(domain, choices))


@transaction.atomic
def agree_to_replace(actor: Actor, plan_id: UUID, *, replace_ids: Sequence[str]) -> ChangePlan:
    """Plan again with the same setup, and overwrite these conflicts, as the customer agreed."""
    actor.require(ADMIN, "dns:write")
    plan = selectors.get_plan(actor, plan_id)
    if plan.status != ChangePlan.READY or plan.kind != ChangePlan.SETUP:
        raise PlanNotReady
    setup, agreed = MailSetup.from_json(plan.setup), agreed_replacements(plan, replace_ids)
    return begin_plan(actor, plan.zone.domain, setup, replace_ids=agreed)


def agreed_replacements(plan: ChangePlan, replace_ids: Sequence[str]) -> list[str]:
    """Which conflicts may be overwritten: those agreed to before, and of these ids the shown ones.

    Raises `PlanNotReady` for a plan that was never computed.
    """
    computed = selectors.plan_of(plan)
    if computed is None:
        raise PlanNotReady
    shown = {change.id for change in computed.conflicts}
    return sorted({*plan.replace, *shown.intersection(replace_ids)})


@transaction.atomic
def apply_plan(actor: Actor, plan_id: UUID, *, confirmation: str = "") -> Job:
    """Apply the plan that was shown, and no other. Twice gives the same job.

    `confirmation`: the plan's digest, where something is lost. Raises `ConfirmationRequired`,
    `PlanNotReady`, `DomainIsLeaving`.
    """
    actor.require(ADMIN, "dns:write")
    plan = selectors.get_plan(actor, plan_id)
    computed = selectors.plan_of(plan)
    running = newest_job(plan.pk, "dnszones.apply")
    if plan.status == ChangePlan.APPLYING and running:
        return running
    if plan.status != ChangePlan.READY or computed is None:
        raise PlanNotReady
    if plan.zone.domain.status == Domain.DELETING:
        raise DomainIsLeaving
    require_confirmation(computed.losses, digest=computed.digest, given=confirmation)
    begin_applying(plan)
    domain = plan.zone.domain
    record(
        actor,
        "dns.plan_applied",
        domain,
        f"Applied a DNS plan with {counted(len(computed.steps), 'change')} to {domain}.",
        changes={"plan": str(plan.pk), "changes": len(computed.steps)},
    )
    return start_job(
        actor,
        "dnszones.apply",
        label="Write the DNS records",
        subject_id=plan.pk,
        subject_label=str(domain),
        lock=f"zone:{plan.zone_id}",
    )


def begin_plan(
    actor: Actor,
    domain: Domain,
    setup: MailSetup,
    *,
    replace_ids: Sequence[str] = (),
    at_once: bool = False,
    confirmation: str = "",
) -> ChangePlan:
    """A new plan for a setup, in the caller's transaction; it replaces what was not applied yet.

    `at_once`: apply it as soon as it is computed, where nothing is lost or what is lost has the
    digest `confirmation`.
    """
    zone = lock_zone(actor, domain)
    if setup.platform == "mailserver" and setup.dkim_value:
        raise Invalid.field(
            "dkim_value", "The mPanel mail server signs with a key of its own. Leave this empty."
        )
    desired_records(with_own_key(zone, setup))
    outdated = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.FAILED)
    replaced = list(zone.plans.filter(kind=ChangePlan.SETUP, status__in=outdated))
    for old in replaced:
        old.move(ChangePlan.SUPERSEDED)
    # What would have been applied at once ends here: nothing failed, so nobody is told.
    cancel_jobs([old.pk for old in replaced], "dnszones.setup")
    plan = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        setup=setup.to_json(),
        replace=list(replace_ids),
        at_once=at_once,
        confirmation=confirmation,
    )
    if at_once:
        record(actor, "dns.setup_asked", domain, f"Asked to set up the mail records of {domain}.")
    start_job(
        actor,
        "dnszones.setup" if at_once else "dnszones.plan",
        label="Set up the DNS records" if at_once else "Plan the DNS changes",
        subject_id=plan.pk,
        subject_label=str(domain),
        lock=f"zone:{zone.pk}" if at_once else "",
    )
    return plan


def lock_zone(actor: Actor, domain: Domain) -> Zone:
    """The zone of a domain whose records may be planned, locked until the transaction ends.

    Raises `DomainNotVerified`, `DomainIsLeaving`.
    """
    actor.require(ADMIN, "dns:write")
    zone = Zone.objects.select_for_update().filter(domain=domain).first()
    if zone is None or not domain.is_verified:
        raise DomainNotVerified
    if domain.status == Domain.DELETING:
        raise DomainIsLeaving
    return zone


def begin_applying(plan: ChangePlan, /, **columns: Any) -> None:
    """From here on the plan is written. Raises `PlanNotReady` while another one of its zone is."""
    try:
        with transaction.atomic():
            plan.move(ChangePlan.APPLYING, **columns)
    except IntegrityError:
        raise PlanNotReady(
            "Another plan is being applied to this zone just now. Try again when it is done."
        ) from None


@transaction.atomic
def finish_plan(plan: ChangePlan) -> None:
    """All of a plan stands in the zone: keep its records, and watch them spread."""
    plan.move(ChangePlan.APPLIED, applied_at=timezone.now())
    zone, domain = plan.zone, Domain.objects.get(pk=plan.zone.domain_id)
    in_force = plan if plan.reverts_id is None else selectors.revertible_plan(domain)
    applied = selectors.plan_of(plan)
    if applied is not None:
        key_choice.follow_setup(zone, MailSetup.from_json(plan.setup), applied)
        flattened.follow_setup(zone, plan, applied)
    standing = selectors.plan_of(in_force) if in_force else None
    if standing and in_force != plan:
        standing = flattened.as_it_is_now(zone, standing)
    keep_records(zone, standing, applied=applied)
    flattened.keep_rows(zone)
    if in_force is None:
        zone.sessions.filter(status=PropagationSession.POLLING).update(
            status=PropagationSession.CANCELLED, completed_at=timezone.now()
        )
        if domain.can_move(Domain.VERIFIED):
            domain.move(Domain.VERIFIED)
        return
    watch_zone(zone)
    if domain.status == Domain.VERIFIED or (
        domain.status == Domain.READY and _changes_what_is_required(applied)
    ):
        domain.move(Domain.DNS_CONFIGURING)
    record(system(domain.tenant_id), "dns.written", domain, f"Wrote the mail records of {domain}.")


def _changes_what_is_required(plan: Plan | None) -> bool:
    """Whether a plan wrote a record, or left out one, without which mail does not work."""
    return plan is not None and any(
        change.level == "required" and change.action != "keep" for change in plan.changes
    )


def compute_again(plan: ChangePlan) -> None:
    """The job of a plan that could not be computed is tried again."""
    if plan.status == ChangePlan.FAILED and plan.plan is None:
        plan.move(ChangePlan.COMPUTING)


def fail_plan(plan: ChangePlan, *why: str) -> None:
    """The job of a plan failed (`why`: its code and sentence) or was cancelled."""
    if plan.can_move(ChangePlan.FAILED):
        plan.move(ChangePlan.FAILED)
