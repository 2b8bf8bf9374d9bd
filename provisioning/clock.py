"""The clock's work: notify workers of due jobs and dead runners, start the sweeps that are due."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from provisioning import sweeps
from provisioning.models import Heartbeat, Job, Lease
from provisioning.services import notify

BEATS_MISSED = 5  # until another clock takes over
NOTIFY_AGAIN_AFTER = timedelta(seconds=10)
MOST_AT_ONCE = 200


def notify_of_due_jobs() -> int:
    """Notify workers of every job that is due, if nobody did just now. How many."""
    now = timezone.now()
    # Not since its time came or its runner died, or in vain.
    unheard = (
        Q(notified_at__lt=F("run_at"))
        | Q(notified_at__lt=F("lease_until"))
        | Q(notified_at__lt=now - NOTIFY_AGAIN_AFTER)
    )
    with transaction.atomic():
        due = list(
            Job.objects.due(now)
            .filter(unheard)
            .order_by("run_at")
            .values_list("pk", flat=True)[:MOST_AT_ONCE]
        )
        Job.objects.filter(pk__in=due).update(notified_at=now)
        for job_id in due:
            notify(job_id)
    return len(due)


def tick(holder: UUID) -> bool:
    """One beat of the clock; False when another process is the clock."""
    lease = max(3.0, BEATS_MISSED * settings.TICK_INTERVAL)
    if not Lease.take("clock", holder=holder, seconds=lease):
        return False
    notify_of_due_jobs()
    sweeps.start_due()
    Heartbeat.beat("clock")
    return True
