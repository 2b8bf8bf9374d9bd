"""The page about oneself and one's organisation."""

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mpanel.core.pages import PageRequest, signed_in
from tenants import selectors, services
from tenants.forms import ProfileForm


@signed_in
@require_http_methods(["GET", "POST"])
def profile(request: PageRequest) -> HttpResponseBase:
    """The person and the organisation."""
    found = selectors.profile(request.actor)
    form = ProfileForm(
        request.POST or None,
        is_admin=request.actor.is_admin,
        initial={"name": found.name, "tenant_name": found.organisation, "avatar": found.avatar},
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        services.change_profile(
            request.actor,
            name=given["name"],
            tenant_name=given["tenant_name"] or None,
            avatar=given["avatar"],
        )
        messages.success(request, "Saved.")
        return redirect("settings-profile")
    context = {
        "form": form,
        "profile": found,
        "section": "settings",
        "tab": "profile",
        "page_title": "Profile",
        "page_subtitle": "You and your organisation.",
    }
    return render(request, "tenants/profile.html", context, status=422 if form.errors else 200)
