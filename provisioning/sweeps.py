"""Starting the periodic sweeps: each by one runner at a time, and never late twice."""

import logging
import threading
import time
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import Error, connection
from django.db.models import Q
from django.utils import timezone

from mpanel.core import periodic
from mpanel.core.periodic import all_sweeps
from provisioning.models import CLOCKS_DIFFER, Heartbeat, Lease, Sweep

logger = logging.getLogger(__name__)

RUNS_AT_MOST = 600.0  # seconds after which a sweep's runner counts as stuck


def start_due() -> list[str]:
    """Ring for every sweep that is due, setting its next time first. Their names."""
    now = timezone.now()
    due = dict(Sweep.objects.values_list("name", "due_at"))
    started = []
    for sweep in all_sweeps().values():
        following = now + timedelta(seconds=sweep.every)
        if sweep.name not in due:
            _, first = Sweep.objects.get_or_create(name=sweep.name, defaults={"due_at": following})
        else:
            # So much later than its interval from now: the clock was set back since.
            beyond = following + CLOCKS_DIFFER
            is_due = Q(due_at__lte=now) | Q(due_at__gt=beyond)
            first = not now < due[sweep.name] <= beyond and bool(
                Sweep.objects.filter(is_due, name=sweep.name).update(due_at=following)
            )
        if first:
            periodic.start(sweep.name)
            started.append(sweep.name)
    return started


def run(name: str) -> bool:
    """Run a sweep now; False when one of this name is running elsewhere.

    One that left work is started again, behind what waits in its queue.
    """
    holder, lease = uuid4(), f"sweep:{name}"
    if not Lease.take(lease, holder=holder, seconds=settings.JOB_LEASE):
        return False
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, holder, done), daemon=True)
    keeper.start()
    try:
        has_more = all_sweeps()[name].work()
    finally:
        done.set()
        keeper.join()
        Lease.release(lease, holder=holder)
    if has_more:
        periodic.start(name)
    return True


def _keep(lease: str, holder: UUID, done: threading.Event) -> None:
    """Renew a sweep's lease until it is done, so that a dead runner's is free again soon."""
    stuck = time.monotonic() + RUNS_AT_MOST
    while not done.wait(settings.JOB_LEASE / 3) and time.monotonic() < stuck:
        try:
            Lease.take(lease, holder=holder, seconds=settings.JOB_LEASE)
            Heartbeat.beat_of_worker()
        except Error:
            logger.warning("the lease %s could not be renewed", lease)
            connection.close()  # a new one may reach a server that works
    connection.close()
