"""Pages about how much mailboxes and domains send, and may send."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from deliverability import services
from deliverability.charts import chart_of
from deliverability.forms import CeilingForm, LimitsForm
from deliverability.selectors import is_measured, sending_of, sending_of_domain
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.pages import PageRequest, add_errors, signed_in
from mpanel.core.places import require_POST
from mpanel.core.templatetags.ui import count


@signed_in
@require_http_methods(["GET", "POST"])
def mailbox_sending(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """One mailbox: today, the last thirty days, its limit and its warm-up."""
    sending = sending_of(request.actor, mailbox_id)
    form = (
        LimitsForm(request.POST) if request.method == "POST" else LimitsForm.of([sending.mailbox])
    )
    if form.is_bound and _change(request, form, [mailbox_id]):
        messages.success(request, "Saved. It applies from the next message on.")
        return redirect("mailbox-sending", mailbox_id=mailbox_id)
    context = {
        "sending": sending,
        "mailbox": sending.mailbox,
        "measured": is_measured(sending.mailbox.provider),
        "chart": chart_of(sending.days),
        "form": form,
        "section": "mailboxes",
        "page_title": "Sending",
        "page_subtitle": sending.mailbox.address,
        "crumbs": [
            ("Mailboxes", "/mailboxes/"),
            (sending.mailbox.address, f"/mailboxes/{mailbox_id}/"),
        ],
    }
    status = 422 if form.errors else 200
    return render(request, "deliverability/sending.html", context, status=status)


@signed_in
@require_POST
def mailbox_resume(request: PageRequest, mailbox_id: UUID) -> HttpResponseBase:
    """Let a paused mailbox send again."""
    mailbox = services.resume_sending(request.actor, mailbox_id)
    messages.success(request, f"{mailbox} may send again.")
    return redirect("mailbox-sending", mailbox_id=mailbox_id)


@signed_in
@require_http_methods(["GET", "POST"])
def domain_sending(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """A domain: the sums of its mailboxes, the ceiling over them, and limits for all at once."""
    if request.method != "POST":
        return _domain_page(request, domain_id)
    form = LimitsForm(request.POST)
    wanted = [mailbox.pk for mailbox in sending_of_domain(request.actor, domain_id).running]
    if not _change(request, form, wanted):
        return _domain_page(request, domain_id, limits=form)
    messages.success(request, f"Saved for {count(len(wanted), 'mailbox,mailboxes')}.")
    return redirect("domain-sending", domain_id=domain_id)


@signed_in
@require_POST
def domain_ceiling(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """The ceiling over all mailboxes of a domain."""
    form = CeilingForm(request.POST)
    if form.is_valid():
        try:
            services.set_domain_ceiling(request.actor, domain_id, form.cleaned_data["ceiling"])
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Saved. It applies from the next message on.")
            return redirect("domain-sending", domain_id=domain_id)
    return _domain_page(request, domain_id, ceiling=form)


def _change(request: PageRequest, form: LimitsForm, mailbox_ids: Sequence[UUID]) -> bool:
    """Whether the limits were changed; else the form says why not."""
    if not form.is_valid():
        return False
    try:
        services.change_limits(request.actor, mailbox_ids, **form.arguments())
    except (Invalid, Conflict) as error:
        add_errors(form, error if isinstance(error, Invalid) else Invalid(error.message))
        return False
    return True


def _domain_page(
    request: PageRequest,
    domain_id: UUID,
    *,
    limits: Form | None = None,
    ceiling: Form | None = None,
) -> HttpResponse:
    sending = sending_of_domain(request.actor, domain_id)
    context = {
        "sending": sending,
        "domain": sending.domain,
        "chart": chart_of(sending.days),
        "ceiling_form": ceiling or CeilingForm(initial={"ceiling": sending.use.limit}),
        "limits_form": limits or LimitsForm.of(sending.running),
        "section": "mailboxes",
        "page_title": "Sending of the domain",
        "page_subtitle": sending.domain.name,
        "crumbs": [
            ("Mailboxes", "/mailboxes/"),
            (str(sending.domain), f"/mailboxes/domains/{domain_id}/"),
        ],
    }
    status = 422 if any(form and form.errors for form in (limits, ceiling)) else 200
    return render(request, "deliverability/domain_sending.html", context, status=status)
