"""Pages about provider credentials."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mpanel.core import registry, troubles
from mpanel.core.errors import Invalid, NotFound
from mpanel.core.pages import PageRequest, add_errors, confirmed, safe_next, signed_in
from tenants import selectors, services
from tenants.forms import CredentialForm
from tenants.models import ProviderCredential


@signed_in
@require_GET
def credential_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's credentials, each with what its last test said."""
    status = request.GET.get("status", "")
    _, trouble = troubles.asked(ProviderCredential, status)
    context = {
        "credentials": selectors.credentials(request.actor).filter(trouble),
        "status": status,
        "troubles": troubles.choices(ProviderCredential, status, with_statuses=True),
        "section": "credentials",
        "page_title": "Provider credentials",
        "page_subtitle": "What lets mPanel act for you at your providers. Secrets are encrypted "
        "and never shown again.",
    }
    return render(request, "tenants/credential_list.html", context)


@signed_in
@require_GET
def credential_add(request: PageRequest) -> HttpResponseBase:
    """Choose a provider."""
    providers = [
        {"port": port, "key": key, "label": cls.label, "fields": cls.credential_fields}
        for (port, key), cls in registry.offered().items()
        if cls.credential_fields
    ]
    if len(providers) == 1:
        only = providers[0]
        return redirect("credential-new", port=only["port"], provider=only["key"])
    context = {"providers": providers, "section": "credentials", "page_title": "Add a credential"}
    return render(request, "tenants/credential_add.html", context)


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def credential_new(request: PageRequest, port: str, provider: str) -> HttpResponseBase:
    """Add a credential for one provider, and test it."""
    cls = registry.offered().get((port, provider))
    if cls is None:
        raise NotFound
    form = CredentialForm(request.POST or None, provider=cls, initial={"label": cls.label})
    if request.method == "POST" and form.is_valid():
        try:
            credential = services.add_credential(
                request.actor,
                port=port,
                provider=provider,
                label=form.cleaned_data["label"],
                values=form.provider_values(),
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            services.start_test(request.actor, credential.pk)
            messages.success(request, "Added. We are testing the connection now.")
            return redirect(safe_next(request, "/credentials/"))
    context = {
        "form": form,
        "provider": cls,
        "next": safe_next(request, ""),
        "section": "credentials",
        "page_title": f"Add {cls.label}",
        "crumbs": [("Credentials", "/credentials/")],
    }
    return render(
        request, "tenants/credential_form.html", context, status=422 if form.errors else 200
    )


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def credential_edit(request: PageRequest, credential_id: UUID) -> HttpResponseBase:
    """Change a credential; a secret left empty stays while nothing else changes."""
    credential = services.get_own_credential(request.actor, credential_id)
    cls = registry.get(credential.port, credential.provider)
    form = CredentialForm(
        request.POST or None,
        provider=cls,
        kept=True,
        initial={"label": credential.label, **credential.public},
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.change_credential(
                request.actor,
                credential_id,
                label=form.cleaned_data["label"],
                values=form.provider_values(),
            )
        except Invalid as error:
            add_errors(form, error)
        else:
            services.start_test(request.actor, credential_id)
            messages.success(request, "Saved. We are testing the connection now.")
            return redirect("credential-list")
    context = {
        "form": form,
        "provider": cls,
        "credential": credential,
        "section": "credentials",
        "page_title": credential.label,
        "crumbs": [("Credentials", "/credentials/")],
    }
    return render(
        request, "tenants/credential_form.html", context, status=422 if form.errors else 200
    )


@signed_in
@require_http_methods(["GET", "POST"])
def credential_test(request: PageRequest, credential_id: UUID) -> HttpResponseBase:
    """Ask the provider now (POST); how the test stands (GET, for polling)."""
    if request.method == "POST":
        credential = services.start_test(request.actor, credential_id)
    else:
        credential = selectors.get_credential(request.actor, credential_id)
    if not request.htmx:
        return redirect("credential-list")
    return render(request, "tenants/credential_list.html#result", {"credential": credential})


@signed_in
@require_http_methods(["GET", "POST"])
def credential_delete(request: PageRequest, credential_id: UUID) -> HttpResponseBase:
    """Forget a credential, after a second question."""
    credential = services.get_own_credential(request.actor, credential_id)
    if request.method == "POST":
        services.remove_credential(request.actor, credential_id)
        messages.success(request, f"Removed “{credential}”.")
        return redirect("credential-list")
    context = {
        "title": f"Remove “{credential}”?",
        "text": "mPanel forgets it and can no longer act for you there. Nothing is changed at "
        "the provider.",
        "confirm_label": "Remove",
        "cancel_url": "/credentials/",
        "tone": "danger",
        "section": "credentials",
    }
    return render(request, "components/confirm_page.html", context)
