"""Pages about mailboxes."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from domains.selectors import domains as domains_of
from events.selectors import trail
from mailboxes import selectors, services
from mailboxes.csvfiles import CredentialRow, credentials_csv
from mailboxes.forms import RevealForm
from mailboxes.models import Mailbox
from mailboxes.vendors import mail_provider
from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.pages import PageRequest, chosen_ids, paginate, safe_next, search_text, signed_in

SHOWN_STATUSES = (
    Mailbox.ACTIVE,
    Mailbox.PROVISIONING,
    Mailbox.FAILED,
    Mailbox.SUSPENDED,
    Mailbox.DELETING,
)


@signed_in
@require_GET
def mailbox_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's mailboxes; searched, filtered, paged."""
    search, status = search_text(request), request.GET.get("status", "")
    domain_id = _uuid(request.GET.get("domain", ""))
    found = selectors.mailboxes(request.actor, search=search, status=status, domain_id=domain_id)
    page = paginate(request, found)
    context = {
        "page": page,
        "q": search,
        "status": status,
        "domain_id": domain_id,
        "domains": domains_of(request.actor),
        "statuses": {key: Mailbox.STATUSES[key] for key in SHOWN_STATUSES},
        "filtered": bool(search or status or domain_id),
        "any_moving": any(box.status in {"provisioning", "deleting"} for box in page),
        "section": "mailboxes",
        "page_title": "Mailboxes",
        "page_subtitle": "Every inbox here was logged in to before it counted as active.",
    }
    template = "mailboxes/mailbox_list.html"
    return render(request, f"{template}#rows" if request.htmx else template, context)


@signed_in
@require_GET
def mailbox_detail(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """One mailbox: its settings, its state, its trail."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    return _mailbox_page(request, mailbox)


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
    return _ask_to_delete(request, [mailbox], f"/mailboxes/{mailbox_id}/")


@signed_in
@require_POST
def mailbox_delete_many(request: PageRequest) -> HttpResponseBase:
    """Delete the ticked mailboxes: first the second question, then the deed."""
    wanted = chosen_ids(request, "mailbox")
    rows = list(selectors.mailboxes(request.actor).filter(pk__in=wanted))
    if not rows:
        messages.info(request, "Tick the mailboxes to delete first.")
        return redirect("mailbox-list")
    if request.POST.get("sure") != "yes":
        return _ask_to_delete(request, rows, "/mailboxes/")
    for domain_id in {row.domain_id for row in rows}:
        of_domain = [row.pk for row in rows if row.domain_id == domain_id]
        services.delete_mailboxes(request.actor, of_domain)
    what = rows[0] if len(rows) == 1 else f"{len(rows)} mailboxes"
    messages.success(request, f"{what} {'is' if len(rows) == 1 else 'are'} being deleted.")
    return redirect("mailbox-list")


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
        return _mailbox_page(request, mailbox, password=credential.password)
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
@require_POST
def batch_reveal(request: PageRequest, batch_id: UUID) -> HttpResponseBase:
    """Show a batch's credentials, this one time."""
    credentials = services.reveal_batch(request.actor, batch_id)
    batch = selectors.get_batch(request.actor, batch_id)
    context = {
        "batch": batch,
        "credentials": credentials,
        "login": mail_provider("mailserver").login_settings(),
        "section": "mailboxes",
        "page_title": "Credentials",
        "page_subtitle": str(batch),
    }
    return render(request, "mailboxes/credentials.html", context)


@signed_in
@require_POST
def batch_csv(request: PageRequest, batch_id: UUID) -> HttpResponseBase:
    """A batch's credentials as a file; counts as the one reveal."""
    credentials = services.reveal_batch(request.actor, batch_id)
    rows = ((item.mailbox, item.password) for item in credentials)
    return _csv(rows, hidden=False, name=f"{credentials[0].mailbox.domain.name}-inboxes.csv")


@signed_in
@require_GET
def mailbox_csv(request: PageRequest) -> HttpResponseBase:
    """All mailboxes (or a domain's) as a file, passwords hidden."""
    found = selectors.mailboxes(request.actor, domain_id=_uuid(request.GET.get("domain", "")))
    return _csv(((box, "") for box in found.iterator()), hidden=True, name="inboxes.csv")


def _csv(rows: Iterable[tuple[Mailbox, str]], *, hidden: bool, name: str) -> HttpResponse:
    settings = mail_provider("mailserver").login_settings()
    text = credentials_csv(
        (CredentialRow(box.address, settings, password) for box, password in rows),
        hidden=hidden,
    )
    return HttpResponse(
        text,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _mailbox_page(request: PageRequest, mailbox: Mailbox, *, password: str = "") -> HttpResponse:
    subjects = [mailbox.pk, *([mailbox.batch_id] if mailbox.batch_id else [])]
    context = {
        "mailbox": mailbox,
        "password": password,
        "login": mail_provider(mailbox.provider).login_settings(),
        "events": trail(request.actor, subject_ids=subjects)[:20],
        "section": "mailboxes",
        "page_title": mailbox.address,
        "page_subtitle": mailbox.name,
        "crumbs": [("Mailboxes", "/mailboxes/")],
    }
    return render(request, "mailboxes/mailbox_detail.html", context)


def _ask_to_delete(request: PageRequest, rows: Sequence[Mailbox], cancel_url: str) -> HttpResponse:
    names = ", ".join(row.address for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    context = {
        "title": f"Delete {rows[0].address}?"
        if len(rows) == 1
        else f"Delete {len(rows)} mailboxes?",
        "text": f"{names}{more}: the logins stop working and the passwords are forgotten. "
        "This cannot be undone.",
        "confirm_label": "Delete",
        "cancel_url": cancel_url,
        "tone": "danger",
        "section": "mailboxes",
        "rows": rows if request.POST else [],
    }
    return render(request, "mailboxes/confirm_delete.html", context)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
