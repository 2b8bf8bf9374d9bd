"""The page that asks whether a DKIM key shall be replaced."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from dnszones.dkim.rotation import rotate_dkim
from domains.selectors import get_domain
from mpanel.core.pages import PageRequest, signed_in


@signed_in
@require_http_methods(["GET", "POST"])
def dkim_rotate(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Replace a domain's DKIM key, after a second question."""
    if request.method == "POST":
        rotate_dkim(request.actor, domain_id)
        messages.info(request, "The next key is being published.")
        return redirect("zone-records", domain_id=domain_id)
    domain = get_domain(request.actor, domain_id)
    context = {
        "title": f"Replace the DKIM key of {domain}?",
        "text": "A new key is published first, and mail is signed with it once every server shows "
        "it. The present key stays published for some days, so that mail on its way still "
        "verifies, and goes then. There is nothing that you must do.",
        "confirm_label": "Rotate now",
        "cancel_url": f"/domains/{domain_id}/records/",
        "section": "domains",
        "page_title": "Replace the DKIM key",
        "page_subtitle": str(domain),
    }
    return render(request, "components/confirm_page.html", context)
