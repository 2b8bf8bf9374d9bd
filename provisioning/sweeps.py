"""Starting the periodic sweeps: each by one runner at a time, and never late twice."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone
from django_q.tasks import async_task

from mpanel.core.periodic import all_sweeps
from provisioning.models import Lease, Sweep

RUNS_AT_MOST = 600.0  # seconds after which a sweep's runner counts as dead


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
            first = due[sweep.name] <= now and bool(
                Sweep.objects.filter(name=sweep.name, due_at__lte=now).update(due_at=following)
            )
        if first:
            async_task("provisioning.tasks.sweep", sweep.name)
            started.append(sweep.name)
    return started


def run(name: str) -> bool:
    """Run a sweep now; False when one of this name is running elsewhere."""
    holder = uuid4()
    if not Lease.take(f"sweep:{name}", holder=holder, seconds=RUNS_AT_MOST):
        return False
    try:
        all_sweeps()[name].work()
    finally:
        Lease.release(f"sweep:{name}", holder=holder)
    return True
