"""How queue and clock stand, as `/api/status` and the admin tell it."""

from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import OrmQ

from mpanel.core import queues
from mpanel.core.probes import DEGRADED, DOWN, OK
from provisioning.models import Heartbeat

CLOCK = "clock"
CLOCK_MAY_PAUSE = timedelta(seconds=30)
HEARD_WITHIN = timedelta(minutes=1)


def clusters_alive(within: timedelta | None = None) -> Counter[str]:
    """How many clusters of each queue have proved of late that they work."""
    since = timezone.now() - (within or timedelta(seconds=settings.WORKER_STALE_AFTER))
    beats = Heartbeat.objects.filter(seen_at__gte=since).exclude(name=CLOCK)
    return Counter(beats.values_list("queue", flat=True))


def queues_without_worker(alive: Counter[str]) -> list[str]:
    """The queues whose messages nobody takes."""
    return [queue for queue in queues.ALL if not alive[queue]]


def queue() -> str:
    """Down where a queue has no worker; degraded while a message waits longer than it should."""
    if queues_without_worker(clusters_alive()):
        return DOWN
    overdue = OrmQ.objects.filter(lock__lt=timezone.now() - HEARD_WITHIN)
    return DEGRADED if overdue.exists() else OK


def clock() -> str:
    """Down when no process notifies workers of due jobs and sweeps."""
    since = timezone.now() - CLOCK_MAY_PAUSE
    return OK if Heartbeat.objects.filter(name=CLOCK, seen_at__gte=since).exists() else DOWN
