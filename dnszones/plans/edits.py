"""What a person writes into a zone themselves: single records, and zone files.

Every edit is a change plan: a worker computes it against the zone, writes it and keeps what was
there before, so that it can be taken back (reverts.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dnszones import selectors, zonefiles
from dnszones.live_zone import LiveZone, ZoneNotMade, writable_types
from dnszones.models import ChangePlan, Zone
from dnszones.plans import Edit, ExistingRecord, Plan, excludes, plan_edits
from dnszones.plans.services import DomainIsLeaving, PlanNotReady, agreed_replacements, apply_plan
from dnszones.records import (
    DEFAULT_TTL,
    RecordData,
    normal_name,
    same_value,
    typed_text,
)
from dnszones.spf.flattened import records as flattened
from dnszones.validation import RecordRefused, Surroundings, checked_record, text_warnings
from dnszones.vendors import dns_provider, own_mail_hosts
from domains.models import Domain
from events.services import record
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid, ProviderError
from mpanel.core.losses import require_confirmation
from mpanel.core.wording import counted
from provisioning.models import Job
from provisioning.services import start_job


class RecordConflict(Conflict):
    """Another record of the zone is in the way."""

    code = "RECORD_CONFLICT"


class ZoneChanged(Conflict):
    """The zone was changed meanwhile, so nothing was written. Look again."""

    code = "ZONE_CHANGED"


PROOF = "This record proves that the domain is yours. It goes when the domain is disconnected."
# Codes of jobs after which the person must look at the zone again.
CHANGED = {"ZONE_CHANGED", "RECORD_CONFLICT", "RECORD_EXISTS", "RECORD_GONE", "PLAN_NOT_READY"}


def wanted_record(
    sight: LiveZone, record: RecordData, *, was: RecordData | None = None, corrected: bool = False
) -> RecordData:
    """A record as somebody typed it, checked.

    `name` may be relative to the zone, and a TXT may be in quotes. `was`: the present one, whose
    TTL and text may stay whatever they are. `corrected`: take the proposal where there is one.
    Raises `Invalid` with the field, and `RecordRefused`.
    """
    zone, provider = sight.zone, sight.provider
    given = replace(record, type=record.type.upper(), name=_absolute(record.name, zone))
    types = writable_types(provider.capabilities)
    if given.type not in types:
        message = f"{provider.label} holds no records of this type, only {', '.join(types)}."
        raise Invalid.field("type", message)
    if given.proxied and not provider.capabilities.proxies:
        raise Invalid.field("proxied", f"{provider.label} has no proxy for records.")
    if given.type == "TXT" and (was is None or given.content != was.content):
        given = replace(given, content=typed_text(given.content))
    keeps_ttl = was is not None and was.ttl == given.ttl
    if keeps_ttl:
        given = replace(given, ttl=DEFAULT_TTL)
    try:
        checked = checked_record(
            given, zone_name=zone.domain.name, capabilities=provider.capabilities
        )
    except RecordRefused as error:
        if corrected and error.proposal is not None:
            checked = error.proposal
        elif was is not None and error.written is not None and same_value(error.written, was):
            checked = error.written
        else:
            raise
    return replace(checked, ttl=record.ttl) if keeps_ttl and not checked.proxied else checked


def change_of(
    sight: LiveZone, record_id: str, record: RecordData, *, corrected: bool = False
) -> Edit:
    """A change of one record, as somebody gave it.

    Raises `RecordNotFound`, `RecordConflict`, `Invalid`.
    """
    present = sight.get(record_id)
    if present.is_proof:
        raise RecordConflict(PROOF)
    if not present.is_editable:
        raise RecordConflict("This record belongs to the DNS provider, or cannot be written here.")
    wanted = wanted_record(sight, record, was=present.data, corrected=corrected)
    return Edit("update", wanted, present.existing.remote_id, present.data)


def removal_of(sight: LiveZone, record_id: str) -> Edit:
    """The deletion of one record. Raises `RecordNotFound`, `RecordConflict`."""
    present = sight.get(record_id)
    if present.is_proof:
        raise RecordConflict(PROOF)
    if present.is_providers:
        raise RecordConflict("This record belongs to the DNS provider.")
    return Edit("delete", present.data, present.existing.remote_id, present.data)


def what_breaks(sight: LiveZone, edits: Sequence[Edit]) -> list[str]:
    """Sentences about what these edits do to mail, and to records beside them."""
    said: list[str] = []
    touched = {edit.id for edit in edits if edit.id}
    written = [edit.record for edit in edits if edit.action != "delete"]
    stay = [one.data for one in sight.records if one.existing.remote_id not in touched]
    around = Surroundings(sight.zone.domain.name, [*stay, *written])
    for edit in edits:
        before = next((one for one in sight.records if one.existing.remote_id == edit.id), None)
        if before and before.kept:
            why = f"The mail setup keeps this {before.data.type} record: {before.kept.reason}"
            said.append(f"{why} It will be shown as missing, and mail may fail.")
        if edit.action != "delete":
            said += text_warnings(edit.record)
            said += around.warnings(edit.record)
            said += around.hidden_below(edit.record)
            said += _about_mail_and_ttl(sight, edit.record, stay)
    return said


def plan_of_edits(sight: LiveZone, edits: Sequence[Edit]) -> Plan:
    """What these edits come to in the zone as it was seen, and what they take away.

    Raises `RecordConflict` where the zone does not allow them.
    """
    present = [one.existing for one in sight.records]
    plan = plan_edits(
        sight.zone.domain.name,
        present,
        edits,
        lone_cname=sight.provider.capabilities.lone_cname,
        own_hosts=own_mail_hosts(),
    )
    if plan.conflicts:
        raise RecordConflict(" ".join(change.reason for change in plan.conflicts))
    return plan


def edit_records(
    actor: Actor, sight: LiveZone, edits: Sequence[Edit], *, confirmation: str = ""
) -> ChangePlan:
    """Have records written, changed or deleted; a worker does it at once.

    Raises `RecordConflict` and `ConfirmationRequired` where the zone, as it was seen, asks for it;
    what changes between now and then fails the job.
    """
    actor.require(ADMIN, "dns:write")
    plan, warnings = plan_of_edits(sight, edits), what_breaks(sight, edits)
    with transaction.atomic():
        zone = _lock(sight.zone)
        require_confirmation(plan.losses, digest=plan.digest, given=confirmation)
        row = ChangePlan.objects.create(
            zone=zone,
            created_by_id=actor.user_id,
            kind=ChangePlan.RECORDS,
            edits=[edit.to_json() for edit in edits],
            warnings=warnings,
            at_once=True,
            confirmation=plan.digest,
        )
        record(
            actor,
            "dns.records_asked",
            zone.domain,
            f"Asked to {_told(edits)} in the zone of {zone.domain}.",
            changes={"plan": str(row.pk)},
        )
        _start(actor, row, "dnszones.records", lock=f"zone:{zone.pk}")
        return row


def import_file(
    actor: Actor, zone_id: UUID, text: str, *, answers: Mapping[int, str] | None = None
) -> ChangePlan:
    """Have a worker compare a zone file with the zone; nothing is written before it is agreed.

    `answers`: one of `Question.answers` by the line of its question; the others are left out. An
    older plan of a file that was not applied is replaced. Raises `Invalid` with a sentence for each
    line, and `TooLarge`.
    """
    actor.require(ADMIN, "dns:write")
    zone = selectors.get_zone(actor, zone_id)
    provider = dns_provider(zone.domain.dns_credential)
    file = zonefiles.read(
        text, zone.domain.name, capabilities=provider.capabilities, provider=provider.label
    )
    edits = [Edit("create", found).to_json() for found in file.records]
    return _begin_import(
        actor,
        zone,
        edits=edits,
        warnings=list(file.warnings),
        questions=_answered(zone, file.records, file.questions, answers or {}),
    )


def answer_questions(actor: Actor, plan_id: UUID, answers: Mapping[int, str]) -> ChangePlan:
    """A new plan of the same zone file, after answers to the questions about its lines.

    Raises `PlanNotReady`, and `Invalid` for `answers`.
    """
    actor.require(ADMIN, "dns:write")
    row = selectors.get_plan(actor, plan_id)
    if row.kind != ChangePlan.IMPORT or row.status != ChangePlan.READY or row.reverts_id:
        raise PlanNotReady
    records = [Edit.from_json(stored).record for stored in row.edits]
    asked = [zonefiles.Question.from_json(stored) for stored in row.questions]
    return _begin_import(
        actor,
        row.zone,
        edits=row.edits,
        warnings=row.warnings,
        questions=_answered(row.zone, records, asked, answers),
    )


@transaction.atomic
def apply_import(
    actor: Actor, plan_id: UUID, *, replace_ids: Sequence[str] = (), confirmation: str = ""
) -> ChangePlan:
    """Write the shown plan of a file; with `replace_ids`, a new one that overwrites conflicts.

    The same again means that new one. Raises `PlanNotReady`, `ConfirmationRequired`.
    """
    actor.require(ADMIN, "dns:write")
    row = selectors.get_plan(actor, plan_id)
    if row.kind != ChangePlan.IMPORT or row.reverts_id:
        raise PlanNotReady
    if row.status == ChangePlan.SUPERSEDED:
        row = _successor(row, replace_ids) or row
    if row.status == ChangePlan.READY and replace_ids:
        agreed = agreed_replacements(row, replace_ids)
        if agreed != row.replace:
            return _begin_import(
                actor,
                row.zone,
                edits=row.edits,
                warnings=row.warnings,
                questions=row.questions,
                replace_ids=agreed,
                confirmation=confirmation,
            )
    if row.status == ChangePlan.COMPUTING and row.at_once:
        return row
    apply_plan(actor, row.pk, confirmation=confirmation)
    row.refresh_from_db()
    return row


def _successor(row: ChangePlan, replace_ids: Sequence[str]) -> ChangePlan | None:
    """The plan that the same request made of this one, if none has come after that."""
    newest = row.zone.plans.filter(kind=ChangePlan.IMPORT, reverts=None).first()
    if newest is None or newest.edits != row.edits or not newest.at_once:
        return None
    return newest if set(newest.replace) == {*row.replace, *replace_ids} else None


@transaction.atomic
def _begin_import(
    actor: Actor,
    zone: Zone,
    *,
    edits: list[dict[str, object]],
    warnings: list[str],
    questions: list[dict[str, object]],
    replace_ids: Sequence[str] = (),
    confirmation: str = "",
) -> ChangePlan:
    """A new plan of a zone file; what was agreed to is applied at once, if nothing is lost."""
    zone = _lock(zone)
    outdated = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.FAILED)
    imports = zone.plans.filter(kind=ChangePlan.IMPORT, reverts=None)
    for old in imports.filter(status__in=outdated):
        old.move(ChangePlan.SUPERSEDED)
    row = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        kind=ChangePlan.IMPORT,
        edits=edits,
        warnings=warnings,
        questions=questions,
        replace=list(replace_ids),
        at_once=bool(replace_ids),
        confirmation=confirmation,
    )
    record(
        actor,
        "dns.import_asked",
        zone.domain,
        f"Uploaded a zone file with {counted(len(edits), 'record')} for {zone.domain}.",
        changes={"plan": str(row.pk)},
    )
    if replace_ids:
        _start(actor, row, "dnszones.records", lock=f"zone:{zone.pk}")
    else:
        _start(actor, row, "dnszones.plan")
    return row


def _answered(
    zone: Zone,
    records: Sequence[RecordData],
    questions: Sequence[zonefiles.Question],
    answers: Mapping[int, str],
) -> list[dict[str, object]]:
    """The questions with their answers, to be kept in the plan. Raises `Invalid` for `answers`."""
    by_line = {question.line: question for question in questions}
    capabilities = dns_provider(zone.domain.dns_credential).capabilities
    taken = list(records)
    for line, answer in answers.items():
        if line not in by_line or answer not in by_line[line].answers:
            raise Invalid.field("answers", f"Line {line} has no such answer.")
        by_line[line] = replace(by_line[line], answer=answer)
        chosen = by_line[line].chosen
        if chosen is None:
            continue
        for one in taken:
            if one.name == chosen.name and excludes(
                one, chosen, lone_cname=capabilities.lone_cname
            ):
                why = f"Line {line}: {chosen.type} cannot stand beside {one.type} at {one.name}."
                raise Invalid.field("answers", why)
        taken.append(chosen)
    return [asdict(question) for question in by_line.values()]


def require_agreed(row: ChangePlan) -> None:
    """Raise `ConfirmationRequired` for a plan that takes away what nobody confirmed."""
    if plan := selectors.plan_of(row):
        require_confirmation(plan.losses, digest=plan.digest, given=row.confirmation)


def written(actor: Actor, plan_id: UUID) -> ChangePlan:
    """The plan of an edit or a file, as far as it is.

    Raises `ZoneChanged` and `ProviderError` where its job gave up.
    """
    row = selectors.get_plan(actor, plan_id)
    if row.status != ChangePlan.FAILED:
        return row
    job = selectors.job_of(row)
    code = (job and job.error_code) or "FAILED"
    message = (job and job.error_message) or "The work was cancelled."
    if code in CHANGED or not (job and job.error_code):
        raise ZoneChanged(message)
    raise ProviderError(code, message, retryable=True)


# --- Called by states ------------------------------------------------------------------------


@transaction.atomic
def finish_edits(plan: ChangePlan) -> None:
    """What a person wrote stands in the zone; what we keep at these names is looked at anew."""
    plan.move(ChangePlan.APPLIED, applied_at=timezone.now())
    computed = selectors.plan_of(plan)
    steps = computed.steps if computed else ()
    names = {data.name for step in steps for data in (step.after, *_before(step.before)) if data}
    plan.zone.records.filter(name__in=names).update(next_check_at=timezone.now())
    if computed:
        flattened.note_edit(plan.zone, computed)
    domain = plan.zone.domain
    changes = f"{len(steps)} change{'' if len(steps) == 1 else 's'}"
    what = "Took back" if plan.reverts_id else "Wrote"
    record(
        system(domain.tenant_id),
        "dns.records_written",
        domain,
        f"{what} {changes} in the zone of {domain}.",
        changes={"plan": str(plan.pk)},
    )


def _before(records: Sequence[ExistingRecord]) -> list[RecordData]:
    return [one.data for one in records]


def _lock(zone: Zone) -> Zone:
    """The zone, locked until the transaction ends. Raises `ZoneNotMade`, `DomainIsLeaving`."""
    locked = Zone.objects.select_for_update(of=("self",)).select_related("domain").get(pk=zone.pk)
    if locked.domain.status == Domain.DELETING:
        raise DomainIsLeaving
    if not locked.remote_id:
        raise ZoneNotMade
    return locked


def _start(actor: Actor, row: ChangePlan, workflow: str, *, lock: str = "") -> Job:
    return start_job(
        actor, workflow, subject_id=row.pk, subject_label=str(row.zone.domain), lock=lock
    )


def _absolute(name: str, zone: Zone) -> str:
    """The name as it is in DNS; without its last dot it may be relative to the zone."""
    apex, given = zone.domain.name, name.strip()
    plain = normal_name(given)
    if plain in {"", "@"}:
        return apex
    if plain == apex or plain.endswith(f".{apex}"):
        return plain
    if given.endswith("."):
        raise Invalid.field("name", f"This name is not in the zone of {apex}.")
    return f"{plain}.{apex}"


def _about_mail_and_ttl(
    sight: LiveZone, wanted: RecordData, others: Sequence[RecordData]
) -> list[str]:
    said = []
    keeps_mx = any(one.kept and one.data.key == wanted.key for one in sight.records)
    if wanted.type == "MX" and keeps_mx:
        said.append("Mail of this domain will be sent to this host, too.")
    others_ttl = {data.ttl for data in others if data.key == wanted.key} - {wanted.ttl}
    if sight.provider.capabilities.one_ttl_per_rrset and others_ttl:
        said.append(f"All {wanted.type} records of this name get the TTL {wanted.ttl}.")
    return said


def _told(edits: Sequence[Edit]) -> str:
    """What was asked for, to follow "Asked to"."""
    verbs = {"create": "add", "update": "change", "delete": "delete"}
    first = edits[0]
    if len(edits) > 1:
        return f"change {len(edits)} records"
    return f"{verbs[first.action]} {first.record.type} {first.record.name}"
