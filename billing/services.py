"""Limits that hold under concurrency; and who is told when a trial ends."""

from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from billing.models import Account
from billing.plans import PLANS, TRIAL, Plan
from events.services import record
from mpanel.core.actor import Actor, system
from mpanel.core.errors import Conflict, Forbidden, Invalid, LimitExceeded

TOLD_BEFORE = timedelta(days=2)
MOST_TOLD = 500  # per sweep and news


class TrialExpired(Forbidden):
    """Your trial has ended. Choose a plan to continue. Nothing was deleted, and mail arrives."""

    code = "TRIAL_EXPIRED"
    title = "Your trial has ended"
    remedy = "settings-plan"


def lock_account(tenant_id: UUID) -> Account:
    """The tenant's account, locked until the caller's transaction ends.

    Whoever counts and then inserts does both under this lock. SQLite's transactions are immediate
    (one writer), so there the transaction itself is the lock.
    """
    assert connection.in_atomic_block
    account, _ = Account.objects.get_or_create(tenant_id=tenant_id)
    return Account.objects.select_for_update().get(pk=account.pk)


def account_unlocked(tenant_id: UUID) -> Account:
    """The tenant's account as it is now, unsaved where it has none yet.

    For what is prepared, and checked again under `lock_account`.
    """
    return Account.objects.filter(tenant_id=tenant_id).first() or Account(tenant_id=tenant_id)


@transaction.atomic
def begin_trial(actor: Actor, *, plan: str = "") -> Account:
    """The tenant's account; a new one begins its trial now. `plan`: what is meant for later.

    The trial's own limits hold whichever plan that is (contract, 6).
    """
    account = lock_account(actor.tenant_id)
    if plan and account.in_trial and account.chosen_plan != plan:
        account.chosen_plan = plan
        account.save(update_fields=["chosen_plan", "updated_at"])
        record(actor, "plan.chosen", account, f"Chose the plan {PLANS[plan].label} for later.")
    return account


def require_room(account: Account, *, what: str, used: int, wanted: int, limit: int | None) -> None:
    """Raise `LimitExceeded` unless `wanted` more `what` fit the plan."""
    if limit is not None and used + wanted > limit:
        raise LimitExceeded(
            f"Your plan ({plan_of(account).label}) allows {limit} {what}; you have {used} and "
            f"asked for {wanted} more.",
            details={"limit": limit, "used": used, "requested": wanted},
        )


def require_running(account: Account) -> None:
    """Raise `TrialExpired` once the trial is over."""
    if account.trial_over:
        raise TrialExpired


def plan_of(account: Account) -> Plan:
    """The plan whose limits are in force now."""
    return PLANS[account.plan]


def tell_of_trial_ends() -> None:
    """Record, once for each trial, that it ends in two days, and that it has ended."""
    now = timezone.now()
    trials = Account.objects.filter(plan=TRIAL)
    over = trials.filter(trial_ends_at__lte=now).exclude(trial_told=Account.ENDED)
    for account in over[:MOST_TOLD]:
        _tell(
            account,
            Account.ENDED,
            "Your trial has ended. Choose a plan to go on: nothing was deleted, and mail still "
            "arrives.",
        )
    soon = trials.filter(trial_ends_at__gt=now, trial_ends_at__lte=now + TOLD_BEFORE)
    for account in soon.filter(trial_told=Account.UNTOLD)[:MOST_TOLD]:
        _tell(
            account,
            Account.ENDING,
            f"Your trial ends on {account.trial_ends_at:%-d %B %Y, %H:%M} UTC. Choose a plan "
            "before then to go on without a break. Nothing is deleted, and mail still arrives.",
        )


@transaction.atomic
def _tell(account: Account, told: str, sentence: str) -> None:
    untold = Account.objects.filter(pk=account.pk, plan=TRIAL, trial_told=account.trial_told)
    if untold.update(trial_told=told, updated_at=timezone.now()):
        record(
            system(account.tenant_id),
            f"trial.{told}",
            account,
            sentence,
            changes={"ends_at": account.trial_ends_at.isoformat()},
        )


# --- By operators ----------------------------------------------------------------------------


@transaction.atomic
def extend_trial(actor: Actor, *, days: int) -> Account:
    """Give the actor's tenant so many more days: from now on where the trial is over.

    Raises `Conflict` for a tenant that has a plan.
    """
    actor.require_operator()
    account = lock_account(actor.tenant_id)
    if not account.in_trial:
        raise Conflict(f"This tenant has the plan {plan_of(account).label}, not a trial.")
    before = account.trial_ends_at
    account.trial_ends_at = max(before, timezone.now()) + timedelta(days=days)
    account.trial_told = Account.UNTOLD
    account.save(update_fields=["trial_ends_at", "trial_told", "updated_at"])
    record(
        actor,
        "trial.extended",
        account,
        f"Extended the trial to {account.trial_ends_at:%-d %B %Y, %H:%M} UTC.",
        changes={"ends_at": [before.isoformat(), account.trial_ends_at.isoformat()]},
    )
    return account


@transaction.atomic
def change_plan(actor: Actor, plan: str) -> Account:
    """Put the actor's tenant on a plan. Twice is harmless; what exceeds its limits stays."""
    actor.require_operator()
    if plan not in PLANS:
        raise Invalid.field("plan", "There is no such plan.")
    account = lock_account(actor.tenant_id)
    if account.plan != plan:
        before, account.plan = account.plan, plan
        account.save(update_fields=["plan", "updated_at"])
        changes = {"plan": [before, plan]}
        sentence = f"Changed the plan to {PLANS[plan].label}."
        record(actor, "plan.changed", account, sentence, changes=changes)
    return account
