"""The front page, and how everything stands."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.selectors import get_account
from billing.services import plan_of
from domains.selectors import domains as domains_of
from events.selectors import trail
from mailboxes import selectors as mail
from mailboxes.models import Mailbox
from mpanel.core.pages import PageRequest, signed_in
from mpanel.core.troubles import found_by, marked
from provisioning.selectors import jobs
from wizard.steps import next_step


def home(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return render(request, "home.html", {"page_title": "mPanel"})


@signed_in
@require_GET
def overview(request: PageRequest) -> HttpResponseBase:
    """How everything stands, and what to do next."""
    account = get_account(request.actor)
    plan = plan_of(account)
    counts = mail.status_counts(request.actor)
    found = list(marked(domains_of(request.actor)))
    context = {
        "domains": [(item, next_step(item)) for item in found[:8]],
        "domain_count": len(found),
        "inboxes": sum(counts.values()),
        "active": sum(counts[status] for status in Mailbox.WORKING),
        "findings": found_by(request.actor),
        "account": account,
        "plan": plan,
        "jobs": jobs(request.actor)[:5],
        "running": jobs(request.actor, status="active").count(),
        # One line for a batch says more here than one for each of its inboxes.
        "events": trail(request.actor, but=["mailbox.created"])[:8],
        "section": "overview",
        "page_title": "Overview",
    }
    return render(request, "wizard/overview.html", context)
