"""The list of mailboxes, and what is done to several of them."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from domains.selectors import domains as domains_of
from mailboxes import measures, selectors, services
from mailboxes.forms import RevealForm
from mailboxes.models import Mailbox
from mailboxes.services import Outcome
from mailboxes.vendors import measured_providers
from mailboxes.views.making import show_passwords
from mpanel.core import troubles
from mpanel.core.errors import TooManyRequests
from mpanel.core.pages import PageRequest, chosen_ids, paginate, safe_next, search_text, signed_in
from mpanel.core.places import require_POST
from tenants.services.codes import CodeRefused

LIST = "/mailboxes/"
SHOWN_STATUSES = (
    Mailbox.ACTIVE,
    Mailbox.WARMING,
    Mailbox.PROVISIONING,
    Mailbox.FAILED,
    Mailbox.SUSPENDED,
    Mailbox.DELETING,
)
# What the bar above the list offers, and what is said when it is done.
DONE = {
    "suspend": "can no longer log in or send. Mail still arrives",
    "activate": "can log in and send",
    "reset-password": "got a new password",
}


@signed_in
@require_GET
def mailbox_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's mailboxes; searched, filtered, paged."""
    search, status = search_text(request), request.GET.get("status", "")
    domain_id = uuid_or_none(request.GET.get("domain", ""))
    named, trouble = troubles.asked(Mailbox, status)
    found = selectors.mailboxes(request.actor, search=search, status=named, domain_id=domain_id)
    page = paginate(request, troubles.marked(found.filter(trouble)))
    measures.of_sending().show_use(page)
    context = {
        "page": page,
        "q": search,
        "status": status,
        "domain_id": domain_id,
        "domains": domains_of(request.actor),
        "statuses": {key: Mailbox.STATUSES[key] for key in SHOWN_STATUSES},
        "troubles": troubles.choices(Mailbox, status),
        "filtered": bool(search or status or domain_id),
        "measured": measured_providers(),
        "any_moving": any(box.status in {"provisioning", "deleting"} for box in page),
        "section": "mailboxes",
        "page_title": "Mailboxes",
        "page_subtitle": "An inbox is active once its login is verified.",
    }
    template = "mailboxes/mailbox_list.html"
    return render(request, f"{template}#rows" if request.htmx else template, context)


@signed_in
@require_POST
def mailbox_bulk(request: PageRequest) -> HttpResponseBase:
    """Suspend or activate the ticked mailboxes, or give them new passwords after a question."""
    action, wanted = request.POST.get("action", ""), chosen_ids(request, "mailbox")
    if not wanted:
        messages.info(request, "Tick the mailboxes first.")
        return redirect(safe_next(request, LIST))
    if action == "reset-password":
        return _reset_passwords(request, wanted)
    outcomes = services.change_mailboxes(request.actor, action, wanted)
    _say(request, action, outcomes)
    return redirect(safe_next(request, LIST))


def _reset_passwords(request: PageRequest, wanted: Sequence[UUID]) -> HttpResponse:
    """New passwords for the ticked mailboxes, for a fresh code."""
    if "send-code" in request.POST:
        services.ask_to_reset_passwords(request.actor)
        messages.info(request, f"We sent a code to {request.actor.email}.")
        return _ask_to_reset(request, wanted, RevealForm())
    form = RevealForm(request.POST if request.POST.get("sure") == "yes" else None)
    if form.is_valid():
        try:
            outcomes = services.reset_passwords_by_code(
                request.actor, wanted, code=form.cleaned_data["code"]
            )
        except (CodeRefused, TooManyRequests) as error:
            form.add_error("code", error.message)
            return _ask_to_reset(request, wanted, form)
        made = [
            services.Credential(found.mailbox, found.password)
            for found in outcomes
            if found.mailbox
        ]
        return show_passwords(request, made, refused=[found for found in outcomes if found.error])
    return _ask_to_reset(request, wanted, form)


@signed_in
@require_POST
def mailbox_delete_many(request: PageRequest) -> HttpResponseBase:
    """Delete the ticked mailboxes: first the second question, then the deed."""
    wanted = chosen_ids(request, "mailbox")
    rows = list(selectors.mailboxes(request.actor).filter(pk__in=wanted))
    if not rows:
        messages.info(request, "Tick the mailboxes to delete first.")
        return redirect(safe_next(request, LIST))
    if request.POST.get("sure") != "yes":
        return ask_to_delete(request, rows, safe_next(request, LIST))
    services.change_mailboxes(request.actor, "delete", [row.pk for row in rows])
    what = rows[0] if len(rows) == 1 else f"{len(rows)} mailboxes"
    messages.success(request, f"{what} {'is' if len(rows) == 1 else 'are'} being deleted.")
    return redirect(safe_next(request, LIST))


def ask_to_delete(request: PageRequest, rows: Sequence[Mailbox], cancel_url: str) -> HttpResponse:
    """The second question before one or several are deleted."""
    context = {
        "title": f"Delete {rows[0].address}?"
        if len(rows) == 1
        else f"Delete {len(rows)} mailboxes?",
        "text": f"{_names(rows)}: the logins stop working and the passwords are forgotten. "
        "This cannot be undone.",
        "confirm_label": "Delete",
        "cancel_url": cancel_url,
        "tone": "danger",
        "section": "mailboxes",
        "rows": rows if request.POST else [],
        "url_name": "mailbox-delete-many",
    }
    return render(request, "mailboxes/confirm_many.html", context)


def _ask_to_reset(request: PageRequest, wanted: Sequence[UUID], form: RevealForm) -> HttpResponse:
    rows = list(selectors.mailboxes(request.actor).filter(pk__in=wanted))
    if not rows:
        raise selectors.MailboxNotFound
    many = "1 mailbox" if len(rows) == 1 else f"{len(rows)} mailboxes"
    context = {
        "title": f"New passwords for {many}?",
        "text": f"{_names(rows)}: the current passwords stop working at once, and open sessions "
        "end. The new ones are shown only once.",
        "confirm_label": "Reset passwords",
        "cancel_url": safe_next(request, LIST),
        "tone": "danger",
        "section": "mailboxes",
        "rows": rows,
        "url_name": "mailbox-bulk",
        "action_name": "reset-password",
        "form": form,
    }
    status = 422 if form.errors else 200
    return render(request, "mailboxes/confirm_many.html", context, status=status)


def _say(request: PageRequest, action: str, outcomes: Sequence[Outcome]) -> None:
    done = [found.mailbox for found in outcomes if found.mailbox]
    if done:
        what = done[0] if len(done) == 1 else f"{len(done)} mailboxes"
        messages.success(request, f"{what} {DONE.get(action, 'changed')}.")
    for found in [found for found in outcomes if found.error][:5]:
        assert found.error
        messages.error(request, f"{found.name}: {found.error.message}")


def _names(rows: Sequence[Mailbox]) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return ", ".join(row.address for row in rows[:5]) + more


def uuid_or_none(text: str) -> UUID | None:
    """The id that a query names, if it names one."""
    try:
        return UUID(text)
    except ValueError:
        return None
