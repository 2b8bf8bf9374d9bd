"""Mail records set up by asking again: the same request gives the same plan, and how far it is.

A worker reads the zone and writes to it, so the first answer is early. The same request within a
minute means the same plan; later, or with another setup, it means a new one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dnszones import selectors
from dnszones.mail_records import MailSetup
from dnszones.models import ChangePlan, Zone
from dnszones.plans import Plan
from dnszones.plans.services import (
    PlanNotReady,
    agreed_replacements,
    apply_plan,
    begin_plan,
    lock_zone,
)
from dnszones.vendors import chosen_setup
from domains.selectors import get_domain
from mpanel.core.actor import Actor
from mpanel.core.errors import ProviderError
from mpanel.core.losses import require_confirmation
from provisioning.models import Job
from provisioning.selectors import jobs, newest_job

FRESH = timedelta(minutes=1)
WRITES = ("dnszones.apply", "dnszones.setup")  # workflows that apply a plan
UNDER_WAY = (ChangePlan.COMPUTING, ChangePlan.APPLYING)


@dataclass(frozen=True)
class SetupReport:
    """How far the setup of a domain's mail records is. `written`: changes that stand by now."""

    row: ChangePlan
    plan: Plan | None
    job: Job | None
    written: int

    @property
    def is_under_way(self) -> bool:
        return self.row.status in UNDER_WAY

    @property
    def failed(self) -> int:
        """Changes that were not written, once the job gave up."""
        is_over = self.row.status == ChangePlan.FAILED and self.plan is not None
        return len(self.plan.steps) - self.written if self.plan and is_over else 0


@transaction.atomic
def preview_setup(actor: Actor, domain_id: UUID, *, choices: dict[str, Any]) -> ChangePlan:
    """What a setup would change, to be computed by a worker. `choices`: fields of `MailSetup`.

    Raises `Invalid`, `DomainNotVerified`, `DomainIsLeaving`.
    """
    domain = get_domain(actor, domain_id)
    setup = chosen_setup(domain, choices)
    known = _same(lock_zone(actor, domain), setup, ())
    if known and known.status in {ChangePlan.COMPUTING, ChangePlan.READY}:
        return known
    if known and known.status == ChangePlan.FAILED and known.plan is None:
        return known
    return begin_plan(actor, domain, setup)


def computed(actor: Actor, plan_id: UUID) -> tuple[ChangePlan, Plan | None]:
    """A plan and, unless it is being computed, what it says. Raises `ProviderError`."""
    row = selectors.get_plan(actor, plan_id)
    plan = selectors.plan_of(row)
    if row.status == ChangePlan.FAILED and plan is None:
        raise _failure(row)
    return row, plan


@transaction.atomic
def set_up(
    actor: Actor,
    domain_id: UUID,
    *,
    choices: dict[str, Any] | None = None,
    plan_id: UUID | None = None,
    replace_ids: Sequence[str] = (),
    confirmation: str = "",
) -> ChangePlan:
    """Apply the plan that was shown, or make one for these choices and apply it.

    Conflicts are only overwritten where `replace_ids` names them. Raises what `make_plan` and
    `apply_plan` raise.
    """
    domain = get_domain(actor, domain_id)
    zone = lock_zone(actor, domain)
    if plan_id is not None:
        shown = selectors.get_plan(actor, plan_id, domain_id=domain_id)
        if shown.kind != ChangePlan.SETUP:
            raise selectors.PlanNotFound
        setup, agreed = MailSetup.from_json(shown.setup), agreed_replacements(shown, replace_ids)
        if agreed == shown.replace:
            return _applied(actor, shown, confirmation=confirmation)
    else:
        setup, agreed = chosen_setup(domain, choices or {}), sorted(set(replace_ids))
    known = _same(zone, setup, agreed)
    if known and (known.at_once or known.plan is not None):
        return _applied(actor, known, confirmation=confirmation)
    return begin_plan(
        actor, domain, setup, replace_ids=agreed, at_once=True, confirmation=confirmation
    )


def setup_report(actor: Actor, plan_id: UUID) -> SetupReport:
    """How far it is. Raises `ConfirmationRequired`, `PlanNotReady`, `ProviderError`."""
    row, plan = computed(actor, plan_id)
    if row.status == ChangePlan.SUPERSEDED:
        raise PlanNotReady
    if row.status == ChangePlan.READY and plan is not None:
        require_confirmation(plan.losses, digest=plan.digest, given="")
    job = jobs(actor, subject_id=row.pk).filter(workflow__in=WRITES).first()
    if row.status == ChangePlan.APPLIED:
        written = len(plan.steps) if plan else 0
    else:
        steps = list(job.steps.all()) if job else []
        written = next((step.done for step in steps if step.name == "plan_is_applied"), 0)
    return SetupReport(row, plan, job, written)


def is_settled(plan_id: UUID) -> bool:
    """Whether no worker is about to compute or apply the plan."""
    return not ChangePlan.objects.filter(pk=plan_id, status__in=UNDER_WAY).exists()


def _same(zone: Zone, setup: MailSetup, replace_ids: Sequence[str]) -> ChangePlan | None:
    """The zone's newest plan, if it is for this setup and the same request may mean it."""
    newest = zone.plans.filter(kind=ChangePlan.SETUP).first()
    if newest is None or newest.reverts_id or newest.replace != list(replace_ids):
        return None
    if MailSetup.from_json(newest.setup) != setup:
        return None
    if newest.status in UNDER_WAY:
        return newest
    since = {
        ChangePlan.READY: newest.computed_at,
        ChangePlan.APPLIED: newest.applied_at,
        ChangePlan.FAILED: newest.updated_at,
    }.get(newest.status)
    return newest if since and since > timezone.now() - FRESH else None


def _applied(actor: Actor, plan: ChangePlan, *, confirmation: str) -> ChangePlan:
    """The plan, being applied from now on at the latest; or as it ended, where it was before."""
    in_force = selectors.revertible_plan(plan.zone.domain)
    if plan.status == ChangePlan.APPLIED and in_force != plan:
        raise PlanNotReady  # a newer one has replaced what it wrote
    was_begun = plan.status in {ChangePlan.APPLYING, ChangePlan.APPLIED, ChangePlan.FAILED}
    is_awaited = plan.at_once and plan.status == ChangePlan.COMPUTING
    if not was_begun and not is_awaited:
        apply_plan(actor, plan.pk, confirmation=confirmation)
    return plan


def _failure(row: ChangePlan) -> ProviderError:
    job = newest_job(row.pk)
    return ProviderError(
        (job and job.error_code) or "FAILED",
        f"{(job and job.error_message) or 'The zone could not be read.'} Nothing was written.",
        retryable=True,
    )
