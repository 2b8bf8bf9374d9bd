"""Pages about a domain's mail: where it is handled, its catch-all and its aliases."""

from urllib.parse import quote
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from domains.selectors import get_domain
from mailboxes import selectors, services
from mailboxes.cards import domain_cards
from mailboxes.forms import AttachForm, DomainAliasForm, RegionForm
from mailboxes.maildomains import (
    OUR_SERVER,
    attach_mail,
    attachment_of,
    platform_in_force,
)
from mailservers import selectors as server_selectors
from mailservers.vendors import provider_of_domain
from mpanel.core.errors import Conflict, Invalid, NotFound
from mpanel.core.pages import PageRequest, add_errors, paginate, safe_next, search_text, signed_in
from mpanel.core.places import require_POST

SUGGESTED = 50  # mailboxes in the list that a browser offers while one types


@signed_in
@require_GET
def domain_mail(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Where the domain's mail is handled, who takes what nobody else has, and the aliases."""
    return _page(request, domain_id)


@signed_in
@require_POST
def domain_alias_add(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """A further address of one of the domain's mailboxes, or a catch-all."""
    form = DomainAliasForm(request.POST)
    if form.is_valid():
        try:
            mailbox = selectors.mailbox_called(
                request.actor, form.cleaned_data["mailbox"], domain_id=domain_id
            )
            made = services.create_alias(
                request.actor, mailbox.pk, local_part=form.cleaned_data["local_part"]
            )
        except Invalid as error:
            add_errors(form, error)
        except NotFound as error:
            form.add_error("mailbox", error.message)
        except Conflict as error:
            form.add_error("local_part", error.message)
        else:
            messages.success(request, f"Mail for {made.wanted_mail} arrives in {mailbox}.")
            return redirect("domain-mail", domain_id=domain_id)
    return _page(request, domain_id, form=form)


@signed_in
@require_POST
def domain_attach(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Attach the domain's mail to the vendor to which its records lead, or try that again."""
    form = AttachForm(request.POST)
    given = form.cleaned_data if form.is_valid() else {}
    try:
        attach_mail(
            request.actor,
            domain_id,
            provider=given.get("provider", ""),
            credential_id=given.get("credential"),
        )
    except (Invalid, Conflict) as error:
        messages.error(request, error.message)
    return redirect(safe_next(request, f"/mailboxes/domains/{domain_id}/"))


@signed_in
@require_POST
def domain_region(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Place the domain's mail in another region, while it has no mailboxes."""
    domain = get_domain(request.actor, domain_id)
    attach_mail(request.actor, domain_id, region=request.POST.get("region", ""))
    messages.success(request, f"New mailboxes of {domain} will be created there.")
    return redirect(safe_next(request, f"/mailboxes/domains/{domain_id}/"))


@signed_in
@require_http_methods(["GET", "POST"])
def alias_delete(request: PageRequest, alias_id: UUID) -> HttpResponseBase:
    """Take an alias away, after a second question."""
    alias = selectors.get_alias(request.actor, alias_id)
    here = safe_next(request, f"/mailboxes/{alias.mailbox_id}/")
    if request.method == "POST":
        services.delete_alias(request.actor, alias_id)
        messages.success(
            request, f"Mail for {alias.wanted_mail} no longer arrives in {alias.mailbox}."
        )
        return redirect(here)
    what = "the catch-all" if alias.is_catch_all else str(alias)
    context = {
        "title": f"Take {what} away from {alias.mailbox}?",
        "text": "Mail for it is refused from now on, unless the domain has a catch-all."
        if not alias.is_catch_all
        else "Mail for all other addresses is refused from now on, unless another mailbox "
        "takes it.",
        "confirm_label": "Remove",
        "action": f"{request.path}?next={quote(here)}",
        "cancel_url": here,
        "tone": "danger",
        "section": "mailboxes",
    }
    return render(request, "components/confirm_page.html", context)


def _page(request: PageRequest, domain_id: UUID, *, form: Form | None = None) -> HttpResponse:
    domain = get_domain(request.actor, domain_id)
    search = search_text(request)
    place = selectors.place_of(request.actor, domain_id)
    number = selectors.mailboxes(request.actor, domain_id=domain_id).count()
    regions = server_selectors.regions(request.actor, provider=OUR_SERVER)
    found = selectors.aliases(request.actor, domain_id=domain_id)
    here = {"region": place.server.region} if place and place.server else None
    context = {
        "domain": domain,
        "place": place,
        "provider": provider_of_domain(place),
        "attachment": attachment_of(request.actor, domain, place, platform_in_force(domain)),
        "number": number,
        "cards": domain_cards(request.actor, domain, place, number),
        "regions": regions if len(regions) > 1 and not number else [],
        "region_form": RegionForm(regions=regions, initial=here),
        "catch_all": found.filter(local_part=""),
        "page": paginate(
            request,
            selectors.aliases(request.actor, domain_id=domain_id, search=search).exclude(
                local_part=""
            ),
        ),
        "q": search,
        "form": form or DomainAliasForm(initial={"local_part": request.GET.get("alias", "")}),
        "suggested": selectors.mailboxes(request.actor, domain_id=domain_id)[:SUGGESTED],
        "section": "domains",
        "page_title": f"E-mail of {domain}",
        "crumbs": [("Domains", "/domains/"), (str(domain), f"/domains/{domain_id}/")],
    }
    status = 422 if form and form.errors else 200
    return render(request, "mailboxes/domain_mail.html", context, status=status)
