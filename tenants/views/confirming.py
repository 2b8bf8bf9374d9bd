"""The page that takes a fresh code, on the way to what asks for one."""

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.interrupted import tell_what_waits
from mpanel.core.pages import PageRequest, safe_next, signed_in
from tenants import services
from tenants.forms import CodeForm


@signed_in
@require_http_methods(["GET", "POST"])
def confirm(request: PageRequest) -> HttpResponseBase:
    """Send a code (POST without one), take it, and go on."""
    onward = safe_next(request, "/overview/")
    form: CodeForm | None = None
    if "code" in request.POST:
        form = CodeForm(request.POST)
        if form.is_valid():
            try:
                services.confirm_session(request.actor, form.cleaned_data["code"])
            except (Invalid, TooManyRequests) as error:
                form.add_error("code", error.message)
            else:
                tell_what_waits(request)
                return redirect(onward)
    elif request.method == "POST":
        form = CodeForm()
        try:
            services.ask_to_confirm(request.actor)
        except TooManyRequests as error:
            messages.warning(request, error.message)
    elif not request.actor.needs_code:
        tell_what_waits(request)  # it was confirmed in another tab
        return redirect(onward)
    context = {"form": form, "next": onward, "page_title": "Confirm that it is you"}
    status = 422 if form and form.errors else 200
    return render(request, "tenants/confirm.html", context, status=status)
