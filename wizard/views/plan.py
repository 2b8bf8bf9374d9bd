"""The plan: what it allows, what of it is used, and what to do when it is full or over."""

from django.http import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.plans import PLANS
from billing.selectors import get_account
from billing.services import plan_of
from mpanel.core.pages import PageRequest, signed_in
from wizard.uses import use_of


@signed_in
@require_GET
def plan(request: PageRequest) -> HttpResponseBase:
    """The tenant's plan, with what works and what does not once a trial is over."""
    account = get_account(request.actor)
    present = plan_of(account)
    uses = [use_of(request.actor, account, what) for what in ("inboxes", "domains")]
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
