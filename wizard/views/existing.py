"""Within step 2: what the domain publishes now is taken over, before its nameservers are shown."""

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from dnszones.discovery import selectors, services
from dnszones.discovery.found import SOURCES, Found
from dnszones.discovery.losses import losses_now
from dnszones.models import ZoneDiscovery
from dnszones.zones.forms import ZoneFileForm
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.errors import Conflict, Invalid, TooLarge
from mpanel.core.pages import PageRequest, add_errors, signed_in
from mpanel.core.places import require_POST
from mpanel.core.typednames import TypedNameForm
from wizard.views.page import step_page

MOST_SHOWN = 1_000  # records that can be left out one by one; the others are taken over


def existing_records(domain: Domain) -> dict[str, Any]:
    """What step 2 shows of a domain's existing records."""
    row = selectors.discovery_of(domain)
    found = selectors.records_found(row) if row else []
    shown = found[:MOST_SHOWN]
    return {
        "discovery": row,
        "is_busy": row is None or row.status in ZoneDiscovery.BUSY,
        "groups": _by_name(shown),
        "found_count": len(found),
        "more_count": len(found) - len(shown),
        "unwanted": row.unwanted if row else [],
        "left_out": [why for _, _, why in row.left_out] if row else [],
        "comparison": selectors.comparison_of(row) if row else None,
        "has_conflicts": bool(row and selectors.conflict_ids(row)),
        "sources": SOURCES,
    }


@signed_in
@require_POST
def existing_take(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Take over what was found, but for what was unticked."""
    shown, wanted = request.POST.getlist("shown"), set(request.POST.getlist("take"))
    services.take_over(
        request.actor,
        domain_id,
        unwanted=[one for one in shown if one not in wanted],
        overwrite=request.POST.get("overwrite") == "yes",
    )
    return redirect("setup-nameservers", domain_id=domain_id)


@signed_in
@require_http_methods(["GET", "POST"])
def existing_look(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Look again; with a zone file, for what that names, too."""
    found = get_domain(request.actor, domain_id)
    if request.POST.get("plain") == "yes":
        services.look_again(request.actor, domain_id)
        return redirect("setup-nameservers", domain_id=domain_id)
    form = ZoneFileForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    if request.method == "POST" and form.is_valid():
        try:
            text = form.cleaned_data["zone_file"]
            given = services.read_zone_file(request.actor, domain_id, text)
            services.look_again(request.actor, domain_id, given=given)
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, TooLarge) as error:
            form.add_error(None, error.message)
        else:
            return redirect("setup-nameservers", domain_id=domain_id)
    context = {
        "domain": found,
        "form": form,
        **step_page(
            found,
            "nameservers",
            "Upload the zone file",
            "Export it at your present DNS provider: it has every name.",
        ),
    }
    return render(request, "wizard/existing_file.html", context, status=422 if form.errors else 200)


@signed_in
@require_POST
def existing_compare(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Ask old and new nameservers once more."""
    services.compare_again(request.actor, domain_id)
    return redirect("setup-nameservers", domain_id=domain_id)


@signed_in
@require_http_methods(["GET", "POST"])
def existing_skip(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """The second question: what goes dark, and the domain's name to be typed."""
    found = get_domain(request.actor, domain_id)
    row = selectors.get_discovery(request.actor, domain_id)
    if row.status in ZoneDiscovery.DONE or row.status in ZoneDiscovery.BUSY:
        return redirect("setup-nameservers", domain_id=domain_id)
    losses, digest = losses_now(row)
    typed = TypedNameForm(found.typed_names, digest=digest, losses=losses, given=request)
    if request.method == "POST" and typed.is_agreed:
        services.go_on_without(request.actor, domain_id, confirmation=digest)
        return redirect("setup-nameservers", domain_id=domain_id)
    context = {
        "domain": found,
        "typed": typed,
        **step_page(found, "nameservers", "Continue without them?", ""),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "wizard/existing_skip.html", context, status=status)


def _by_name(found: list[Found]) -> list[tuple[str, list[Found]]]:
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.record.name, []).append(one)
    return list(groups.items())
