"""Pages for visitors: signing in by code, by password, by link, with a second factor; and out."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mpanel.core.errors import Gone, Invalid, TooManyRequests, Unauthorized
from mpanel.core.pages import PageRequest, add_errors, safe_next
from mpanel.core.places import require_POST
from tenants import browser, services
from tenants.forms import (
    CodeForm,
    EmailForm,
    NewPasswordForm,
    PasswordSignInForm,
    SecondFactorForm,
)

HOME = "/overview/"


@require_http_methods(["GET", "POST"])
def sign_in(request: PageRequest) -> HttpResponseBase:
    """Ask for an e-mail address and send a code to it."""
    onward = safe_next(request, HOME)
    if request.actor:
        return redirect(onward)
    has_code = False
    form = EmailForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.ask_for_code(form.cleaned_data["email"], **browser.origin(request))
        except TooManyRequests as error:
            form.add_error(None, error.message)
            has_code = True
        # Who gets no further code may enter the newest one in the mailbox.
        email = form.cleaned_data["email"]
        request.session["signing_in"] = {"email": email, "next": onward}
        if not has_code:
            return redirect("sign-in-code")
    status = 422 if form.errors else 200
    context = {"form": form, "next": onward, "has_code": has_code, "page_title": "Sign in"}
    return render(request, "tenants/sign_in.html", context, status=status)


@require_http_methods(["GET", "POST"])
def enter_code(request: PageRequest) -> HttpResponseBase:
    """Take the code, and sign in."""
    pending = request.session.get("signing_in")
    if not pending:
        return redirect("sign-in")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            proved = services.sign_in_by_code(
                pending["email"],
                form.cleaned_data["code"],
                invitation=pending.get("invitation", ""),
                **browser.origin(request),
            )
        except services.SecondFactorRequired as owed:
            return _ask_for_second_factor(request, owed, pending["next"])
        except (Invalid, TooManyRequests) as error:
            form.add_error("code", error.message)
        else:
            browser.sign_in(request, proved.user)
            request.session.pop("signing_in", None)
            return redirect(pending["next"])
    context = {"form": form, "email": pending["email"], "page_title": "Enter the code"}
    return render(request, "tenants/enter_code.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def sign_in_by_password(request: PageRequest) -> HttpResponseBase:
    """Take address and password, and sign in."""
    onward = safe_next(request, HOME)
    if request.actor:
        return redirect(onward)
    form = PasswordSignInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.log_in(**form.cleaned_data, **browser.origin(request))
        except services.SecondFactorRequired as owed:
            return _ask_for_second_factor(request, owed, onward)
        except (Unauthorized, TooManyRequests) as error:
            form.add_error(None, error.message)
        else:
            browser.sign_in(request, user)
            return redirect(onward)
    status = 422 if form.errors else 200
    context = {"form": form, "next": onward, "page_title": "Sign in with a password"}
    return render(request, "tenants/sign_in_password.html", context, status=status)


def _ask_for_second_factor(
    request: PageRequest, owed: services.SecondFactorRequired, onward: str
) -> HttpResponse:
    request.session["second_factor"] = {"proof": owed.proof, "next": onward}
    return redirect("sign-in-second-factor")


@require_http_methods(["GET", "POST"])
def give_second_factor(request: PageRequest) -> HttpResponseBase:
    """Take a code of the authenticator or a recovery code, and sign in."""
    pending = request.session.get("second_factor")
    if not pending:
        return redirect("sign-in")
    form = SecondFactorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.sign_in_by_proof(
                pending["proof"], second_factor=form.cleaned_data["code"], **browser.origin(request)
            )
        except (services.ProofExpired, Invalid) as error:
            del request.session["second_factor"]
            messages.warning(request, error.message)
            return redirect("sign-in")
        except (Unauthorized, TooManyRequests) as error:
            form.add_error("code", error.message)
        else:
            browser.sign_in(request, user)
            for done in ("second_factor", "signing_in"):
                request.session.pop(done, None)
            return redirect(pending["next"])
    status = 422 if form.errors else 200
    context = {"form": form, "page_title": "Second factor"}
    return render(request, "tenants/sign_in_second_factor.html", context, status=status)


@require_http_methods(["GET", "POST"])
def forgot_password(request: PageRequest) -> HttpResponseBase:
    """Send a code that sets a new password."""
    has_code = False
    form = EmailForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.ask_to_reset(form.cleaned_data["email"], **browser.origin(request))
        except TooManyRequests as error:
            form.add_error(None, error.message)
            has_code = True
        request.session["resetting"] = form.cleaned_data["email"]
        if not has_code:
            return redirect("sign-in-reset")
    status = 422 if form.errors else 200
    context = {"form": form, "has_code": has_code, "page_title": "Forgot your password"}
    return render(request, "tenants/forgot_password.html", context, status=status)


@require_http_methods(["GET", "POST"])
def reset_password(request: PageRequest) -> HttpResponseBase:
    """Take the code and a new password."""
    email = request.session.get("resetting")
    if not email:
        return redirect("sign-in-forgot")
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            given = {**form.cleaned_data}
            revokes = given.pop("revoke_api_keys", False)
            reset = services.prepare_reset(email, **given, **browser.origin(request))
            services.reset_password(reset, address=request.address, revoke_api_keys=revokes)
        except (Invalid, TooManyRequests) as error:
            _refuse_reset(form, error)
        else:
            del request.session["resetting"]
            done = {"page_title": "Your new password is set"}
            return render(request, "tenants/password_reset_done.html", done)
    status = 422 if form.errors else 200
    context = {"form": form, "email": email, "page_title": "Set a new password"}
    return render(request, "tenants/reset_password.html", context, status=status)


def _refuse_reset(form: NewPasswordForm, error: Invalid | TooManyRequests) -> None:
    if isinstance(error, Invalid) and error.details:
        add_errors(form, error)
    else:
        form.add_error("code", error.message)


@require_http_methods(["GET", "POST"])
def sign_in_by_link(request: PageRequest, token: str) -> HttpResponseBase:
    """Ask whether to sign in (GET, as mail scanners do too), and use the link up (POST)."""
    try:
        answer = _link_page(request, token) if request.method == "GET" else _use(request, token)
    except Gone as error:
        context = {
            "code": error.status,
            "title": "This link no longer works",
            "message": error.message,
            "action_label": "Sign in",
            "action_url": "/sign-in/",
        }
        answer = render(request, "error.html", context, status=error.status)
    answer.headers["Cache-Control"] = "no-store, private"
    # Not no-referrer: with that, browsers send the form with "Origin: null", which Django's CSRF
    # check refuses. This names our site to nobody but us, and never the token.
    answer.headers["Referrer-Policy"] = "strict-origin"
    return answer


def _link_page(request: PageRequest, token: str) -> HttpResponse:
    context = {"owner": services.check_login_link(token), "page_title": "Sign in on this device?"}
    return render(request, "tenants/sign_in_link.html", context)


def _use(request: PageRequest, token: str) -> HttpResponse:
    user = services.use_login_link(token, address=request.address)
    browser.sign_out(request, request.actor)
    browser.sign_in(request, user, by_link=True)
    return redirect(HOME)


@require_POST
def sign_out(request: PageRequest) -> HttpResponse:
    """End this session."""
    browser.sign_out(request, request.actor)
    return redirect("home")
