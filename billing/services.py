"""Limits that hold under concurrency."""

from uuid import UUID

from django.db import connection

from billing.models import Account
from billing.plans import PLANS, Plan
from mpanel.core.errors import Forbidden, LimitExceeded


class TrialExpired(Forbidden):
    """Your trial has ended. Choose a plan to go on; nothing was deleted, and mail still arrives."""

    code = "TRIAL_EXPIRED"


def lock_account(tenant_id: UUID) -> Account:
    """The tenant's account, locked until the caller's transaction ends.

    Whoever counts and then inserts does both under this lock. SQLite's transactions are immediate
    (one writer), so there the transaction itself is the lock.
    """
    assert connection.in_atomic_block
    account, _ = Account.objects.get_or_create(tenant_id=tenant_id)
    return Account.objects.select_for_update().get(pk=account.pk)


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
