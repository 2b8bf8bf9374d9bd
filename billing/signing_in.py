"""What who signs in is told of their trial and plan (`tenants.paid`)."""

from collections.abc import Sequence
from typing import Any

from billing.plans import PLANS, TRIAL
from billing.selectors import account_status
from billing.serializers import TrialSerializer
from billing.services import begin_trial as begin
from mpanel.core.actor import Actor


def plans() -> Sequence[str]:
    return [plan for plan in PLANS if plan != TRIAL]


def trial_shape() -> TrialSerializer:
    return TrialSerializer()


def begin_trial(actor: Actor, plan: str) -> Any:
    begin(actor, plan=plan)
    return TrialSerializer(account_status(actor)).data


def tier(actor: Actor) -> str:
    return account_status(actor).limits.key
