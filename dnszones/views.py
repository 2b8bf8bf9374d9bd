"""Pages about a domain's zone: its state, records, plans and propagation."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from dnszones import selectors
from dnszones.dkim.rotation import dkim_report
from dnszones.live_zone import ZoneNotMade
from dnszones.models import ChangePlan
from dnszones.plans import reverts
from dnszones.propagation.services import cancel_session, check_records_now, start_session
from dnszones.zonefiles import Question
from domains.registrars import REGISTRARS
from domains.selectors import get_domain
from events.selectors import trail
from mpanel.core.api.waiting import outside
from mpanel.core.errors import ProviderError, TooManyRequests
from mpanel.core.pages import PageRequest, paginate, safe_next, signed_in
from mpanel.core.places import require_POST
from mpanel.core.typednames import TypedNameForm
from provisioning.selectors import jobs

SILENT = (ProviderError, TooManyRequests, ZoneNotMade)  # the zone cannot be shown now
MOST_SHOWN = 200  # changes of a plan on its page; conflicts come first


@signed_in
@require_GET
def domain_detail(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """One domain: what is configured, what is missing, what happened."""
    domain = get_domain(request.actor, domain_id)
    context = {
        "domain": domain,
        "registrar": REGISTRARS[domain.registrar].name,
        "purposes": selectors.verify(domain),
        "session": selectors.latest_session(domain),
        "plan": selectors.present_plan(domain),
        "revertible": selectors.revertible_plan(domain),
        "job": jobs(request.actor).filter(subject_id=domain.pk).first(),
        "events": trail(request.actor, subject_ids=[domain.pk])[:20],
        "section": "domains",
        "page_title": str(domain),
        "page_subtitle": domain.name if domain.name != domain.unicode_name else "",
        "crumbs": [("Domains", "/domains/")],
    }
    template = "dnszones/domain_detail.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_GET
def zone_records(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """The records that we keep, and where each was last seen."""
    domain = get_domain(request.actor, domain_id)
    context = {
        "domain": domain,
        "records": selectors.records_of(domain),
        "session": selectors.latest_session(domain),
        "dkim": dkim_report(request.actor, domain_id),
        "section": "domains",
        "page_title": "DNS records",
        "page_subtitle": str(domain),
        "crumbs": [("Domains", "/domains/"), (str(domain), f"/domains/{domain_id}/")],
    }
    template = "dnszones/zone_records.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_POST
def records_check(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Look at the records now."""
    check_records_now(request.actor, domain_id)
    messages.info(request, "Asking every server now.")
    return redirect(safe_next(request, f"/domains/{domain_id}/records/"))


@signed_in
@require_GET
def plan_list(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """The history of a domain's zone: who wrote what, and when."""
    domain = get_domain(request.actor, domain_id)
    page = paginate(request, selectors.plans_of(domain))
    rows = list(page)
    context = {
        "domain": domain,
        "page": page,
        "plans": [(row, selectors.plan_of(row)) for row in rows],
        "revertible": reverts.revertible_ids(rows),
        "section": "domains",
        "page_title": "DNS changes",
        "page_subtitle": str(domain),
        "crumbs": [("Domains", "/domains/"), (str(domain), f"/domains/{domain_id}/")],
    }
    return render(request, "dnszones/plan_list.html", context)


@signed_in
@require_GET
def plan_detail(request: PageRequest, plan_id: UUID) -> HttpResponseBase:
    """One plan, as it was shown and applied; that of a zone file is agreed to here."""
    return plan_page(request, plan_id)


def plan_page(request: PageRequest, plan_id: UUID) -> HttpResponseBase:
    """The page of a plan, and of the answer to it: what goes dark needs its name typed."""
    row = selectors.get_plan(request.actor, plan_id)
    domain, plan = row.zone.domain, selectors.plan_of(row)
    shown = selectors.plan_shown(plan, most=MOST_SHOWN) if plan else ()
    context = {
        "row": row,
        "kind": ChangePlan.KINDS[row.kind],
        "plan": plan,
        "changes": shown,
        "more": len(plan.changes) - len(shown) if plan else 0,
        "job": selectors.job_of(row),
        "domain": domain,
        "under_way": row.status in {ChangePlan.COMPUTING, ChangePlan.APPLYING},
        "questions": [Question.from_json(stored) for stored in row.questions],
        "typed": typed_form(request, row),
        "to_agree": row.kind == ChangePlan.IMPORT and row.status == ChangePlan.READY,
        "can_be_reverted": reverts.can_be_reverted(row),
        "section": "domains",
        "page_title": "DNS plan",
        "page_subtitle": str(domain),
        "crumbs": [
            ("Domains", "/domains/"),
            (str(domain), f"/domains/{domain.pk}/"),
            ("DNS changes", f"/domains/{domain.pk}/plans/"),
        ],
    }
    template = "dnszones/plan_detail.html"
    is_partial = request.htmx and request.method == "GET"
    status = 422 if request.method == "POST" else 200
    return render(request, f"{template}#live" if is_partial else template, context, status=status)


def typed_form(request: PageRequest, row: ChangePlan) -> TypedNameForm | None:
    """Asks for the domain's name before a plan takes away what is live; None before it is known."""
    plan = selectors.plan_of(row)
    if plan is None:
        return None
    names = row.zone.domain.typed_names
    return TypedNameForm(names, digest=plan.digest, losses=plan.losses, given=request)


@signed_in
@require_http_methods(["GET", "POST"])
def plan_revert(request: PageRequest, plan_id: UUID) -> HttpResponseBase:
    """Take back a plan, after a second question."""
    row = selectors.get_plan(request.actor, plan_id)
    try:
        with outside(request.actor.tenant_id):
            undoing = reverts.look_at_undoing(
                request.actor, plan_id, to_write=request.method == "POST"
            )
    except SILENT as error:
        messages.error(request, error.message)
        return redirect("plan-detail", plan_id=plan_id)
    lost = undoing.plan
    typed = TypedNameForm(
        row.zone.domain.typed_names, digest=lost.digest, losses=lost.losses, given=request
    )
    if request.method == "POST" and typed.is_agreed:
        job = reverts.take_back(request.actor, undoing, confirmation=lost.digest)
        messages.success(request, "The changes are being reverted.")
        return redirect("job-detail", job_id=job.pk)
    context = {
        "title": "Take back these DNS changes?",
        "text": f"Records of {row.zone.domain} that this plan created are deleted, and those it "
        "changed or deleted return. Nothing else is touched.",
        "confirm_label": "Take back",
        "cancel_url": f"/domains/plans/{plan_id}/",
        "tone": "danger",
        "typed": typed,
        "section": "domains",
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "components/confirm_page.html", context, status=status)


@signed_in
@require_POST
def session_start(request: PageRequest, domain_id: UUID) -> HttpResponseBase:
    """Watch the records spread."""
    start_session(request.actor, domain_id)
    messages.info(request, "Watching the records propagate.")
    return redirect(safe_next(request, f"/domains/{domain_id}/records/"))


@signed_in
@require_POST
def session_cancel(request: PageRequest, session_id: UUID) -> HttpResponseBase:
    """Stop watching."""
    session = cancel_session(request.actor, session_id)
    messages.info(request, "Stopped. The records stay as they are.")
    return redirect(safe_next(request, f"/domains/{session.zone.domain_id}/records/"))
