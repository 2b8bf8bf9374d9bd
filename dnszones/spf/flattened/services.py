"""Flattened SPF records: what a customer sees of one, looking at it now, stopping it.

Their source is looked at by sweep.py; see docs/decisions/0023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dnszones import selectors
from dnszones.models import ChangePlan, Record, SpfFlattening, SpfFlatteningChange, Zone
from dnszones.plans import Change, services
from dnszones.records import DEFAULT_TTL
from dnszones.spf.flattened import records as flattened
from dnszones.spf.flattened.plans import CLEAN, REFRESH, STOP
from domains.models import Domain
from domains.selectors import get_domain
from events.services import record
from mpanel.core import periodic
from mpanel.core.actor import Actor, system
from mpanel.core.errors import Conflict
from provisioning.models import Job
from provisioning.selectors import newest_job
from provisioning.services import forget_failed_jobs, start_job

WORKFLOW = "dnszones.spf"
SWEEP = "dnszones.spf"
LONGEST_WAIT = timedelta(days=1)  # between two tries to publish
UNDER_WAY = (ChangePlan.COMPUTING, ChangePlan.APPLYING)
SHOWN_CHANGES = 20


class NotFlattened(Conflict):
    """The SPF record of this domain is not flattened."""

    code = "SPF_NOT_FLATTENED"


@dataclass(frozen=True)
class SpfReport:
    """How a domain's SPF record stands. `record`: that of the mail setup, where there is one."""

    record: Record | None
    flattening: SpfFlattening | None
    history: tuple[SpfFlatteningChange, ...]
    job: Job | None

    @property
    def status(self) -> str:
        """One of `SpfFlattening.STATUSES`, or "off"."""
        return self.flattening.status if self.flattening else "off"

    @property
    def is_flattened(self) -> bool:
        return self.status in {SpfFlattening.LIVE, SpfFlattening.EDITED}

    @property
    def is_under_way(self) -> bool:
        return self.job is not None and self.job.is_active


def spf_report(actor: Actor, domain_id: UUID) -> SpfReport:
    """The SPF record of a domain. Raises `DomainNotFound`."""
    actor.need("dns:read")
    domain = get_domain(actor, domain_id)
    found = SpfFlattening.objects.filter(zone__domain=domain).first()
    rows = Record.objects.filter(zone__domain=domain, purpose="spf", name=domain.name)
    history = found.history.select_related("plan")[:SHOWN_CHANGES] if found else ()
    plans = ChangePlan.objects.filter(zone__domain=domain, kind=ChangePlan.SPF)
    newest = plans.values_list("pk", flat=True).first()
    job = newest_job(newest) if newest else None
    shows = job is not None and (job.is_active or job.status == Job.FAILED)
    return SpfReport(rows.first(), found, tuple(history), job if shows else None)


@transaction.atomic
def check_spf_now(actor: Actor, domain_id: UUID) -> SpfFlattening:
    """Look at the source now rather than when it is due. Raises `NotFlattened`."""
    actor.need("dns:read")
    flattening = _kept(get_domain(actor, domain_id))
    SpfFlattening.objects.filter(pk=flattening.pk).update(next_check_at=timezone.now())
    periodic.start(SWEEP)
    return flattening


@transaction.atomic
def stop_flattening(actor: Actor, domain_id: UUID) -> SpfFlattening:
    """Publish the source again, and look at it no more; a job does it.

    What somebody else changed meanwhile stays as it is. Raises `NotFlattened`, and what
    `lock_zone` raises.
    """
    domain = get_domain(actor, domain_id)
    zone = services.lock_zone(actor, domain)
    flattening = _kept(domain)
    stopping = zone.plans.filter(kind=ChangePlan.SPF, status__in=UNDER_WAY, spf__goal=STOP)
    if stopping.exists():
        return flattening
    record(actor, "dns.spf_stopped", domain, f"Stopped flattening the SPF record of {domain}.")
    if flattening.status == SpfFlattening.EDITED:
        flattened.stop(flattening, None, text="", ttl=DEFAULT_TTL)
        return flattening
    begin_plan(actor, flattening, {"goal": STOP}, label="Publish the SPF record's source")
    return flattening


def _kept(domain: Domain) -> SpfFlattening:
    kept = (SpfFlattening.LIVE, SpfFlattening.EDITED)
    found = SpfFlattening.objects.select_related("zone__domain").filter(zone__domain=domain)
    if flattening := found.filter(status__in=kept).first():
        return flattening
    raise NotFlattened


# --- Called by states and sweeps --------------------------------------------------------------


@transaction.atomic
def begin_plan(
    actor: Actor, flattening: SpfFlattening, what: dict[str, object], *, label: str = ""
) -> Job:
    """Have a flattened record written. `what`: the `spf` of the plan (flattening_plans.py)."""
    zone = flattening.zone
    # The new one stands for those that failed: one failed job is shown at most.
    failed = zone.plans.filter(kind=ChangePlan.SPF, status=ChangePlan.FAILED)
    forget_failed_jobs(failed.values("pk"), WORKFLOW)
    failed.update(status=ChangePlan.SUPERSEDED, updated_at=timezone.now())
    row = ChangePlan.objects.create(
        zone=zone,
        created_by_id=actor.user_id,
        kind=ChangePlan.SPF,
        spf=what,
        at_once=True,
    )
    return start_job(
        actor,
        WORKFLOW,
        label=label,
        subject_id=row.pk,
        subject_label=str(zone.domain),
        lock=f"zone:{zone.pk}",
    )


@transaction.atomic
def finish_spf(plan: ChangePlan) -> None:
    """A plan about a flattened record stands in the zone."""
    assert plan.spf is not None
    plan.move(ChangePlan.APPLIED, applied_at=timezone.now())
    zones = Zone.objects.select_for_update(of=("self",)).select_related("domain")
    zone = zones.get(pk=plan.zone_id)
    flattening = SpfFlattening.objects.select_for_update(of=("self",)).get(zone=zone)
    flattening.zone = zone
    goal, domain = plan.spf["goal"], zone.domain
    written = selectors.plan_of(plan)
    steps = written.steps if written else ()
    ttl = max([DEFAULT_TTL, *(old.data.ttl for step in steps for old in step.before)])
    if goal == REFRESH:
        note_recovery(flattening)
        came, went = flattened.publish(flattening, plan.spf, plan, ttl=ttl)
        record(
            system(domain.tenant_id),
            "dns.spf_refreshed",
            domain,
            f"The SPF record of {domain} got {len(came)} new networks and lost {len(went)}.",
            changes={"added": came, "removed": went, "plan": str(plan.pk)},
        )
    elif goal == STOP and flattening.status == SpfFlattening.LIVE:
        flattened.stop(flattening, plan, text=flattening.source, ttl=ttl)
    _forget_former_parts(flattening, plan, steps)
    flattened.keep_rows(zone)
    zone.records.filter(purpose="spf").update(next_check_at=timezone.now())


def _forget_former_parts(
    flattening: SpfFlattening, plan: ChangePlan, steps: Sequence[Change]
) -> None:
    """Former parts that the plan took away go; one that is still included stays a day longer."""
    gone = {
        (old.data.name, old.data.content)
        for step in steps
        if step.action == "delete"
        for old in step.before
    }
    left = []
    for one in flattening.leaving:
        until = parse_datetime(one["until"])
        if (one["name"], one["text"]) in gone:
            continue
        if until and plan.computed_at and until <= plan.computed_at:
            one["until"] = (timezone.now() + flattened.ASKED_AGAIN).isoformat()
        left.append(one)
    flattened.set_leaving(flattening, left)
    flattening.save(update_fields=["leaving", "leaving_at", "updated_at"])


@transaction.atomic
def fail_spf(plan: ChangePlan, code: str = "", message: str = "") -> None:
    """A fresh record could not be published: what is published stays."""
    services.fail_plan(plan)
    found = SpfFlattening.objects.select_related("zone__domain").filter(zone=plan.zone_id)
    if code and plan.spf is not None and plan.spf["goal"] == CLEAN:
        # Former parts harm nobody.
        found.update(leaving_at=timezone.now() + flattened.ASKED_AGAIN)
    flattening = found.filter(status=SpfFlattening.LIVE).first()
    if flattening is None or plan.spf is None or plan.spf["goal"] == CLEAN:
        return
    if code == "ZONE_CHANGED":
        flattened.mark_edited(flattening)
    elif code:
        note_failure(flattening, f"The record could not be published: {message}")
        flattening.next_check_at = _next_try(flattening)
        flattening.save(update_fields=["error", "failing_since", "next_check_at", "updated_at"])


def _next_try(flattening: SpfFlattening) -> datetime:
    """After as long again as it has failed already, between the least interval and a day."""
    now = timezone.now()
    failing = now - (flattening.failing_since or now)
    return now + min(max(failing, flattened.LEAST_INTERVAL), LONGEST_WAIT)


def note_failure(flattening: SpfFlattening, why: str) -> None:
    """The source cannot be followed: an alert, once. The caller saves the row."""
    is_new = not flattening.error
    flattening.error = why
    if is_new:
        flattening.failing_since = timezone.now()
        domain = flattening.zone.domain
        text = f"The senders of {domain}'s SPF record cannot be looked up. {why}"
        record(system(domain.tenant_id), "dns.spf_failing", domain, text)


def note_recovery(flattening: SpfFlattening) -> None:
    """The source can be followed again. The caller saves the row."""
    if flattening.error:
        flattening.error, flattening.failing_since = "", None
        domain = flattening.zone.domain
        text = f"The senders of {domain}'s SPF record can be looked up again."
        record(system(domain.tenant_id), "dns.spf_recovered", domain, text)
