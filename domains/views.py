"""Pages about domains: the list, and what can be done to one."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from domains import selectors, services
from domains.forms import DomainForm
from domains.models import Domain
from mpanel.core import troubles
from mpanel.core.api.waiting import outside
from mpanel.core.pages import PageRequest, paginate, safe_next, search_text, signed_in
from mpanel.core.places import require_POST
from mpanel.core.typednames import TypedNameForm


@signed_in
@require_GET
def domain_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's domains; searched, filtered, paged."""
    search, status = search_text(request), request.GET.get("status", "")
    named, trouble = troubles.asked(Domain, status)
    found = selectors.domains(request.actor, search=search, status=named).filter(trouble)
    page = paginate(request, troubles.marked(found))
    context = {
        "page": page,
        "q": search,
        "status": status,
        "statuses": Domain.STATUSES,
        "troubles": troubles.choices(Domain, status),
        "section": "domains",
        "page_title": "Domains",
        "page_subtitle": "Each with how far its e-mail setup is.",
    }
    template = "domains/domain_list.html"
    return render(request, f"{template}#rows" if request.htmx else template, context)


@signed_in
@require_http_methods(["GET", "POST"])
def domain_edit(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Change registrar and notes."""
    domain = selectors.get_domain(request.actor, domain_id)
    form = DomainForm(
        request.POST or None, initial={"provider": domain.registrar, "notes": domain.notes}
    )
    if request.method == "POST" and form.is_valid():
        services.change_domain(
            request.actor,
            domain_id,
            registrar=form.cleaned_data["provider"],
            notes=form.cleaned_data["notes"],
        )
        messages.success(request, "Saved.")
        return redirect("domain-detail", domain_id=domain_id)
    context = {
        "form": form,
        "domain": domain,
        "section": "domains",
        "page_title": f"Edit {domain}",
        "crumbs": [("Domains", "/domains/"), (str(domain), f"/domains/{domain_id}/")],
    }
    return render(request, "domains/domain_edit.html", context, status=422 if form.errors else 200)


@signed_in
@require_POST
def domain_check(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Look at the delegation now."""
    services.check_nameservers_now(request.actor, domain_id)
    messages.info(request, "Looking at the nameservers now.")
    return redirect(safe_next(request, f"/domains/{domain_id}/"))


@signed_in
@require_http_methods(["GET", "POST"])
def domain_disconnect(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Disconnect a domain, after a second question."""
    domain = selectors.get_domain(request.actor, domain_id)
    if request.method == "POST":
        services.require_may_leave(request.actor, domain)
    with outside(request.actor.tenant_id):
        found = services.departure_of(request.actor, domain_id)
    typed = TypedNameForm(
        domain.typed_names, digest=found.digest, losses=found.losses, given=request
    )
    if request.method == "POST" and typed.is_agreed:
        given = str(typed.data.get("confirmation", ""))
        job = services.disconnect_domain(request.actor, domain_id, confirmation=given)
        messages.success(request, f"{domain} is being disconnected.")
        return redirect("job-detail", job_id=job.pk)
    context = {
        "title": f"Disconnect {domain}?",
        "text": "The zone that we made is deleted at your DNS provider with all its records; "
        "in a zone that was there before us, only our records go. Point the domain's "
        "nameservers elsewhere first if it is in use. The domain itself stays registered.",
        "confirm_label": "Disconnect",
        "cancel_url": f"/domains/{domain_id}/",
        "tone": "danger",
        "typed": typed,
        "section": "domains",
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "components/confirm_page.html", context, status=status)
