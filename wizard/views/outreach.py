"""Step 6: the inboxes go to an outreach tool, with warm-up and into campaigns; or are kept."""

from collections import Counter
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from domains.models import Domain
from domains.selectors import get_domain
from mailboxes import selectors as mail
from mpanel.core.api.waiting import outside
from mpanel.core.errors import Conflict, Invalid, ProviderError, TooManyRequests
from mpanel.core.pages import PageRequest, add_errors, signed_in
from outreach import selectors, services
from outreach.forms import CampaignForm, ConnectForm
from outreach.models import OutreachLink
from outreach.vendors import tool, tools
from wizard.steps import next_step, reached
from wizard.views.page import step_page

MOVING = (OutreachLink.CONNECTING, OutreachLink.DISCONNECTING)


@signed_in
@require_http_methods(["GET", "POST"])
def outreach(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Connect the domain's inboxes, and watch each one arrive."""
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.PROVISIONED):
        return redirect(next_step(found))
    form = ConnectForm(
        request.POST or None, credentials=list(selectors.outreach_credentials(request.actor))
    )
    if request.method == "POST" and form.is_valid():
        waiting = selectors.connectable(request.actor).filter(domain=found)
        try:
            services.connect_mailboxes(
                request.actor,
                list(waiting.values_list("pk", flat=True)),
                credential_id=UUID(form.cleaned_data["credential"]),
                warmup=form.warmup(),
            )
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            form.add_error(None, error.message)
        else:
            return redirect("setup-outreach", domain_id=domain_id)
    return _step(request, found, form=form)


@signed_in
@require_http_methods(["GET", "POST"])
def campaigns(request: PageRequest, domain_id: UUID, provider: str) -> HttpResponseBase:
    """The campaigns of a tool, read from it now; and joining one with all connected inboxes."""
    found = get_domain(request.actor, domain_id)
    connected = [
        link
        for link in selectors.links_of_domain(request.actor, found)
        if (link.status, link.provider) == (OutreachLink.CONNECTED, provider)
    ]
    if not connected:
        return redirect("setup-outreach", domain_id=domain_id)
    connected = [link for link in connected if _is_own(link)] or connected
    # A campaign is of one account, so these are the inboxes that can join.
    account = connected[0].credential_id
    connected = [link for link in connected if link.credential_id == account]
    shown: dict[str, Any] = {"provider": provider, "label": tool(provider).label, "problem": ""}
    try:
        with outside(request.actor.tenant_id):
            listed = services.read_campaigns(
                request.actor, provider=provider, credential_id=account
            )
    except (ProviderError, Conflict, TooManyRequests) as error:
        return _step(request, found, campaigns={**shown, "problem": error.message})
    form = CampaignForm(request.POST or None, campaigns=listed)
    if request.method == "POST" and form.is_valid():
        chosen = next(one for one in listed if one.id == form.cleaned_data["campaign"])
        ids = [link.mailbox_id for link in connected]
        services.assign_campaign(request.actor, ids, chosen, provider=provider)
        messages.success(request, f"The inboxes are joining “{chosen.name}”.")
        return redirect("setup-outreach", domain_id=domain_id)
    return _step(request, found, campaigns={**shown, "form": form, "number": len(connected)})


def _is_own(link: OutreachLink) -> bool:
    """Whether it is at an account of the customer's, whose campaigns it may join."""
    return link.credential is not None and not link.credential.is_included


def _step(
    request: PageRequest,
    found: Domain,
    *,
    form: Form | None = None,
    campaigns: dict[str, Any] | None = None,
) -> HttpResponse:
    actor = request.actor
    links = selectors.links_of_domain(actor, found)
    counts = Counter(link.status for link in links)
    number = mail.mailboxes(actor, domain_id=found.pk).count()
    is_moving = any(link.status in MOVING for link in links)
    seats = any(seat.joined_at is None for link in links for seat in link.seats.all())
    connected = [link for link in links if link.status == OutreachLink.CONNECTED]
    own = sorted({link.provider for link in connected if _is_own(link)})
    context = {
        "domain": found,
        "batches": mail.batches(actor, domain_id=found.pk),
        "number": number,
        "links": [(link, tool(link.provider).label) for link in links],
        "counts": counts,
        "waiting": is_moving or seats,
        "open_number": selectors.connectable(actor).filter(domain=found).count(),
        "form": form or ConnectForm(credentials=list(selectors.outreach_credentials(actor))),
        "tools": {key: cls.label for key, cls in tools().items()},
        "return_to": f"/setup/{found.pk}/outreach/",
        "has_connected": bool(connected),
        "own_tools": [(key, tool(key).label) for key in own],
        "campaigns": campaigns,
        **step_page(
            found,
            "outreach",
            "Outreach",
            "Hand the inboxes to the tool that sends from them, with warm-up.",
        ),
    }
    template = "wizard/outreach.html"
    if request.htmx and request.method == "GET":
        template = f"{template}#{'campaigns' if campaigns else 'live'}"
    has_errors = bool(form and form.errors) or bool(
        campaigns and campaigns.get("form") and campaigns["form"].errors
    )
    return render(request, template, context, status=422 if has_errors else 200)
