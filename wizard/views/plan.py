"""The plan: what it allows, what of it is used, and what to do when it is full or over."""

from dataclasses import dataclass

from django.http import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.plans import PLANS
from billing.selectors import get_account
from billing.services import plan_of
from domains.selectors import domains
from mailboxes.selectors import mailboxes
from mpanel.core.pages import PageRequest, signed_in


@dataclass(frozen=True)
class Use:
    """How much of one limit is used. `limit`: None for no limit."""

    label: str
    used: int
    limit: int | None

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.used >= self.limit


@signed_in
@require_GET
def plan(request: PageRequest) -> HttpResponseBase:
    """The tenant's plan, with what works and what does not once a trial is over."""
    account = get_account(request.actor)
    present = plan_of(account)
    uses = [
        Use("Inboxes", mailboxes(request.actor).count(), present.inboxes),
        Use("Domains", domains(request.actor).count(), present.domains),
    ]
    context = {
        "account": account,
        "plan": present,
        "uses": uses,
        "is_full": any(use.is_full for use in uses),
        "others": [other for other in PLANS.values() if other.price > present.price],
        "section": "settings",
        "tab": "plan",
        "page_title": "Plan",
        "page_subtitle": "The limits of your plan, and how much you use.",
    }
    return render(request, "wizard/plan.html", context)
