"""Operators' view of plans and trials."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin

from billing import services
from billing.models import Account
from billing.plans import PLANS, Plan
from mpanel.core.actor import Actor
from mpanel.core.adminpages import ReadOnlyAdmin, acts, one_of

DAYS = 7


@acts(f"Extend the trial by {DAYS} days")
def extend_trial(actor: Actor, account: Account) -> None:
    services.extend_trial(actor, days=DAYS)


def change_to(plan: Plan) -> Callable[..., Any]:
    """The action that puts tenants on this plan."""

    def work(actor: Actor, account: Account) -> None:
        services.change_plan(actor, plan.key)

    work.__name__ = f"change_to_{plan.key}"
    limits = f"{plan.inboxes or 'any number of'} inboxes, {plan.domains or 'any number of'} domains"
    question = f"The limits of {plan.label} hold from now on: {limits}. What is there stays."
    return acts(f"Change the plan to {plan.label}", ask=question)(work)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("tenant", "plan", "chosen_plan", "trial_ends_at", "created_at")
    list_select_related = ("tenant",)
    list_filter = (one_of("plan", *PLANS),)
    search_fields = ("tenant__name", "tenant__customer__email", "tenant__id__exact")
    date_hierarchy = "trial_ends_at"
    ordering = ("-id",)
    actions = (extend_trial, *(change_to(plan) for plan in PLANS.values()))
