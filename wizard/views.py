"""The wizard: six steps, each with its own URL, left and resumed at will."""

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import dnszones.selectors as zones
from billing.selectors import get_account
from billing.services import plan_of
from dnszones.forms import PLATFORM_CARDS, SetupForm
from dnszones.models import ChangePlan, PropagationSession
from dnszones.services import (
    agree_to_replace,
    apply_plan,
    check_records_now,
    go_on_before_propagated,
    make_plan,
)
from domains.forms import ConnectForm
from domains.models import Domain
from domains.registrars import nameserver_instructions
from domains.selectors import domains as domains_of
from domains.selectors import get_domain
from domains.services import check_nameservers_now, connect_domain
from events.selectors import trail
from mailboxes import selectors as mail
from mailboxes.forms import ProvisionForm
from mailboxes.models import Mailbox
from mailboxes.naming import CONVENTIONS
from mailboxes.services import (
    PROVED,
    handled_elsewhere,
    preview_addresses,
    provision_mailboxes,
    provisioning_job,
)
from mpanel.core.errors import Conflict, Invalid, LimitExceeded
from mpanel.core.pages import PageRequest, add_errors, signed_in
from provisioning.models import Job
from provisioning.selectors import jobs, latest_job, log_lines
from tenants.selectors import credentials
from wizard.steps import next_step, reached, shown_steps


def home(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return render(request, "home.html", {"page_title": "mPanel"})


@signed_in
@require_GET
def overview(request: PageRequest) -> HttpResponseBase:
    """How everything stands, and what to do next."""
    account = get_account(request.actor)
    plan = plan_of(account)
    counts = mail.status_counts(request.actor)
    found = list(domains_of(request.actor))
    context = {
        "domains": [(item, next_step(item)) for item in found[:8]],
        "domain_count": len(found),
        "inboxes": sum(counts.values()),
        "active": counts[Mailbox.ACTIVE],
        "failed": counts[Mailbox.FAILED],
        "plan": plan,
        "jobs": jobs(request.actor)[:5],
        "running": jobs(request.actor, status="active").count(),
        "events": trail(request.actor)[:8],
        "section": "overview",
        "page_title": "Overview",
    }
    return render(request, "wizard/overview.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def start(request: PageRequest) -> HttpResponseBase:
    """Step 1: which domain."""
    choices = list(credentials(request.actor, port="dns"))
    form = ConnectForm(request.POST or None, credentials=choices)
    if request.method == "POST" and form.is_valid():
        try:
            domain = connect_domain(
                request.actor,
                form.cleaned_data["domain"],
                credential_id=UUID(form.cleaned_data["credential"]),
                registrar=form.cleaned_data["provider"],
                notes=form.cleaned_data["notes"],
            )
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, LimitExceeded) as error:
            form.add_error("domain", error.message)
        else:
            return redirect("setup-nameservers", domain_id=domain.pk)
    unfinished = [
        item for item in domains_of(request.actor) if not reached(item, Domain.PROVISIONED)
    ]
    context = {
        "form": form,
        "has_credentials": bool(choices),
        "unfinished": [item for item in unfinished if item.status != Domain.DELETING],
        **_page(None, "domain", "Which domain?", "It gets a zone in your DNS account."),
    }
    return render(request, "wizard/start.html", context, status=422 if form.errors else 200)


@signed_in
@require_GET
def resume(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Go on where the setup stands."""
    return redirect(next_step(get_domain(request.actor, domain_id)))


@signed_in
@require_GET
def domain(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 1 of a domain that is connected already: what was chosen."""
    found = get_domain(request.actor, domain_id)
    context = {
        "domain": found,
        "job": latest_job(request.actor, workflow="domains.connect", subject_id=found.pk),
        **_page(found, "domain", str(found), "The domain is connected."),
    }
    return render(request, "wizard/domain.html", context)


@signed_in
@require_http_methods(["GET", "POST"])
def nameservers(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 2: point the nameservers here, and wait until the parent zone says so."""
    if request.method == "POST":
        check_nameservers_now(request.actor, domain_id)
        if not request.htmx:
            return redirect("setup-nameservers", domain_id=domain_id)
    found = get_domain(request.actor, domain_id)
    job = latest_job(request.actor, workflow="domains.connect", subject_id=found.pk)
    context = {
        "domain": found,
        "job": job,
        "instructions": nameserver_instructions(found.registrar, found.nameservers)
        if found.nameservers
        else None,
        "waiting": not found.is_verified,
        **_page(
            found,
            "nameservers",
            "Point your nameservers here",
            "So that the records we write are the ones the world sees.",
        ),
    }
    template = "wizard/nameservers.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_http_methods(["GET", "POST"])
def dns(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 3: choose a setup, see the plan, apply it."""
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.VERIFIED):
        return redirect(next_step(found))
    row = zones.present_plan(found)
    applied = zones.revertible_plan(found)
    stored = row or applied
    initial = SetupForm.from_setup(stored.setup) if stored else {}
    form = SetupForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            make_plan(request.actor, domain_id, choices=form.choices())
        except Invalid as error:
            add_errors(form, error)
        except Conflict as error:
            form.add_error(None, error.message)
        else:
            return redirect("setup-dns", domain_id=domain_id)
    context = {
        "domain": found,
        "form": form,
        "platforms": PLATFORM_CARDS,
        "row": row,
        "plan": zones.plan_of(row) if row else None,
        "job": _job_of(request, row),
        "waiting": row is not None and row.status in {ChangePlan.COMPUTING, ChangePlan.APPLYING},
        "applied": applied,
        "editing": request.GET.get("edit") == "1" or bool(form.errors) or stored is None,
        **_page(
            found,
            "dns",
            "DNS records for mail",
            "You see every change before anything is written.",
        ),
    }
    template = "wizard/dns.html"
    partial = request.htmx and request.method == "GET"
    return render(
        request,
        f"{template}#live" if partial else template,
        context,
        status=422 if form.errors else 200,
    )


@signed_in
@require_POST
def dns_replace(request: PageRequest, domain_id: UUID, plan_id: UUID) -> HttpResponseBase:
    """Plan again, overwriting the conflicts that were ticked."""
    zones.get_plan(request.actor, plan_id, domain_id=domain_id)
    agree_to_replace(request.actor, plan_id, replace_ids=request.POST.getlist("replace"))
    return redirect("setup-dns", domain_id=domain_id)


@signed_in
@require_POST
def dns_apply(request: PageRequest, domain_id: UUID, plan_id: UUID) -> HttpResponseBase:
    """Apply the plan that is shown."""
    zones.get_plan(request.actor, plan_id, domain_id=domain_id)
    apply_plan(request.actor, plan_id, confirmed=request.POST.get("confirmed") == "yes")
    return redirect("setup-dns", domain_id=domain_id)


@signed_in
@require_http_methods(["GET", "POST"])
def propagation(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 4: watch the records reach the resolvers."""
    if request.method == "POST":
        check_records_now(request.actor, domain_id)
        return redirect("setup-propagation", domain_id=domain_id)
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.DNS_CONFIGURING):
        return redirect(next_step(found))
    session = zones.latest_session(found)
    is_ready = reached(found, Domain.READY)
    records = zones.records_of(found)
    context = {
        "domain": found,
        "session": session,
        "records": records,
        "has_drifted": is_ready
        and any(record.verdict in {"missing", "conflicts"} for record in records),
        "is_ready": is_ready,
        "waiting": not is_ready
        or (session is not None and session.status == PropagationSession.POLLING),
        **_page(
            found,
            "propagation",
            "Propagation",
            "Caches around the world let go of old answers one after the other.",
        ),
    }
    template = "wizard/propagation.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_POST
def go_on(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Go on although some caches are behind."""
    go_on_before_propagated(request.actor, domain_id)
    return redirect("setup-inboxes", domain_id=domain_id)


@signed_in
@require_http_methods(["GET", "POST"])
def inboxes(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 5: provision inboxes, watch them being proved, take the credentials."""
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.READY):
        return redirect(next_step(found))
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
                **form.wish(),
            )
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, LimitExceeded) as error:
            form.add_error(None, error.message)
        else:
            return redirect("setup-inboxes", domain_id=domain_id)
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
        "log_lines": log_lines(job) if job else [],
        "waiting": job is not None and job.is_active,
        "counts": counts,
        "failed": failed if counts[Mailbox.FAILED] else [],
        "room": room,
        "limit": limit,
        "proved": sum(counts[status] for status in PROVED),
        "elsewhere": handled_elsewhere(found),
        "adding": batch is None or request.GET.get("add") == "1" or bool(form.errors),
        **_page(
            found,
            "inboxes",
            "Inboxes",
            "Every inbox is proved by logging in before it counts.",
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
            addresses = preview_addresses(request.actor, domain_id, **form.wish())
        except Invalid as error:
            problem = error.message
    else:
        problem = " ".join(str(text) for texts in form.errors.values() for text in texts)
    context = {
        "domain": found,
        "addresses": addresses,
        "problem": problem,
        "form": form,
        **_page(found, "inboxes", "Preview", "These addresses would be created."),
    }
    template = "wizard/preview.html"
    return render(request, f"{template}#list" if request.htmx else template, context)


@signed_in
@require_GET
def outreach(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 6: what is to come, and the end of the setup."""
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.PROVISIONED):
        return redirect(next_step(found))
    batches = mail.batches(request.actor, domain_id=found.pk)
    context = {
        "domain": found,
        "batches": batches,
        "counts": mail.mailboxes(request.actor, domain_id=found.pk).count(),
        **_page(found, "outreach", "Your inboxes are ready", "Take them wherever you send from."),
    }
    return render(request, "wizard/outreach.html", context)


def _page(found: Domain | None, step: str, title: str, subtitle: str) -> dict[str, Any]:
    return {
        "steps": shown_steps(found, step),
        "section": "setup",
        "crumbs": [("Domains", "/domains/"), (str(found), f"/domains/{found.pk}/")]
        if found
        else [],
        "page_title": title,
        "page_subtitle": subtitle,
    }


def _job_of(request: PageRequest, row: ChangePlan | None) -> Job | None:
    """The job that makes or applies a plan, newest first."""
    if row is None:
        return None
    return jobs(request.actor).filter(subject_id=row.pk).first()


def _example(local_part: str, found: Domain) -> str:
    return f"{local_part}@{found.unicode_name}" if local_part else "You name every address."
