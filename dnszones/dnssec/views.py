"""Pages about a domain's DNSSEC."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from dnszones.dnssec import services as dnssec
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.losses import ConfirmationRequired
from mpanel.core.pages import PageRequest, signed_in
from mpanel.core.places import require_POST
from mpanel.core.typednames import FIELD, TypedNameForm


@signed_in
@require_http_methods(["GET", "POST"])
def domain_dnssec(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """How a domain's DNSSEC stands (GET); turn it on (POST)."""
    if request.method == "POST":
        dnssec.turn_on_dnssec(request.actor, domain_id)
        messages.info(request, "The zone is being signed.")
        return redirect("domain-dnssec", domain_id=domain_id)
    domain = get_domain(request.actor, domain_id)
    context = {"report": dnssec.dnssec_of_domain(domain), **_frame(domain, "DNSSEC")}
    template = "dnszones/domain_dnssec.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_POST
def dnssec_check(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Ask the parent zone now."""
    dnssec.check_parent_now(request.actor, domain_id)
    messages.info(request, "Asked the parent zone.")
    return redirect("domain-dnssec", domain_id=domain_id)


@signed_in
@require_http_methods(["GET", "POST"])
def dnssec_off(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Turn it off, after a second question; after a third one while the parent has its DS."""
    domain = get_domain(request.actor, domain_id)
    refusal, typed = "", None
    if request.method == "POST":
        forced = FIELD in request.POST
        given = request.POST.get("confirmation", "") if _has_typed(request, domain) else ""
        try:
            dnssec.turn_off_dnssec(request.actor, domain_id, forced=forced, confirmation=given)
        except (dnssec.DsAtParent, dnssec.ParentSilent) as error:
            refusal = error.message
            typed = _typed_unsigned(request, domain)
        except ConfirmationRequired:
            typed = _typed_unsigned(request, domain)
        else:
            messages.info(request, "The signatures are being removed.")
            return redirect("domain-dnssec", domain_id=domain_id)
    context: dict[str, Any] = {
        "title": f"Turn off DNSSEC for {domain}?",
        "text": refusal
        or "Remove the DS record at your registrar first, and wait until it is gone everywhere. "
        "While the parent zone has it, resolvers that validate refuse a zone that is not signed: "
        "mail and web sites of the domain would not be reached.",
        "confirm_label": "Turn off",
        "cancel_url": f"/domains/{domain_id}/dnssec/",
        "tone": "danger",
        "typed": typed,
        **_frame(domain, "Turn off DNSSEC"),
    }
    return render(request, "components/confirm_page.html", context, status=409 if typed else 200)


def _typed_unsigned(request: PageRequest, domain: Domain) -> TypedNameForm:
    """The third question: what the parent zone said a moment ago means for the domain."""
    losses, digest = dnssec.lost_unsigned(domain, dnssec.last_seen_at_parent(domain))
    return TypedNameForm(domain.typed_names, digest=digest, losses=losses, given=request)


def _has_typed(request: PageRequest, domain: Domain) -> bool:
    """Whether the name was typed; what was shown is compared by the service."""
    given = request.POST.get("confirmation", "")
    return TypedNameForm(domain.typed_names, digest=given, given=request).is_valid()


def _frame(domain: Domain, title: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "section": "domains",
        "page_title": title,
        "page_subtitle": str(domain),
        "crumbs": [("Domains", "/domains/"), (str(domain), f"/domains/{domain.pk}/")],
    }
