"""Step 5: the inboxes."""

from collections import Counter
from uuid import UUID, uuid4

from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRefresh

from billing.selectors import get_account
from billing.services import plan_of
from domains.models import Domain
from domains.selectors import get_domain
from mailboxes import selectors as mail
from mailboxes.forms import ProvisionForm
from mailboxes.maildomains import attachment_of, how_verified, mail_of, platform_in_force
from mailboxes.models import Mailbox
from mailboxes.naming import CONVENTIONS
from mailboxes.services import (
    PROVED,
    leads_elsewhere,
    preview_addresses,
    provision_mailboxes,
    provisioning_job,
)
from mpanel.core.errors import Conflict, Invalid, LimitExceeded
from mpanel.core.pages import PageRequest, add_errors, signed_in
from mpanel.core.places import require_POST
from provisioning.selectors import log_lines
from wizard.steps import next_step, reached
from wizard.views.page import step_page


@signed_in
@require_http_methods(["GET", "POST"])
def inboxes(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 5: provision inboxes, watch them being proved, take the credentials."""
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.READY):
        return redirect(next_step(found))
    where, platform = mail_of(found), platform_in_force(found)
    attachment = attachment_of(request.actor, found, where, platform)
    if request.htmx and request.GET.get("part") == "attaching":
        if attachment is None or not attachment.is_pending:
            return HttpResponseClientRefresh()
        context = {"domain": found, "attachment": attachment}
        return render(request, "mailboxes/attaching.html", context)
    limit = plan_of(get_account(request.actor)).inboxes
    used = sum(mail.status_counts(request.actor).values())
    room = None if limit is None else max(0, limit - used)
    form = ProvisionForm(
        request.POST or None,
        domain=found,
        initial={
            "idempotency_key": str(uuid4()),
            "inbox_count": 10 if room is None else max(1, min(10, room)),
        },
    )
    if request.method == "POST" and form.is_valid():
        try:
            provision_mailboxes(
                request.actor,
                domain_id,
                idempotency_key=form.cleaned_data["idempotency_key"],
                **form.arguments(),
            )
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, LimitExceeded) as error:
            form.add_error(None, error.message)
        else:
            return redirect("setup-inboxes", domain_id=domain_id)
    how = attachment.verified_by if attachment else how_verified(where)
    batches = mail.batches(request.actor, domain_id=found.pk)
    batch = batches[0] if batches else None
    job = provisioning_job(request.actor, batch) if batch else None
    counts = mail.status_counts(request.actor, batch_id=batch.pk) if batch else Counter()
    failed = mail.mailboxes(request.actor, status=Mailbox.FAILED).filter(batch=batch)[:20]
    context = {
        "domain": found,
        "form": form,
        "conventions": [
            {"value": item.key, "title": item.label, "text": _example(item.example, found)}
            for item in CONVENTIONS.values()
        ],
        "batch": batch,
        "job": job,
        "steps_of_job": list(job.steps.all()) if job else [],
        "verified_by": how,
        "attachment": attachment,
        "log_lines": log_lines(job) if job else [],
        "waiting": (job is not None and job.is_active)
        or (attachment is not None and attachment.is_pending),
        "counts": counts,
        "failed": failed if counts[Mailbox.FAILED] else [],
        "room": room,
        "limit": limit,
        "proved": sum(counts[status] for status in PROVED),
        "elsewhere": leads_elsewhere(where, platform),
        "adding": batch is None or request.GET.get("add") == "1" or bool(form.errors),
        **step_page(
            found,
            "inboxes",
            "Inboxes",
            f"Every inbox is verified {how} before it counts as active.",
        ),
    }
    template = "wizard/inboxes.html"
    partial = request.htmx and request.method == "GET"
    return render(
        request,
        f"{template}#live" if partial else template,
        context,
        status=422 if form.errors else 200,
    )


@signed_in
@require_POST
def preview(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """The addresses that the present choices would give; without JavaScript, a page of its own."""
    found = get_domain(request.actor, domain_id)
    form = ProvisionForm(request.POST, domain=found)
    addresses, problem = [], ""
    if form.is_valid():
        try:
            addresses = preview_addresses(request.actor, domain_id, **form.arguments())
        except Invalid as error:
            problem = error.message
    else:
        problem = " ".join(str(text) for texts in form.errors.values() for text in texts)
    context = {
        "domain": found,
        "addresses": addresses,
        "problem": problem,
        "form": form,
        **step_page(found, "inboxes", "Preview", "These addresses would be created."),
    }
    template = "wizard/preview.html"
    return render(request, f"{template}#list" if request.htmx else template, context)


def _example(local_part: str, found: Domain) -> str:
    return f"{local_part}@{found.unicode_name}" if local_part else "You name every address."
