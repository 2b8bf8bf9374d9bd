"""Pages on which mailboxes are made one by one or from a list, and their passwords shown."""

from collections.abc import Sequence

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from domains.selectors import domains as domains_of
from mailboxes import accounts, imports
from mailboxes.forms import ImportForm, NewMailboxForm
from mailboxes.imports import RowOutcome
from mailboxes.services import READY, Credential, Outcome
from mailservers.vendors import logins_of
from mpanel.core.errors import Conflict, Invalid, LimitExceeded, NotFound
from mpanel.core.pages import PageRequest, add_errors, confirmed, safe_next, signed_in

CRUMBS = [("Mailboxes", "/mailboxes/")]


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def mailbox_new(request: PageRequest) -> HttpResponseBase:
    """Make one mailbox, and show its password this one time."""
    if request.method == "POST":
        accounts.require_reveal(request.actor)
    ready = list(domains_of(request.actor).filter(status__in=READY))
    form = NewMailboxForm(
        request.POST or None, domains=ready, initial={"domain_id": request.GET.get("domain", "")}
    )
    if request.method == "POST" and form.is_valid():
        try:
            made = accounts.create_mailbox_at(request.actor, **form.cleaned_data)
        except Invalid as error:
            add_errors(form, _on_form(error))
        except (Conflict, LimitExceeded, NotFound) as error:
            form.add_error("local_part" if error.status == 409 else None, error.message)
        else:
            return show_passwords(request, [made], is_new=True)
    context = {
        "form": form,
        "ready": ready,
        "section": "mailboxes",
        "page_title": "New mailbox",
        "page_subtitle": "It becomes active once its login is verified.",
        "crumbs": CRUMBS,
    }
    status = 422 if form.errors else 200
    return render(request, "mailboxes/mailbox_new.html", context, status=status)


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def mailbox_import(request: PageRequest) -> HttpResponseBase:
    """Make mailboxes of a list: first what would come of each row, then the deed."""
    if request.method == "POST":
        accounts.require_reveal(request.actor)
    form = ImportForm(request.POST or None, request.FILES or None)
    context = {
        "form": form,
        "section": "mailboxes",
        "page_title": "Import mailboxes",
        "page_subtitle": "From a CSV file, one mailbox a row.",
        "crumbs": CRUMBS,
    }
    if request.method == "POST" and form.is_valid():
        try:
            raw = form.raw()
            rows = imports.parse_csv(raw)
            if request.POST.get("sure") == "yes":
                return _imported(request, imports.import_mailboxes(request.actor, rows))
            found = imports.preview_import(request.actor, rows)
        except Invalid as error:
            form.add_error(None, error.message)
        else:
            context |= _tally(found) | {"outcomes": found, "text": imports.text_of(raw)}
            return render(request, "mailboxes/import_preview.html", context)
    status = 422 if form.errors else 200
    return render(request, "mailboxes/mailbox_import.html", context, status=status)


def _imported(request: PageRequest, found: Sequence[RowOutcome]) -> HttpResponse:
    context = _tally(found) | {
        "outcomes": found,
        "section": "mailboxes",
        "page_title": "Imported mailboxes",
        "page_subtitle": "Their logins are being verified now.",
        "crumbs": CRUMBS,
    }
    return render(request, "mailboxes/import_done.html", context)


def _tally(found: Sequence[RowOutcome]) -> dict[str, int]:
    refused = sum(1 for outcome in found if outcome.error)
    return {"good": len(found) - refused, "refused": refused}


def show_passwords(
    request: PageRequest,
    credentials: Sequence[Credential],
    *,
    refused: Sequence[Outcome] = (),
    is_new: bool = False,
) -> HttpResponse:
    """Passwords that were just made, this one time."""
    logins = logins_of(item.mailbox.domain_id for item in credentials)
    context = {
        "credentials": [(item, logins[item.mailbox.domain_id]) for item in credentials],
        "refused": refused,
        "is_new": is_new,
        "back": safe_next(request, "/mailboxes/"),
        "section": "mailboxes",
        "page_title": "New mailbox" if is_new else "New passwords",
        "crumbs": CRUMBS,
    }
    return render(request, "mailboxes/passwords.html", context)


def _on_form(error: Invalid) -> Invalid:
    """What the services call a user name is the part before the @."""
    names = {"username": "local_part"}
    details = {names.get(name, name): texts for name, texts in error.details.items()}
    return Invalid(error.message, details=details)
