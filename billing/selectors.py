"""Reading what is paid."""

import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings

from billing.models import Account
from billing.plans import PLANS, TRIAL, Plan
from mpanel.core.actor import Actor

RATE_KNOWN_FOR = 60.0  # seconds


def get_account(actor: Actor) -> Account:
    """The tenant's account; one that was never asked for begins its trial now."""
    account, _ = Account.objects.get_or_create(tenant_id=actor.tenant_id)
    return account


@dataclass(frozen=True)
class AccountStatus:
    """What a tenant may do now. `plan`: of a trial the one chosen for later, else the one paid.

    `limits`: those in force. `days_left`, `ends_at`: of a trial only.
    """

    active: bool
    plan: str
    status: str
    limits: Plan
    days_left: int | None
    ends_at: datetime | None


def account_status(actor: Actor) -> AccountStatus:
    """How the tenant's account stands."""
    actor.need("account:read")
    account = get_account(actor)
    in_trial = account.in_trial
    return AccountStatus(
        active=not account.trial_over,
        plan=(account.chosen_plan or TRIAL) if in_trial else account.plan,
        status=("expired" if account.trial_over else "trial") if in_trial else "active",
        limits=PLANS[account.plan],
        days_left=account.trial_days_left,
        ends_at=account.trial_ends_at if in_trial else None,
    )


_rates: dict[UUID, tuple[float, int]] = {}


def requests_a_minute(actor: Actor) -> int:
    """How many requests of one user or key the tenant's plan allows; known for a minute."""
    known = _rates.get(actor.tenant_id)
    now = time.monotonic()
    if known is None or known[0] < now:
        if len(_rates) > 10_000:
            _rates.clear()
        plan = Account.objects.filter(tenant_id=actor.tenant_id).values_list("plan", flat=True)
        rate = PLANS[plan.first() or TRIAL].requests * settings.API_PLAN_RATE_FACTOR
        known = _rates[actor.tenant_id] = (now + RATE_KNOWN_FOR, rate)
    return known[1]
