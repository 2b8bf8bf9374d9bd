"""Pages about zones: the list, a zone's records, editing them, zone files."""

import re
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from dnszones import selectors
from dnszones.api.panel import zone_file_response
from dnszones.live_zone import LiveZone, ZoneRecord, look, writable_types
from dnszones.models import ChangePlan, Zone
from dnszones.plans import Edit, edits
from dnszones.record_types import TYPES
from dnszones.records import value_of
from dnszones.validation import RecordRefused
from dnszones.views import SILENT, plan_page, typed_form
from dnszones.zones.forms import RecordForm, ZoneFileForm
from mpanel.core import troubles
from mpanel.core.api.waiting import outside
from mpanel.core.errors import (
    Conflict,
    Invalid,
    MPanelError,
    ProviderError,
    TooLarge,
)
from mpanel.core.pages import PageRequest, add_errors, paginate, search_text, signed_in
from mpanel.core.places import require_POST
from mpanel.core.typednames import TypedNameForm


@signed_in
@require_GET
def zone_list(request: PageRequest) -> HttpResponseBase:
    """The tenant's zones; searched, paged."""
    search, wanted = search_text(request), request.GET.get("status", "")
    _, trouble = troubles.asked(Zone, wanted)
    found = selectors.zones(request.actor, search=search).filter(trouble)
    page = paginate(request, troubles.marked(found))
    context = {
        "page": page,
        "rows": [(zone, *_status(zone)) for zone in page],
        "q": search,
        "status": wanted,
        "troubles": troubles.choices(Zone, wanted),
        "section": "dns",
        "page_title": "DNS",
        "page_subtitle": "Each domain's zone, with all of its records.",
    }
    return render(request, "dnszones/zone_list.html", context)


@signed_in
@require_GET
def zone_detail(request: PageRequest, zone_id: UUID) -> HttpResponseBase:
    """A zone's records as its provider shows them now; searched, filtered, paged."""
    zone = selectors.get_zone(request.actor, zone_id)
    edit = selectors.latest_edit(zone)
    under_way = edit is not None and edit.status in {ChangePlan.COMPUTING, ChangePlan.APPLYING}
    if request.htmx and under_way:
        return HttpResponse(status=204)  # nothing new; the provider is asked again when it is done
    search, kind = search_text(request), request.GET.get("type", "").upper()[:10]
    sight, trouble = _seen(request, zone_id)
    found = sight.find(search=search, kind=kind) if sight else []
    context = {
        "zone": zone,
        "status": _status(zone),
        "trouble": trouble,
        "edit": edit,
        "job": selectors.job_of(edit) if edit else None,
        "under_way": under_way,
        "page": paginate(request, found),
        "types": sorted({one.data.type for one in sight.records}) if sight else [],
        "q": search,
        "type": kind,
        "filtered": bool(search or kind),
        **_page(zone, f"Zone of {zone.domain}"),
    }
    template = "dnszones/zone_detail.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@signed_in
@require_http_methods(["GET", "POST"])
def record_add(request: PageRequest, zone_id: UUID) -> HttpResponseBase:
    """Add a record of a type."""
    sight, trouble = _seen(request, zone_id, to_write=request.method == "POST")
    if sight is None:
        return _unseen(request, zone_id, trouble)
    types = writable_types(sight.provider.capabilities)
    asked = str(request.GET.get("type", "")).upper()
    kind = asked if asked in types else types[0]
    given = request.POST if request.method == "POST" else None
    form = RecordForm(kind, given, can_proxy=sight.provider.capabilities.proxies)
    said: list[str] = []
    typed: TypedNameForm | None = None
    if request.method == "POST" and form.is_valid():
        try:
            corrected = _is_corrected(request)
            edit = Edit("create", edits.wanted_record(sight, form.record(), corrected=corrected))
            said, typed = edits.what_breaks(sight, [edit]), _typed(request, sight, edit)
            if typed.is_agreed if typed.losses else not said or _is_sure(request):
                return _written(request, sight, edit, typed)
        except (Invalid, Conflict) as error:
            _refuse(form, error)
    return _record_page(
        request, sight, form, said, page_title="Add a record", types=types, typed=typed
    )


@signed_in
@require_http_methods(["GET", "POST"])
def record_edit(request: PageRequest, zone_id: UUID, record_id: str) -> HttpResponseBase:
    """Change a record."""
    sight, trouble = _seen(request, zone_id, to_write=request.method == "POST")
    if sight is None:
        return _unseen(request, zone_id, trouble)
    present = sight.get(record_id)
    if not present.is_editable:
        why = edits.PROOF if present.is_proof else "This record belongs to the DNS provider."
        messages.error(request, why)
        return redirect("zone-detail", zone_id=zone_id)
    data, name = present.data, _short_name(sight, present)
    initial = {**RecordForm.initial_of(data, name=name), "shown": value_of(data)}
    given = request.POST if request.method == "POST" else None
    can_proxy = sight.provider.capabilities.proxies
    form = RecordForm(data.type, given, initial=initial, can_proxy=can_proxy)
    said: list[str] = []
    typed: TypedNameForm | None = None
    if request.method == "POST" and form.is_valid():
        try:
            if form.cleaned_data["shown"] not in {"", value_of(data)}:
                raise edits.ZoneChanged(f"The record was changed meanwhile: {value_of(data)[:200]}")
            corrected = _is_corrected(request)
            edit = edits.change_of(sight, record_id, form.record(), corrected=corrected)
            said, typed = edits.what_breaks(sight, [edit]), _typed(request, sight, edit)
            if typed.is_agreed if typed.losses else not said or _is_sure(request):
                return _written(request, sight, edit, typed)
        except (Invalid, Conflict) as error:
            _refuse(form, error)
    title = f"Change {data.type} {name}"
    return _record_page(request, sight, form, said, page_title=title, present=present, typed=typed)


@signed_in
@require_http_methods(["GET", "POST"])
def record_delete(request: PageRequest, zone_id: UUID, record_id: str) -> HttpResponseBase:
    """Delete a record, after a second question."""
    sight, trouble = _seen(request, zone_id, to_write=request.method == "POST")
    if sight is None:
        return _unseen(request, zone_id, trouble)
    edit = edits.removal_of(sight, record_id)
    typed = _typed(request, sight, edit)
    if request.method == "POST" and typed.is_agreed:
        return _written(request, sight, edit, typed)
    said = edits.what_breaks(sight, [edit])
    context = {
        "title": f"Delete {edit.record.type} {edit.record.name}?",
        "text": "\n".join([value_of(edit.record), *said, "You can take this back afterwards."]),
        "confirm_label": "Delete",
        "cancel_url": f"/dns/{zone_id}/",
        "tone": "danger",
        "typed": typed,
        "section": "dns",
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "components/confirm_page.html", context, status=status)


@signed_in
@require_GET
def zone_export(request: PageRequest, zone_id: UUID) -> HttpResponseBase:
    """The zone as a file."""
    sight, trouble = _seen(request, zone_id)
    return zone_file_response(sight) if sight else _unseen(request, zone_id, trouble)


@signed_in
@require_http_methods(["GET", "POST"])
def zone_import(request: PageRequest, zone_id: UUID) -> HttpResponseBase:
    """Give a zone file; what it would change is shown next."""
    zone = selectors.get_zone(request.actor, zone_id)
    given = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ZoneFileForm(*given)
    if request.method == "POST" and form.is_valid():
        try:
            plan = edits.import_file(request.actor, zone_id, form.cleaned_data["zone_file"])
        except Invalid as error:
            add_errors(form, error)
        except (Conflict, ProviderError, TooLarge) as error:
            form.add_error(None, error.message)
        else:
            return redirect("plan-detail", plan_id=plan.pk)
    context = {"zone": zone, "form": form, **_page(zone, "Import a zone file", below=True)}
    return render(request, "dnszones/zone_import.html", context, status=422 if form.errors else 200)


@signed_in
@require_POST
def plan_apply(request: PageRequest, plan_id: UUID) -> HttpResponseBase:
    """Apply the plan of a zone file, overwriting the conflicts that were ticked; or take the
    answers about its lines, and show the plan that then comes."""
    if "questions" in request.POST:
        return _answered(request, plan_id)
    row = selectors.get_plan(request.actor, plan_id)
    plan = selectors.plan_of(row)
    ticked = request.POST.getlist("replace")
    if "all" in ticked and plan:
        ticked = [change.id for change in plan.conflicts]
    is_other = bool(set(ticked) - set(row.replace))  # a plan of its own, to be shown first
    typed = typed_form(request, row)
    if typed and not is_other and not typed.is_agreed:
        return plan_page(request, plan_id)
    digest = typed.digest if typed and not is_other else ""
    applied = edits.apply_import(request.actor, plan_id, replace_ids=ticked, confirmation=digest)
    return redirect("plan-detail", plan_id=applied.pk)


def _answered(request: PageRequest, plan_id: UUID) -> HttpResponseBase:
    given = {
        name.removeprefix("line-"): str(answer)
        for name, answer in request.POST.items()
        if name.startswith("line-")
    }
    answers = {
        int(line): answer for line, answer in given.items() if re.fullmatch(r"[0-9]{1,7}", line)
    }
    try:
        plan_id = edits.answer_questions(request.actor, plan_id, answers).pk
    except Invalid as error:
        messages.error(request, error.message)
    return redirect("plan-detail", plan_id=plan_id)


def _seen(
    request: PageRequest, zone_id: UUID, *, to_write: bool = False
) -> tuple[LiveZone | None, str]:
    """The zone; or why its provider cannot show it now."""
    try:
        with outside(request.actor.tenant_id):
            return look(request.actor, zone_id, to_write=to_write), ""
    except SILENT as error:
        return None, error.message


def _unseen(request: PageRequest, zone_id: UUID, trouble: str) -> HttpResponseBase:
    messages.error(request, trouble)
    return redirect("zone-detail", zone_id=zone_id)


def _typed(request: PageRequest, sight: LiveZone, edit: Edit) -> TypedNameForm:
    """Asks for the domain's name where the edit takes away what is live."""
    plan = edits.plan_of_edits(sight, [edit])
    names = sight.zone.domain.typed_names
    return TypedNameForm(names, digest=plan.digest, losses=plan.losses, given=request)


def _written(
    request: PageRequest, sight: LiveZone, edit: Edit, typed: TypedNameForm
) -> HttpResponseBase:
    edits.edit_records(request.actor, sight, [edit], confirmation=typed.digest)
    return redirect("zone-detail", zone_id=sight.zone.pk)


def _refuse(form: RecordForm, error: MPanelError) -> None:
    if isinstance(error, RecordRefused) and error.proposal:
        form.proposal = value_of(error.proposal)
    if not isinstance(error, Invalid):
        form.add_refusal("", error.message)
    for field, texts in error.details.items() if isinstance(error, Invalid) else ():
        form.add_refusal(field, *texts)


def _is_corrected(request: HttpRequest) -> bool:
    return request.POST.get("corrected") == "yes"


def _is_sure(request: HttpRequest) -> bool:
    return request.POST.get("sure") == "yes"


def _record_page(
    request: PageRequest,
    sight: LiveZone,
    form: RecordForm,
    said: list[str],
    *,
    page_title: str,
    types: list[str] | None = None,
    present: ZoneRecord | None = None,
    typed: TypedNameForm | None = None,
) -> HttpResponseBase:
    context = {
        "zone": sight.zone,
        "form": form,
        "warnings": said,
        "corrected": form.is_bound and _is_corrected(request),
        "typed": typed,
        "kind": form.kind,
        "about": TYPES[form.kind].about,
        "types": [(kind, TYPES[kind].about) for kind in types or ()],
        "present": present,
        **_page(sight.zone, page_title, below=True),
    }
    status = 422 if form.errors or (typed and typed.errors) else 200
    return render(request, "dnszones/record_form.html", context, status=status)


def _page(zone: Zone, title: str, *, below: bool = False) -> dict[str, Any]:
    crumbs = [("DNS", "/dns/"), *([(str(zone.domain), f"/dns/{zone.pk}/")] if below else [])]
    return {"section": "dns", "page_title": title, "crumbs": crumbs}


def _status(zone: Zone) -> tuple[str, str]:
    status = selectors.zone_status(zone)
    return status, selectors.ZONE_STATUSES[status]


def _short_name(sight: LiveZone, record: ZoneRecord) -> str:
    apex = sight.zone.domain.name
    return "@" if record.data.name == apex else record.data.name.removesuffix(f".{apex}")
