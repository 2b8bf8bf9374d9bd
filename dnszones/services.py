"""Change plans and propagation sessions: making, applying, taking back; starting, cancelling."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from dnszones import selectors
from dnszones.dkim import key_choice
from dnszones.dkim import records as dkim
from dnszones.mail_records import MailSetup, desired_records
from dnszones.models import SESSION_LASTS, ChangePlan, DkimKey, PropagationSession, Record, Zone
from dnszones.ownership_record import proof_record
from dnszones.plans import ChangePlan as Plan
from dnszones.records import RecordData, same_value
from dnszones.spf.flattened import records as flattened
from dnszones.vendors import chosen_setup
from domains.models import Domain
from domains.selectors import get_domain
from domains.services import mark_ready
from events.services import record
from mpanel.core import periodic
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.losses import MOST_SAID, Loss, require_confirmation
from mpanel.core.wording import counted
from provisioning.models import Job
from provisioning.services import request_cancel, start_job

OWN_DKIM = ("mailserver", "custom")
MOST_DKIM_KEYS = 10  # in one zone: each is made and kept for whoever names a new selector


class DomainNotVerified(Conflict):
    """The domain's nameservers do not point here yet, so nobody would see its records."""

    code = "DOMAIN_NOT_VERIFIED"


class DomainIsLeaving(Conflict):
    """This domain is being disconnected, so nothing more is written for it."""

    code = "DOMAIN_IS_LEAVING"


class MoreWouldGo(Conflict):
    """The zone was changed since you confirmed what goes dark. Nothing was removed."""

    code = "ZONE_CHANGED"

    def __init__(self, losses: Sequence[Loss]) -> None:
        told = " ".join(loss.sentence for loss in losses[:MOST_SAID])
        super().__init__(
            f"The zone was changed since you confirmed what goes dark: {told} Nothing was removed. "
            "Disconnect the domain once more if you want that."
        )


class PlanNotReady(Conflict):
    """This plan cannot be applied: it is not ready, or a newer one replaced it. Make a new plan."""

    code = "PLAN_NOT_READY"


class TooManyKeys(Conflict):
    """This zone has the most DKIM keys that it can have. Use one of its selectors."""

    code = "TOO_MANY_DKIM_KEYS"


@transaction.atomic
def make_plan(actor: Actor, domain_id: UUID, *, choices: dict[str, Any]) -> ChangePlan:
    """Have a worker read the zone and compute what a mail setup would change; nothing is written.

    `choices`: fields of `MailSetup`. An older plan that was not applied is replaced. Raises
    `Invalid` with fields.
    """
    domain = get_domain(actor, domain_id)
    return begin_plan(actor, domain, chosen_setup(domain, choices))


@transaction.atomic
def agree_to_replace(actor: Actor, plan_id: UUID, *, replace_ids: Sequence[str]) -> ChangePlan:
    """Plan again with the same setup, and overwrite these conflicts, as the customer agreed."""
    actor.require(ADMIN, "dns:write")
    plan = selectors.get_plan(actor, plan_id)
    if plan.status != ChangePlan.READY or plan.kind != ChangePlan.SETUP:
        raise PlanNotReady
    setup, agreed = MailSetup.from_json(plan.setup), agreed_replacements(plan, replace_ids)
    return begin_plan(actor, plan.zone.domain, setup, replace_ids=agreed)


def agreed_replacements(plan: ChangePlan, replace_ids: Sequence[str]) -> list[str]:
    """Which conflicts may be overwritten: those agreed to before, and of these ids the shown ones.

    Raises `PlanNotReady` for a plan that was never computed.
    """
    computed = selectors.plan_of(plan)
    if computed is None:
        raise PlanNotReady
    shown = {change.id for change in computed.conflicts}
    return sorted({*plan.replace, *shown.intersection(replace_ids)})


@transaction.atomic
def apply_plan(actor: Actor, plan_id: UUID, *, confirmation: str = "") -> Job:
    """Apply the plan that was shown, and no other. Twice gives the same job.

    `confirmation`: the plan's digest, where something is lost. Raises `ConfirmationRequired`,
    `PlanNotReady`, `DomainIsLeaving`.
    """
    actor.require(ADMIN, "dns:write")
    plan = selectors.get_plan(actor, plan_id)
    computed = selectors.plan_of(plan)
    running = Job.objects.filter(subject_id=plan.pk, workflow="dnszones.apply").first()
    if plan.status == ChangePlan.APPLYING and running:
        return running
    if plan.status != ChangePlan.READY or computed is None:
        raise PlanNotReady
    if plan.zone.domain.status == Domain.DELETING:
        raise DomainIsLeaving
    require_confirmation(computed.losses, digest=computed.digest, given=confirmation)
    begin_applying(plan)
    domain = plan.zone.domain
    record(
        actor,
        "dns.plan_applied",
        domain,
        f"Applied a DNS plan with {counted(len(computed.steps), 'change')} to {domain}.",
        changes={"plan": str(plan.pk), "changes": len(computed.steps)},
    )
    return start_job(
        actor,
        "dnszones.apply",
        label="Write the DNS records",
        subject_id=plan.pk,
        subject_label=str(domain),
        lock=f"zone:{plan.zone_id}",
    )


def start_session(actor: Actor, domain_id: UUID) -> PropagationSession:
    """Watch the domain's records spread; the running session again, if there is one."""
    return join_session(actor, domain_id)[0]


@transaction.atomic
def join_session(actor: Actor, domain_id: UUID) -> tuple[PropagationSession, bool]:
    """The running session of a domain, or a new one; and whether it is new."""
    actor.need("dns:write")
    domain = get_domain(actor, domain_id)
    zone = Zone.objects.select_for_update().filter(domain=domain).first()
    if zone is None or not zone.records.exists():
        raise Conflict("There are no records to watch yet. Apply a DNS plan first.")
    running = zone.sessions.filter(status=PropagationSession.POLLING).first()
    session = watch_zone(zone)
    return session, session != running


@transaction.atomic
def cancel_session(actor: Actor, session_id: UUID) -> PropagationSession:
    """Stop a session. Twice is harmless."""
    actor.require(ADMIN, "dns:write")
    session = selectors.get_session(actor, session_id)
    if session.status != PropagationSession.CANCELLED:
        session.move(PropagationSession.CANCELLED, completed_at=timezone.now())
        domain = session.zone.domain
        record(actor, "dns.watch_cancelled", domain, f"Stopped watching {domain}’s DNS.")
    return session


@transaction.atomic
def check_records_now(actor: Actor, domain_id: UUID) -> Domain:
    """Look at the domain's records now rather than at the next interval."""
    actor.need("dns:read")
    domain = get_domain(actor, domain_id)
    if Record.objects.filter(zone__domain=domain).update(next_check_at=timezone.now()):
        periodic.start("dnszones.propagation")
    return domain


def check_session_now(actor: Actor, session_id: UUID) -> PropagationSession:
    """Look at the records of a session's domain now."""
    session = selectors.get_session(actor, session_id)
    check_records_now(actor, session.zone.domain_id)
    return session


@transaction.atomic
def go_on_before_propagated(actor: Actor, domain_id: UUID) -> Domain:
    """Go on although some caches are behind; the zone itself must have all required records."""
    actor.require(ADMIN, "dns:write")
    domain = get_domain(actor, domain_id)
    required = Record.objects.filter(zone__domain=domain, level="required")
    if domain.status != Domain.DNS_CONFIGURING:
        return domain
    if any(row.verdict != "matches" for row in required):
        raise Conflict(
            "The zone's own nameservers do not have every required record yet, so going on would "
            "give inboxes that cannot receive or are not trusted."
        )
    mark_ready(domain)
    record(actor, "domain.ready", domain, f"Went on with {domain} before all caches were current.")
    return domain


def begin_plan(
    actor: Actor,
    domain: Domain,
    setup: MailSetup,
    *,
    replace_ids: Sequence[str] = (),
    at_once: bool = False,
    confirmation: str = "",
) -> ChangePlan:
    """A new plan for a setup, in the caller's transaction; it replaces what was not applied yet.

    `at_once`: apply it as soon as it is computed, where nothing is lost or what is lost has the
    digest `confirmation`.
    """
    zone = lock_zone(actor, domain)
    if setup.platform == "mailserver" and setup.dkim_value:
        raise Invalid.field(
            "dkim_value", "The mPanel mail server signs with a key of its own. Leave this empty."
        )
    desired_records(with_own_key(zone, setup))
    outdated = (ChangePlan.COMPUTING, ChangePlan.READY, ChangePlan.FAILED)
    replaced = list(zone.plans.filter(kind=ChangePlan.SETUP, status__in=outdated))
    for old in replaced:
        old.move(ChangePlan.SUPERSEDED)
    # What would have been applied at once ends here: nothing failed, so nobody is told.
    setups = Job.objects.filter(workflow="dnszones.setup")
    request_cancel(setups.filter(subject_id__in=[old.pk for old in replaced]))
    plan = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        setup=setup.to_json(),
        replace=list(replace_ids),
        at_once=at_once,
        confirmation=confirmation,
    )
    if at_once:
        record(actor, "dns.setup_asked", domain, f"Asked to set up the mail records of {domain}.")
    start_job(
        actor,
        "dnszones.setup" if at_once else "dnszones.plan",
        label="Set up the DNS records" if at_once else "Plan the DNS changes",
        subject_id=plan.pk,
        subject_label=str(domain),
        lock=f"zone:{zone.pk}" if at_once else "",
    )
    return plan


def lock_zone(actor: Actor, domain: Domain) -> Zone:
    """The zone of a domain whose records may be planned, locked until the transaction ends.

    Raises `DomainNotVerified`, `DomainIsLeaving`.
    """
    actor.require(ADMIN, "dns:write")
    zone = Zone.objects.select_for_update().filter(domain=domain).first()
    if zone is None or not domain.is_verified:
        raise DomainNotVerified
    if domain.status == Domain.DELETING:
        raise DomainIsLeaving
    return zone


# --- Called by states and sweeps -------------------------------------------------------------


def begin_applying(plan: ChangePlan, /, **columns: Any) -> None:
    """From here on the plan is written. Raises `PlanNotReady` while another one of its zone is."""
    try:
        with transaction.atomic():
            plan.move(ChangePlan.APPLYING, **columns)
    except IntegrityError:
        raise PlanNotReady(
            "Another plan is being applied to this zone just now. Try again when it is done."
        ) from None


def with_own_key(zone: Zone, setup: MailSetup) -> MailSetup:
    """The setup with our DKIM key filled in, where the platform signs with ours."""
    if setup.platform not in OWN_DKIM or setup.dkim_value:
        return setup
    key = dkim_key(zone, key_choice.selector_for(zone, setup))
    return replace(setup, dkim_selector=key.selector, dkim_value=key.public_value)


@transaction.atomic
def dkim_key(zone: Zone, selector: str) -> DkimKey:
    """Our DKIM key of a selector, made at the first call. Raises `TooManyKeys`."""
    Zone.objects.select_for_update().get(pk=zone.pk)
    if known := zone.dkim_keys.filter(selector=selector).first():
        return known
    if zone.dkim_keys.exclude(status=DkimKey.RETIRED).count() >= MOST_DKIM_KEYS:
        raise TooManyKeys
    pair = dkim.make_key()
    is_first = not zone.dkim_keys.filter(status=DkimKey.SIGNING).exists()
    key = DkimKey(zone=zone, selector=selector, public_value=pair.value)
    if is_first:
        key.status, key.signing_since = DkimKey.SIGNING, timezone.now()
    key.seal_private(pair.private_pem)
    key.save()
    return key


def watch_zone(zone: Zone) -> PropagationSession:
    """The zone's running session, a new one if there is none; its records are due now."""
    zone.records.update(next_check_at=timezone.now())
    running = zone.sessions.filter(status=PropagationSession.POLLING).first()
    return running or PropagationSession.objects.create(
        zone=zone, timeout_at=timezone.now() + SESSION_LASTS
    )


@transaction.atomic
def finish_plan(plan: ChangePlan) -> None:
    """All of a plan stands in the zone: keep its records, and watch them spread."""
    plan.move(ChangePlan.APPLIED, applied_at=timezone.now())
    zone, domain = plan.zone, Domain.objects.get(pk=plan.zone.domain_id)
    in_force = plan if plan.reverts_id is None else selectors.revertible_plan(domain)
    applied = selectors.plan_of(plan)
    if applied is not None:
        key_choice.follow_setup(zone, MailSetup.from_json(plan.setup), applied)
        flattened.follow_setup(zone, plan, applied)
    standing = selectors.plan_of(in_force) if in_force else None
    if standing and in_force != plan:
        standing = flattened.as_it_is_now(zone, standing)
    keep_records(zone, standing, applied=applied)
    flattened.keep_rows(zone)
    if in_force is None:
        zone.sessions.filter(status=PropagationSession.POLLING).update(
            status=PropagationSession.CANCELLED, completed_at=timezone.now()
        )
        if domain.can_move(Domain.VERIFIED):
            domain.move(Domain.VERIFIED)
        return
    watch_zone(zone)
    if domain.status == Domain.VERIFIED or (
        domain.status == Domain.READY and _changes_what_is_required(applied)
    ):
        domain.move(Domain.DNS_CONFIGURING)
    record(system(domain.tenant_id), "dns.written", domain, f"Wrote the mail records of {domain}.")


def _changes_what_is_required(plan: Plan | None) -> bool:
    """Whether a plan wrote a record, or left out one, without which mail does not work."""
    return plan is not None and any(
        change.level == "required" and change.action != "keep" for change in plan.changes
    )


def compute_again(plan: ChangePlan) -> None:
    """The job of a plan that could not be computed is tried again."""
    if plan.status == ChangePlan.FAILED and plan.plan is None:
        plan.move(ChangePlan.COMPUTING)


def fail_plan(plan: ChangePlan, *why: str) -> None:
    """The job of a plan failed (`why`: its code and sentence) or was cancelled."""
    if plan.can_move(ChangePlan.FAILED):
        plan.move(ChangePlan.FAILED)


def our_data(zone: Zone, *, but: ChangePlan | None = None) -> list[RecordData]:
    """What we wrote into a zone: the records we keep, and what plans that did not end wrote.

    A plan that was begun and then failed or was cancelled may have written all of it. `but` is the
    plan under way, whose own writes it judges by itself.
    """
    rows = zone.records.filter(ours=True)
    # A plan leaves alone what stands beside the mail setup (extras.py).
    ours = [row.data for row in (rows.exclude(purpose="other") if but else rows)]
    if but is None:
        ours.append(proof_record(zone.domain))
    kinds = (ChangePlan.SETUP, ChangePlan.SPF)
    begun = zone.plans.filter(kind__in=kinds, snapshot__isnull=False, applied_at=None)
    for row in begun.exclude(pk__in=[but.pk] if but else []):
        plan = selectors.plan_of(row)
        ours += [
            change.after
            for change in (plan.steps if plan else ())
            if change.after is not None and all(before.ours for before in change.before)
        ]
    return ours


def keep_records(zone: Zone, plan: Plan | None, *, applied: Plan | None = None) -> None:
    """Make the zone's `Record` rows those that the setup needs, and a DKIM rotation (`applied`: the
    plan that was written just now, which may be older than the rotation).

    A required record that could not be written for a conflict is among them: it is watched like the
    others, shows as a conflict, and keeps the domain from becoming ready.
    """
    rows = list(zone.records.exclude(purpose="other"))
    kept = []
    for change in plan.changes if plan else ():
        is_conflict = change.action == "conflict"
        if change.after is None or (is_conflict and change.level != "required"):
            continue
        if key_choice.is_retired(zone, change.after):
            continue
        known = next((row for row in rows if same_value(row.data, change.after)), None)
        row = known or Record(
            zone=zone,
            name=change.after.name,
            type=change.after.type,
            content=change.after.content,
            priority=change.after.priority,
        )
        row.ttl = change.after.ttl
        row.purpose, row.level, row.reason = change.purpose, change.level, change.reason
        row.ours = (
            row.ours
            or change.action == "create"
            or bool(change.before and all(before.ours for before in change.before))
        ) and not is_conflict
        row.save()
        kept.append(row.pk)
    kept += [row.pk for row in key_choice.rows_that_stay(zone, applied)]
    zone.records.exclude(pk__in=kept).exclude(purpose="other").delete()
