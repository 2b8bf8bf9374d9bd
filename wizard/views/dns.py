"""Steps 3 and 4: the records, and how they spread."""

from uuid import UUID

from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

import dnszones.selectors as zones
from dnszones.forms import PLATFORM_CARDS, SetupForm
from dnszones.models import ChangePlan, PropagationSession
from dnszones.plans import Change
from dnszones.plans.services import agree_to_replace, apply_plan, make_plan
from dnszones.propagation.services import check_records_now, go_on_before_propagated
from dnszones.views import typed_form
from domains.models import Domain
from domains.selectors import get_domain
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.pages import PageRequest, add_errors, signed_in
from mpanel.core.places import require_POST
from mpanel.core.typednames import TypedNameForm
from provisioning.models import Job
from provisioning.selectors import jobs
from wizard.steps import next_step, reached
from wizard.views.page import step_page


@signed_in
@require_http_methods(["GET", "POST"])
def dns(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Step 3: choose a setup, see the plan, apply it."""
    return _dns_page(request, domain_id)


def _dns_page(
    request: PageRequest, domain_id: UUID, *, typed: TypedNameForm | None = None
) -> HttpResponseBase:
    """The page of step 3; `typed`: the refused form of a plan that takes away what is live."""
    found = get_domain(request.actor, domain_id)
    if not reached(found, Domain.VERIFIED):
        return redirect(next_step(found))
    row = zones.present_plan(found)
    applied = zones.revertible_plan(found)
    stored = row or applied
    initial = SetupForm.from_setup(stored.setup) if stored else {}
    form = SetupForm((None if typed else request.POST) or None, initial=initial)
    if form.is_bound and form.is_valid():
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
        "typed": typed or (typed_form(request, row) if row else None),
        "job": _job_of(request, row),
        "waiting": row is not None and row.status in {ChangePlan.COMPUTING, ChangePlan.APPLYING},
        "applied": applied,
        "blocked": _blocked(applied),
        "editing": request.GET.get("edit") == "1" or bool(form.errors) or stored is None,
        **step_page(
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
        status=422 if form.errors or typed else 200,
    )


def _blocked(row: ChangePlan | None) -> tuple[Change, ...]:
    """The required records that a plan could not write."""
    plan = zones.plan_of(row) if row else None
    return plan.blocked if plan else ()


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
    row = zones.get_plan(request.actor, plan_id, domain_id=domain_id)
    typed = typed_form(request, row)
    if row.status == ChangePlan.READY and typed and not typed.is_agreed:
        return _dns_page(request, domain_id, typed=typed)
    apply_plan(request.actor, plan_id, confirmation=typed.digest if typed else "")
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
        "in_the_way": []
        if is_ready
        else [row for row in records if row.level == "required" and row.verdict == "conflicts"],
        "has_drifted": is_ready
        and any(record.verdict in {"missing", "conflicts"} for record in records),
        "is_ready": is_ready,
        "waiting": not is_ready
        or (session is not None and session.status == PropagationSession.POLLING),
        **step_page(
            found,
            "propagation",
            "Propagation",
            "Caches around the world replace old answers one by one.",
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


def _job_of(request: PageRequest, row: ChangePlan | None) -> Job | None:
    """The job that makes or applies a plan, newest first."""
    if row is None:
        return None
    return jobs(request.actor).filter(subject_id=row.pk).first()
