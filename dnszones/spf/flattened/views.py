"""Pages about a domain's SPF record and its flattening."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from dnszones.spf.flattened import services as flattening
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.pages import PageRequest, signed_in
from mpanel.core.places import require_POST


@signed_in
@require_GET
def domain_spf(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """How a domain's SPF record stands, and what it was made from."""
    domain = get_domain(request.actor, domain_id)
    context = {"report": flattening.spf_report(request.actor, domain_id), **_frame(domain, "SPF")}
    template = "dnszones/domain_spf.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_POST
def spf_check(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Look at the senders now."""
    flattening.check_spf_now(request.actor, domain_id)
    messages.info(request, "Looking at every sender now.")
    return redirect("domain-spf", domain_id=domain_id)


@signed_in
@require_http_methods(["GET", "POST"])
def spf_stop(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Stop flattening, after a second question that names what is published then."""
    domain = get_domain(request.actor, domain_id)
    if request.method == "POST":
        flattening.stop_flattening(request.actor, domain_id)
        messages.info(request, "Flattening is being stopped.")
        return redirect("domain-spf", domain_id=domain_id)
    found = flattening.spf_report(request.actor, domain_id).flattening
    text = "The record's source is published again, and mPanel does not look at its senders."
    if found and found.lookups_before > 10:
        text += (
            f" The source needs {found.lookups_before} DNS lookups; receivers stop at 10 and then "
            "treat the record as broken, so mail may be refused or marked as spam."
        )
    context: dict[str, Any] = {
        "title": f"Stop flattening the SPF record of {domain}?",
        "text": text,
        "confirm_label": "Stop flattening",
        "cancel_url": f"/domains/{domain_id}/spf/",
        "tone": "danger",
        **_frame(domain, "Stop flattening"),
    }
    return render(request, "components/confirm_page.html", context)


def _frame(domain: Domain, title: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "section": "domains",
        "page_title": title,
        "page_subtitle": str(domain),
        "crumbs": [("Domains", "/domains/"), (str(domain), f"/domains/{domain.pk}/")],
    }
