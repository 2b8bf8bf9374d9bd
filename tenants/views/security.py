"""Pages about how a person signs in: password, second factor, sessions, one-time link."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.pages import PageRequest, add_errors, paginate, signed_in
from mpanel.core.places import require_POST
from tenants import browser, selectors, services
from tenants.forms import (
    AuthenticatorForm,
    ChangePasswordForm,
    FirstPasswordForm,
    SecondFactorForm,
)
from tenants.models import User
from tenants.services.codes import CodeRefused

HERE = "/settings/security/"
BY_CODE_TOO = {"page_subtitle": "Signing in by a code to your e-mail address goes on working."}
FRAME = {"section": "settings", "tab": "security", "crumbs": [("Security", HERE)]}


@signed_in
@require_GET
def security(request: PageRequest) -> HttpResponseBase:
    """All of it at a glance, with the sessions that live."""
    context = {
        "has_password": selectors.get_user(request.actor).has_usable_password(),
        "factor": selectors.second_factor(request.actor),
        "page": paginate(request, selectors.sessions(request.actor)),
        "present_id": request.actor.session_id,
        "section": "settings",
        "tab": "security",
        "page_title": "Security",
        "page_subtitle": "How you sign in, and where you are signed in.",
    }
    return render(request, "tenants/security.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def change_password(request: PageRequest) -> HttpResponseBase:
    """Change the password, or set the first one."""
    if not selectors.get_user(request.actor).has_usable_password():
        return _set_password(request)
    form = ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.change_password(
                request.actor,
                present=form.cleaned_data["present"],
                new=form.cleaned_data["new"],
            )
        except (Invalid, TooManyRequests) as error:
            _refuse(form, error, "new")
        else:
            return _password_set(request, user)
    context = {**FRAME, "form": form, **BY_CODE_TOO, "page_title": "Change your password"}
    status = 422 if form.errors else 200
    return render(request, "tenants/change_password.html", context, status=status)


def _set_password(request: PageRequest) -> HttpResponse:
    """Send a code, and take it with the first password."""
    form: FirstPasswordForm | None = None
    if "code" in request.POST:
        form = FirstPasswordForm(request.POST)
        if form.is_valid():
            try:
                user = services.set_first_password(request.actor, **form.cleaned_data)
            except (CodeRefused, TooManyRequests) as error:
                form.add_error("code", error.message)
            except Invalid as error:
                add_errors(form, error)
            else:
                return _password_set(request, user)
    elif request.method == "POST":
        form = FirstPasswordForm()
        try:
            services.ask_to_set_password(request.actor)
        except TooManyRequests as error:
            messages.warning(request, error.message)
    context = {**FRAME, "form": form, **BY_CODE_TOO, "page_title": "Set a password"}
    status = 422 if form and form.errors else 200
    return render(request, "tenants/first_password.html", context, status=status)


def _password_set(request: PageRequest, user: User) -> HttpResponse:
    browser.keep_signed_in(request, user)
    messages.success(request, "Your password is set. Your other sessions have ended.")
    return redirect("settings-security")


@signed_in
@require_http_methods(["GET", "POST"])
def second_factor_on(request: PageRequest) -> HttpResponseBase:
    """Show the secret to an authenticator, take a code of it, and show the recovery codes."""
    form = AuthenticatorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            codes = services.confirm_second_factor(request.actor, form.cleaned_data["code"])
        except Invalid as error:
            add_errors(form, error)
        else:
            return _show(request, codes, "The second factor is on")
    context = {
        **FRAME,
        "form": form,
        "enrolment": services.begin_second_factor(request.actor),
        "page_title": "Turn on the second factor",
        "page_subtitle": "Whoever signs in then needs your authenticator, too.",
    }
    status = 422 if form.errors else 200
    return render(request, "tenants/second_factor_on.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def recovery_codes(request: PageRequest) -> HttpResponseBase:
    """New recovery codes in place of the old ones."""
    if selectors.second_factor(request.actor) is None:
        return redirect("settings-security")
    form = SecondFactorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            codes = services.renew_recovery_codes(request.actor, form.cleaned_data["code"])
        except (Invalid, TooManyRequests) as error:
            _refuse(form, error, "code")
        else:
            return _show(request, codes, "Your new recovery codes")
    context = {
        "title": "Make new recovery codes?",
        "text": "The codes you have now stop working at once.",
        "confirm_label": "Make new codes",
        "cancel_url": HERE,
        "form": form,
        "section": "settings",
    }
    status = 422 if form.errors else 200
    return render(request, "components/confirm_page.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def second_factor_off(request: PageRequest) -> HttpResponseBase:
    """Turn the second factor off, for a code of it."""
    if selectors.second_factor(request.actor) is None:
        return redirect("settings-security")
    form = SecondFactorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.disable_second_factor(request.actor, form.cleaned_data["code"])
        except (Invalid, TooManyRequests) as error:
            _refuse(form, error, "code")
        else:
            messages.success(request, "The second factor is off.")
            return redirect("settings-security")
    context = {
        "title": "Turn off the second factor?",
        "text": "Your password or a code by e-mail is then enough to sign in. Your recovery codes "
        "stop working.",
        "confirm_label": "Turn it off",
        "cancel_url": HERE,
        "tone": "danger",
        "form": form,
        "section": "settings",
    }
    status = 422 if form.errors else 200
    return render(request, "components/confirm_page.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def session_end(request: PageRequest, sign_in_id: UUID) -> HttpResponseBase:
    """End one session, after a second question."""
    session = selectors.get_session(request.actor, sign_in_id)
    if request.method == "POST":
        services.end_session(request.actor, sign_in_id)
        messages.success(request, f"Ended the session of {session}.")
        return redirect("settings-security")
    context = {
        "title": f"End the session of {session}?",
        "text": "Whoever uses it must sign in again.",
        "confirm_label": "End the session",
        "cancel_url": HERE,
        "tone": "danger",
        "section": "settings",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def other_sessions_end(request: PageRequest) -> HttpResponseBase:
    """End all sessions but this one, after a second question."""
    if request.method == "POST":
        ended = services.end_other_sessions(request.actor)
        messages.success(request, f"Ended {ended} other session{'' if ended == 1 else 's'}.")
        return redirect("settings-security")
    context = {
        "title": "End all other sessions?",
        "text": "You stay signed in here. On every other device and in every program that signed "
        "in as you, you must sign in again. API keys go on working.",
        "confirm_label": "End them",
        "cancel_url": HERE,
        "tone": "danger",
        "section": "settings",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_POST
def login_link(request: PageRequest) -> HttpResponseBase:
    """A link that signs this person in on another device, shown only once."""
    context = {
        **FRAME,
        "url": services.make_login_link(request.actor),
        "page_title": "Sign in on another device",
        "page_subtitle": "The link works once, and for 90 seconds from now.",
    }
    return render(request, "tenants/login_link.html", context)


def _show(request: PageRequest, codes: list[str], title: str) -> HttpResponse:
    """The recovery codes, this one time: no cache keeps the answer, and no address leads to it."""
    context = {**FRAME, "codes": codes, "lines": "\n".join(codes), "page_title": title}
    return render(request, "tenants/recovery_codes.html", context)


def _refuse(
    form: ChangePasswordForm | SecondFactorForm, error: Invalid | TooManyRequests, field: str
) -> None:
    if isinstance(error, Invalid):
        add_errors(form, error)
    else:
        form.add_error(field, error.message)
