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
from mailboxes.vendors import holds_rules, mail_provider_of
from mpanel.core.errors import Invalid
from mpanel.core.pages import PageRequest, add_errors, signed_in


@signed_in
@require_http_methods(["GET", "POST"])
def mailbox_rules(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """What the rules are, and changing them."""
    mailbox = selectors.get_mailbox(request.actor, mailbox_id)
    rules = selectors.rules_of(request.actor, mailbox)
    data = request.POST if request.method == "POST" else None
    form = RulesForm(data, asks_consent=rules.needs_consent, initial=_initial(rules))
    if form.is_valid():
        try:
            services.set_rules(request.actor, mailbox_id, **form.wanted)
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, f"The rules of {mailbox} are being set.")
            return redirect("mailbox-rules", mailbox_id=mailbox_id)
    context = {
        "mailbox": mailbox,
        "rules": rules,
        "form": form,
        "can_hold": holds_rules(mailbox),
        "host": mail_provider_of(mailbox).login_settings().imap_host,
        "port": settings.MAILSERVER_SIEVE_PORT,
        "section": "mailboxes",
        "page_title": "Forwarding and vacation",
        "page_subtitle": mailbox.address,
        "crumbs": [("Mailboxes", "/mailboxes/"), (mailbox.address, f"/mailboxes/{mailbox_id}/")],
    }
    status = 422 if form.errors else 200
    return render(request, "mailboxes/mailbox_rules.html", context, status=status)


def _initial(rules: DeliveryRules) -> dict[str, object]:
    names = ("vacation_is_on", "vacation_subject", "vacation_text", "vacation_starts_on")
    return {
        **{name: getattr(rules, name) for name in (*names, "vacation_ends_on", "keeps_copy")},
        "forward_to": "\n".join(rules.forward_to),
    }
