"""Pages about API keys."""

from collections.abc import Collection
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mpanel.core.actor import IMPLIED
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.pages import (
    PageRequest,
    add_errors,
    confirmed,
    paginate,
    search_text,
    signed_in,
)
from tenants import selectors, services
from tenants.forms import ApiKeyForm

HERE = "/settings/keys/"

# What a new key is tried with: the first of these that its scopes allow.
EXAMPLES = {
    "domains:read": "/api/v1/domains",
    "mailboxes:read": "/api/v1/infrastructure/inboxes",
    "account:read": "/api/v1/profile",
    "jobs:read": "/api/jobs",
    "webhooks:read": "/api/v1/webhooks",
    "audit:read": "/api/audit",
    "operator": "/api/tenants",
}


def example_path(scopes: Collection[str]) -> str:
    """A path that a key with these scopes may read."""
    given = set(scopes)
    return next(
        path
        for scope, path in EXAMPLES.items()
        if given & {scope, *IMPLIED.get(scope, frozenset())}
    )


@signed_in
@require_GET
def key_list(request: PageRequest) -> HttpResponseBase:
    """The keys that are not revoked; searched, paged."""
    search = search_text(request)
    context = {
        "page": paginate(request, selectors.api_keys(request.actor, search=search)),
        "q": search,
        "section": "settings",
        "tab": "keys",
        "page_title": "API keys",
        "page_subtitle": "Each lets a program act for you over the JSON API, within limits.",
    }
    return render(request, "tenants/key_list.html", context)


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def key_new(request: PageRequest) -> HttpResponseBase:
    """Make a key, and show it this one time."""
    form = ApiKeyForm(request.POST or None, is_operator=request.actor.is_operator)
    if request.method == "POST" and form.is_valid():
        try:
            return _made(request, services.create_api_key(request.actor, **form.values()))
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            form.add_error(None, error.message)
    context = {
        "form": form,
        "section": "settings",
        "tab": "keys",
        "page_title": "New API key",
        "page_subtitle": "It acts as you, and can never do more than you may.",
        "crumbs": [("API keys", HERE)],
    }
    return render(request, "tenants/key_new.html", context, status=422 if form.errors else 200)


def _made(request: PageRequest, made: services.NewKey) -> HttpResponse:
    context = {
        "made": made,
        "url": f"{settings.SITE_URL}{example_path(made.key.scopes)}",
        "section": "settings",
        "tab": "keys",
        "page_title": "Your new API key",
        "crumbs": [("API keys", HERE)],
    }
    return render(request, "tenants/key_made.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def key_revoke(request: PageRequest, key_id: UUID) -> HttpResponseBase:
    """Make a key useless, after a second question."""
    key = selectors.get_api_key(request.actor, key_id)
    if request.method == "POST":
        services.revoke_api_key(request.actor, key_id)
        messages.success(request, f"Revoked “{key}”.")
        return redirect("settings-keys")
    context = {
        "title": f"Revoke “{key}”?",
        "text": f"Whatever uses the key mpk_{key.prefix}… is refused at once. This cannot be "
        "undone; a new key can take its place.",
        "confirm_label": "Revoke",
        "cancel_url": HERE,
        "tone": "danger",
        "section": "settings",
    }
    return render(request, "components/confirm_page.html", context)
