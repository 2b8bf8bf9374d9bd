"""Passwords on their way to a person, and files of mailboxes."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mailboxes import selectors, services
from mailboxes.csvfiles import CredentialRow, credentials_csv, import_files
from mailboxes.forms import RevealForm
from mailboxes.models import Mailbox
from mailboxes.vendors import mail_provider_of
from mailboxes.views.lists import uuid_or_none
from mailboxes.views.one import mailbox_page
from mailservers.vendors import logins_of
from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.pages import PageRequest, confirmed, signed_in
from mpanel.core.places import require_POST


@signed_in
@require_http_methods(["GET", "POST"])
def mailbox_reveal(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Reveal one password: send a code (POST without one), then take it."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    form = RevealForm(request.POST if "code" in request.POST else None)
    if request.method == "POST" and "code" not in request.POST:
        services.ask_to_reveal(request.actor, mailbox_id)
        messages.info(request, f"We sent a code to {request.actor.email}.")
        return redirect("mailbox-reveal", mailbox_id=mailbox_id)
    credential = None
    if form.is_valid():
        try:
            credential = services.reveal_password(
                request.actor, mailbox_id, code=form.cleaned_data["code"]
            )
        except (Invalid, TooManyRequests) as error:
            form.add_error("code", error.message)
    if credential:
        return mailbox_page(request, mailbox, password=credential.password)
    context = {
        "mailbox": mailbox,
        "form": form,
        "section": "mailboxes",
        "page_title": "Reveal the password",
        "page_subtitle": mailbox.address,
        "crumbs": [
            ("Mailboxes", "/mailboxes/"),
            (mailbox.address, f"/mailboxes/{mailbox_id}/"),
        ],
    }
    status = 422 if form.errors else 200
    return render(request, "mailboxes/reveal.html", context, status=status)


@signed_in
@confirmed
@require_POST
def batch_reveal(request: PageRequest, batch_id: UUID) -> HttpResponseBase:
    """Show a batch's credentials, this one time."""
    credentials = services.reveal_batch(request.actor, batch_id)
    batch = selectors.get_batch(request.actor, batch_id)
    context = {
        "batch": batch,
        "credentials": credentials,
        "login": mail_provider_of(credentials[0].mailbox).login_settings(),
        "section": "mailboxes",
        "page_title": "Credentials",
        "page_subtitle": str(batch),
    }
    return render(request, "mailboxes/credentials.html", context)


@signed_in
@require_POST
def batch_csv(request: PageRequest, batch_id: UUID) -> HttpResponseBase:
    """A batch's credentials as a file, as a tool imports it; counts as the one reveal."""
    wanted = request.POST.get("format", "")
    if wanted and wanted not in import_files():
        raise Invalid.field("format", "Choose one of the formats offered.")
    credentials = services.reveal_batch(request.actor, batch_id)
    domain = credentials[0].mailbox.domain
    if wanted:
        text = import_files()[wanted](credentials, logins_of([domain.pk]))
        return _download(text, f"{domain.name}-{wanted}.csv")
    rows = [(item.mailbox, item.password) for item in credentials]
    return _csv(rows, hidden=False, name=f"{domain.name}-inboxes.csv")


@signed_in
@require_GET
def mailbox_csv(request: PageRequest) -> HttpResponseBase:
    """All mailboxes (or a domain's) as a file, passwords hidden."""
    domain_id = uuid_or_none(request.GET.get("domain", ""))
    found = selectors.mailboxes(request.actor, domain_id=domain_id)
    return _csv([(box, "") for box in found], hidden=True, name="inboxes.csv")


def _csv(rows: Sequence[tuple[Mailbox, str]], *, hidden: bool, name: str) -> HttpResponse:
    logins = logins_of(box.domain_id for box, _ in rows)
    text = credentials_csv(
        (CredentialRow(box.address, logins[box.domain_id], password) for box, password in rows),
        hidden=hidden,
    )
    return _download(text, name)


def _download(text: str, name: str) -> HttpResponse:
    return HttpResponse(
        text,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
