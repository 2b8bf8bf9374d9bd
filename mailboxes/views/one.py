"""Pages about one mailbox."""

from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from events.selectors import trail
from mailboxes import selectors, services
from mailboxes.cards import cards_of_ours, mailbox_cards
from mailboxes.forms import AliasForm, PasswordForm, QuotaForm
from mailboxes.logins.selectors import guesses_at
from mailboxes.models import Mailbox
from mailboxes.vendors import is_ours
from mailboxes.views.lists import ask_to_delete
from mailservers.vendors import provider_of_domain
from mpanel.core.errors import Conflict, Invalid, TooManyRequests
from mpanel.core.pages import PageRequest, add_errors, safe_next, signed_in
from mpanel.core.places import require_POST
from tenants.services.codes import CodeRefused


@signed_in
@require_GET
def mailbox_detail(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """One mailbox: its settings, its state, its trail."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    return mailbox_page(request, mailbox)


@signed_in
@require_POST
def mailbox_suspend(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Stop login and sending."""
    mailbox = services.suspend_mailbox(request.actor, mailbox_id)
    messages.success(request, f"{mailbox} can no longer log in or send. Mail still arrives.")
    return redirect(safe_next(request, f"/mailboxes/{mailbox_id}/"))


@signed_in
@require_POST
def mailbox_activate(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Undo a suspension."""
    mailbox = services.activate_mailbox(request.actor, mailbox_id)
    messages.success(request, f"{mailbox} works again.")
    return redirect(safe_next(request, f"/mailboxes/{mailbox_id}/"))


@signed_in
@require_POST
def mailbox_retry(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Prove a failed mailbox again."""
    mailbox = services.retry_mailbox(request.actor, mailbox_id)
    messages.success(request, f"Trying {mailbox} again.")
    return redirect(safe_next(request, f"/mailboxes/{mailbox_id}/"))


@signed_in
@require_http_methods(["GET", "POST"])
def mailbox_delete(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Delete one mailbox, after a second question."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    if request.method == "POST":
        services.delete_mailboxes(request.actor, [mailbox.pk])
        messages.success(request, f"{mailbox} is being deleted.")
        return redirect("mailbox-list")
    return ask_to_delete(request, [mailbox], f"/mailboxes/{mailbox_id}/")


@signed_in
@require_http_methods(["GET", "POST"])
def mailbox_password(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Set another password, given or made, for a fresh code, and show it this one time."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    if "send-code" in request.POST:
        services.ask_to_reveal(request.actor, mailbox_id)
        messages.info(request, f"We sent a code to {request.actor.email}.")
        return redirect("mailbox-password", mailbox_id=mailbox_id)
    form = PasswordForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            made = services.change_password_by_code(request.actor, mailbox_id, **form.cleaned_data)
        except (CodeRefused, TooManyRequests) as error:
            form.add_error("code", error.message)
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "The old password no longer works.")
            return mailbox_page(request, made.mailbox, password=made.password)
    context = {
        "mailbox": mailbox,
        "form": form,
        "section": "mailboxes",
        "page_title": "Change the password",
        "page_subtitle": mailbox.address,
        "crumbs": [("Mailboxes", "/mailboxes/"), (mailbox.address, f"/mailboxes/{mailbox_id}/")],
    }
    status = 422 if form.errors else 200
    return render(request, "mailboxes/mailbox_password.html", context, status=status)


@signed_in
@require_POST
def mailbox_quota(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """How much mail it may hold."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    form = QuotaForm(request.POST)
    if form.is_valid():
        services.set_quota(request.actor, mailbox_id, **form.cleaned_data)
        messages.success(request, f"{mailbox} may hold {form.cleaned_data['quota_mb']:,} MB.")
        return redirect("mailbox-detail", mailbox_id=mailbox_id)
    return mailbox_page(request, mailbox, quota_form=form)


@signed_in
@require_POST
def alias_add(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """A further address of a mailbox."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    form = AliasForm(request.POST)
    if form.is_valid():
        try:
            made = services.create_alias(request.actor, mailbox_id, **form.cleaned_data)
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            form.add_error("local_part", error.message)
        else:
            messages.success(request, f"Mail for {made.wanted_mail} arrives in {mailbox}.")
            return redirect("mailbox-detail", mailbox_id=mailbox_id)
    return mailbox_page(request, mailbox, alias_form=form)


def mailbox_page(
    request: PageRequest,
    mailbox: Mailbox,
    *,
    password: str = "",
    quota_form: Form | None = None,
    alias_form: Form | None = None,
) -> HttpResponse:
    """The mailbox's page, perhaps with a password or a form to be corrected."""
    subjects = [mailbox.pk, *([mailbox.batch_id] if mailbox.batch_id else [])]
    place = selectors.place_of(request.actor, mailbox.domain_id)
    provider = provider_of_domain(place)
    context = {
        "mailbox": mailbox,
        "password": password,
        "place": place,
        "provider": provider,
        "login": provider.login_settings(),
        "measures": provider.meter is not None,
        "cards_of_ours": cards_of_ours(request.actor, mailbox),
        "is_ours": is_ours(mailbox),
        "guesses": guesses_at(request.actor, mailbox.pk),
        "rules": selectors.rules_of(request.actor, mailbox),
        "aliases": selectors.aliases(request.actor, mailbox_id=mailbox.pk),
        "quota_form": quota_form or QuotaForm(initial={"quota_mb": mailbox.quota_mb}),
        "alias_form": alias_form or AliasForm(),
        "cards": mailbox_cards(request.actor, mailbox),
        "events": trail(request.actor, subject_ids=subjects)[:20],
        "section": "mailboxes",
        "page_title": mailbox.address,
        "page_subtitle": mailbox.name,
        "crumbs": [("Mailboxes", "/mailboxes/")],
    }
    status = 422 if any(form and form.errors for form in (quota_form, alias_form)) else 200
    return render(request, "mailboxes/mailbox_detail.html", context, status=status)
