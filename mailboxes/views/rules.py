"""Forwarding and the vacation note of a mailbox."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from mailboxes import selectors, services
from mailboxes.forms import RulesForm
from mailboxes.models import DeliveryRules
from mailboxes.services import CodeNeeded
from mailboxes.vendors import mail_provider_of
from mpanel.core.errors import Invalid, TooManyRequests
from mpanel.core.pages import PageRequest, add_errors, signed_in
from tenants.services.codes import CodeRefused


@signed_in
@require_http_methods(["GET", "POST"])
def mailbox_rules(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """What the rules are, and changing them."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    rules = selectors.rules_of(request.actor, mailbox)
    data = request.POST if request.method == "POST" else None
    consent = rules.needs_consent
    form = RulesForm(
        data, asks_consent=consent, asks_code="code" in request.POST, initial=_initial(rules)
    )
    is_asked = False
    if form.is_valid():
        code = form.cleaned_data.get("code", "")
        try:
            services.set_rules_by_code(request.actor, mailbox_id, code=code, **form.wanted)
        except CodeNeeded:
            form, is_asked = RulesForm(data, asks_consent=consent, asks_code=True), True
            _ask_for_code(request, mailbox_id, form)
        except (CodeRefused, TooManyRequests) as error:
            form.add_error("code", error.message)
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, f"The rules of {mailbox} are being saved.")
            return redirect("mailbox-rules", mailbox_id=mailbox_id)
    provider = mail_provider_of(mailbox)
    context = {
        "mailbox": mailbox,
        "provider": provider,
        "rules": rules,
        "form": form,
        "can_hold": provider.scripts is not None,
        "host": provider.login_settings().imap_host,
        "port": settings.MAILSERVER_SIEVE_PORT,
        "section": "mailboxes",
        "page_title": "Forwarding and vacation",
        "page_subtitle": mailbox.address,
        "crumbs": [("Mailboxes", "/mailboxes/"), (mailbox.address, f"/mailboxes/{mailbox_id}/")],
    }
    status = 422 if form.errors or is_asked else 200
    return render(request, "mailboxes/mailbox_rules.html", context, status=status)


def _ask_for_code(request: PageRequest, mailbox_id: UUID, form: RulesForm) -> None:
    """Send the code that forwarding to a new address needs, and ask for it."""
    try:
        services.ask_to_reveal(request.actor, mailbox_id)
    except TooManyRequests as error:
        form.add_error("code", error.message)
    else:
        email = request.actor.email
        form.ask_for_code(f"To forward mail, enter the code that we sent to {email}.")


def _initial(rules: DeliveryRules) -> dict[str, object]:
    names = ("vacation_is_on", "vacation_subject", "vacation_text", "vacation_starts_on")
    return {
        **{name: getattr(rules, name) for name in (*names, "vacation_ends_on", "keeps_copy")},
        "forward_to": "\n".join(rules.forward_to),
    }
