"""The clock's work: ring for due jobs and dead runners, start the sweeps that are due."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from provisioning import sweeps
from provisioning.models import Heartbeat, Job, Lease
from provisioning.services import ring

BEATS_MISSED = 5  # until another clock takes over
RING_AGAIN_AFTER = timedelta(seconds=10)
MOST_AT_ONCE = 200


def ring_due_jobs() -> int:
    """Ring for every job that is due and was not rung for just now. How many."""
    now = timezone.now()
    # Never rung for since its time came or its runner died, or rung for and nobody came.
    unheard = (
        Q(rung_at__lt=F("run_at"))
        | Q(rung_at__lt=F("lease_until"))
        | Q(rung_at__lt=now - RING_AGAIN_AFTER)
    )
    with transaction.atomic():
        due = list(
            Job.objects.due(now)
            .filter(unheard)
            .order_by("run_at")
            .values_list("pk", flat=True)[:MOST_AT_ONCE]
        )
        Job.objects.filter(pk__in=due).update(rung_at=now)
        for job_id in due:
            ring(job_id)
    return len(due)


def tick(holder: UUID) -> bool:
    """One beat of the clock; False when another process is the clock."""
    lease = max(3.0, BEATS_MISSED * settings.TICK_INTERVAL)
    if not Lease.take("clock", holder=holder, seconds=lease):
        return False
    ring_due_jobs()
    sweeps.start_due()
    Heartbeat.beat("clock")
    return True
