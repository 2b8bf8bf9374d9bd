"""How queue and clock stand, as `/api/status` and the admin tell it."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import OrmQ

from mpanel.core.probes import DEGRADED, DOWN, OK
from provisioning.models import Heartbeat

CLOCK = "clock"
CLOCK_MAY_PAUSE = timedelta(seconds=30)
HEARD_WITHIN = timedelta(minutes=1)


def workers_alive() -> int:
    """How many workers have proved of late that they work."""
    since = timezone.now() - timedelta(seconds=settings.WORKER_STALE_AFTER)
    return Heartbeat.objects.filter(seen_at__gte=since).exclude(name=CLOCK).count()


def queue() -> str:
    """Down without a worker; degraded while a message waits longer than it should."""
    if not workers_alive():
        return DOWN
    overdue = OrmQ.objects.filter(lock__lt=timezone.now() - HEARD_WITHIN)
    return DEGRADED if overdue.exists() else OK


def clock() -> str:
    """Down when no process rings for due jobs and sweeps."""
    since = timezone.now() - CLOCK_MAY_PAUSE
    return OK if Heartbeat.objects.filter(name=CLOCK, seen_at__gte=since).exists() else DOWN
