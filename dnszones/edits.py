"""What a person writes into a zone themselves: single records, and zone files.

Every edit is a change plan: a worker computes it against the zone, writes it and keeps what was
there before, so that it can be taken back (reverts.py).
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dnszones import dmarc, selectors, spf, zonefiles
from dnszones.changes import Edit, ExistingRecord, plan_edits
from dnszones.models import ChangePlan, Zone
from dnszones.records import (
    DEFAULT_TTL,
    RecordData,
    check_record,
    normal_name,
)
from dnszones.services import DomainIsLeaving, PlanNotReady, agreed_replacements, apply_plan
from dnszones.sights import Sight, ZoneNotMade, writable_types
from dnszones.vendors import dns_provider
from domains.models import Domain
from events.services import record
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid, ProviderError
from provisioning.models import Job
from provisioning.services import start_job


class RecordConflict(Conflict):
    """Another record of the zone stands in the way."""

    code = "RECORD_CONFLICT"


class ZoneChanged(Conflict):
    """The zone was changed meanwhile, so nothing was written. Look again."""

    code = "ZONE_CHANGED"


# Codes of jobs after which the person must look at the zone again.
CHANGED = {"ZONE_CHANGED", "RECORD_CONFLICT", "RECORD_EXISTS", "RECORD_GONE", "PLAN_NOT_READY"}


def wanted_record(sight: Sight, record: RecordData, *, was: RecordData | None = None) -> RecordData:
    """A record as somebody gave it, checked: `name` may be relative to the zone.

    `was`: the present one, whose TTL may stay whatever it is. Raises `Invalid` with the field.
    """
    zone, provider = sight.zone, sight.provider
    given = replace(record, type=record.type.upper(), name=_absolute(record.name, zone))
    if was is not None and was.ttl == given.ttl:
        usual = wanted_record(sight, replace(given, ttl=DEFAULT_TTL))
        return usual if usual.proxied else replace(usual, ttl=was.ttl)
    types = writable_types(provider.capabilities)
    if given.type not in types:
        message = f"{provider.label} holds no records of this type, only {', '.join(types)}."
        raise Invalid.field("type", message)
    if given.proxied and not provider.capabilities.proxies:
        raise Invalid.field("proxied", f"{provider.label} has no proxy for records.")
    checked = check_record(given)
    if checked.type in {"NS", "DS"} and checked.name == zone.domain.name:
        raise Invalid.field(
            "type", f"{checked.type} of the zone itself is not written here, only below it."
        )
    return checked


def change_of(sight: Sight, record_id: str, record: RecordData) -> Edit:
    """A change of one record, as somebody gave it.

    Raises `RecordNotFound`, `RecordConflict`, `Invalid`.
    """
    present = sight.get(record_id)
    if not present.is_editable:
        raise RecordConflict("This record belongs to the DNS provider, or cannot be written here.")
    wanted = wanted_record(sight, record, was=present.data)
    return Edit("update", wanted, present.existing.remote_id, present.data)


def removal_of(sight: Sight, record_id: str) -> Edit:
    """The deletion of one record. Raises `RecordNotFound`, `RecordConflict`."""
    present = sight.get(record_id)
    if present.is_providers:
        raise RecordConflict("This record belongs to the DNS provider.")
    return Edit("delete", present.data, present.existing.remote_id, present.data)


def what_breaks(sight: Sight, edits: Sequence[Edit]) -> list[str]:
    """Sentences about what these edits do to mail, and to records beside them."""
    said: list[str] = []
    for edit in edits:
        before = next((one for one in sight.records if one.existing.remote_id == edit.id), None)
        if before and before.kept:
            why = f"The mail setup keeps this {before.data.type} record: {before.kept.reason}"
            said.append(f"{why} It will be shown as missing, and mail may fail.")
        if edit.action != "delete":
            others = [one.data for one in sight.records if one is not before]
            said += _what_stands_beside(sight, edit.record, others)
    return said


@transaction.atomic
def edit_records(actor: Actor, sight: Sight, edits: Sequence[Edit]) -> ChangePlan:
    """Have records written, changed or deleted; a worker does it at once.

    Raises `RecordConflict` where the zone, as it was seen, does not allow it; what changes between
    now and then fails the job.
    """
    actor.require(ADMIN, "dns:write")
    zone = _lock(sight.zone)
    plan = plan_edits(
        zone.domain.name,
        [one.existing for one in sight.records],
        edits,
        lone_cname=sight.provider.capabilities.lone_cname,
    )
    if plan.conflicts:
        raise RecordConflict(" ".join(change.reason for change in plan.conflicts))
    row = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        kind=ChangePlan.RECORDS,
        edits=[edit.to_json() for edit in edits],
        warnings=what_breaks(sight, edits),
        at_once=True,
        confirmed=True,
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


def import_file(actor: Actor, zone_id: UUID, text: str) -> ChangePlan:
    """Have a worker compare a zone file with the zone; nothing is written before it is agreed.

    An older plan of a file that was not applied is replaced. Raises `Invalid` with a sentence for
    each line, and `TooLarge`.
    """
    actor.require(ADMIN, "dns:write")
    zone = selectors.get_zone(actor, zone_id)
    provider = dns_provider(zone.domain.dns_credential)
    types = writable_types(provider.capabilities)
    file = zonefiles.read(text, zone.domain.name, types=types, provider=provider.label)
    records = file.records
    if provider.capabilities.one_ttl_per_rrset:
        records = zonefiles.with_one_ttl(records)
    edits = [Edit("create", found).to_json() for found in records]
    return _begin_import(actor, zone, edits=edits, warnings=list(file.left_out))


@transaction.atomic
def apply_import(
    actor: Actor, plan_id: UUID, *, replace_ids: Sequence[str] = (), confirmed: bool = False
) -> ChangePlan:
    """Write the shown plan of a file; with `replace_ids`, a new one that overwrites conflicts.

    Raises `PlanNotReady`, `PlanNeedsConfirmation`.
    """
    actor.require(ADMIN, "dns:write")
    row = selectors.get_plan(actor, plan_id)
    if row.kind != ChangePlan.IMPORT or row.reverts_id:
        raise PlanNotReady
    if row.status == ChangePlan.READY and replace_ids:
        agreed = agreed_replacements(row, replace_ids)
        if agreed != row.replace:
            return _begin_import(
                actor,
                row.zone,
                edits=row.edits,
                warnings=row.warnings,
                replace_ids=agreed,
                confirmed=confirmed,
            )
    apply_plan(actor, plan_id, confirmed=confirmed)
    row.refresh_from_db()
    return row


@transaction.atomic
def _begin_import(
    actor: Actor,
    zone: Zone,
    *,
    edits: list[dict[str, object]],
    warnings: list[str],
    replace_ids: Sequence[str] = (),
    confirmed: bool = False,
) -> ChangePlan:
    """A new plan of a zone file; what was agreed to is applied at once."""
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
        replace=list(replace_ids),
        at_once=bool(replace_ids),
        confirmed=confirmed,
    )
    record(
        actor,
        "dns.import_asked",
        zone.domain,
        f"Gave a zone file with {len(edits)} records for {zone.domain}.",
        changes={"plan": str(row.pk)},
    )
    if replace_ids:
        _start(actor, row, "dnszones.records", lock=f"zone:{zone.pk}")
    else:
        _start(actor, row, "dnszones.plan")
    return row


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


def _what_stands_beside(
    sight: Sight, wanted: RecordData, others: Sequence[RecordData]
) -> list[str]:
    rrset = [data for data in others if data.key == wanted.key]
    said = []
    for belongs, what in ((spf.is_spf, "SPF"), (dmarc.looks_like_dmarc, "DMARC")):
        is_one = wanted.type == "TXT" and belongs(wanted.content)
        if is_one and any(belongs(data.content) for data in rrset):
            said.append(f"With a second {what} record at this name, receivers use neither.")
    keeps_mx = any(one.kept and one.data.key == wanted.key for one in sight.records)
    if wanted.type == "MX" and keeps_mx:
        said.append("Mail of this domain will be sent to this host, too.")
    others_ttl = {data.ttl for data in rrset} - {wanted.ttl}
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
