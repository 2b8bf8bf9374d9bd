"""Pages about mailboxes at outreach tools; the wizard's sixth step has its own."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mpanel.core.errors import Conflict, Invalid
from mpanel.core.pages import PageRequest, add_errors, chosen_ids, confirmed, safe_next, signed_in
from mpanel.core.places import require_POST
from outreach import selectors, services
from outreach.forms import ConnectForm
from outreach.vendors import tool, tools


@signed_in
@confirmed
@require_http_methods(["GET", "POST"])
def outreach_connect(request: PageRequest) -> HttpResponseBase:
    """Connect the ticked mailboxes: first with which account and how, then the deed."""
    wanted = chosen_ids(request, "mailbox") or _named(request)
    rows = list(selectors.ready(request.actor).filter(pk__in=wanted))
    if not rows:
        messages.info(request, "Tick mailboxes that work first.")
        return redirect(safe_next(request, "/mailboxes/"))
    form = ConnectForm(
        request.POST if request.POST.get("sure") == "yes" else None,
        credentials=list(selectors.outreach_credentials(request.actor)),
    )
    if form.is_valid():
        try:
            links = services.connect_mailboxes(
                request.actor,
                wanted,
                credential_id=UUID(form.cleaned_data["credential"]),
                warmup=form.warmup(),
            )
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            form.add_error(None, error.message)
        else:
            what = links[0].mailbox if len(links) == 1 else f"{len(links)} mailboxes"
            where = tool(links[0].provider).label
            messages.success(request, f"Connecting {what} to {where}.")
            return redirect(safe_next(request, "/mailboxes/"))
    context = {
        "form": form,
        "rows": rows,
        "tools": {key: cls.label for key, cls in tools().items()},
        "next": safe_next(request, ""),
        "section": "mailboxes",
        "page_title": "Connect to an outreach tool",
        "page_subtitle": rows[0].address if len(rows) == 1 else f"{len(rows)} mailboxes",
        "crumbs": [("Mailboxes", "/mailboxes/")],
    }
    status = 422 if form.errors else 200
    return render(request, "outreach/connect.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def outreach_disconnect(request: PageRequest, link_id: UUID) -> HttpResponseBase:
    """Take one mailbox back from a tool, after a second question."""
    link = selectors.get_link(request.actor, link_id)
    back = safe_next(request, f"/mailboxes/{link.mailbox_id}/")
    where = tool(link.provider).label
    if request.method == "POST":
        services.disconnect_link(request.actor, link_id)
        messages.success(request, f"{link.mailbox} is being disconnected from {where}.")
        return redirect(back)
    context = {
        "title": f"Disconnect {link.mailbox} from {where}?",
        "text": f"It leaves all campaigns and its warm-up stops. {where} keeps the account and "
        "its history, so you can connect it again.",
        "confirm_label": "Disconnect",
        "cancel_url": back,
        "tone": "danger",
        "section": "mailboxes",
    }
    return render(request, "components/confirm_page.html", context)


@signed_in
@require_POST
def outreach_retry(request: PageRequest, link_id: UUID) -> HttpResponseBase:
    """Try a connection that failed once more."""
    link = services.retry_link(request.actor, link_id)
    messages.success(request, f"Trying to connect {link.mailbox} again.")
    return redirect(safe_next(request, f"/mailboxes/{link.mailbox_id}/"))


def _named(request: PageRequest) -> list[UUID]:
    """The mailbox of a link to this page."""
    try:
        return [UUID(request.GET["mailbox"])]
    except (KeyError, ValueError):
        return []
