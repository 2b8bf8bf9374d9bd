"""Doing in the test's own process what clock and workers do: the real queue, the real engine."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from mpanel.core.losses import ConfirmationRequired
from mpanel.core.periodic import all_sweeps
from provisioning.models import Job
from tests.processes import PATIENCE


def work_off() -> int:
    """Take messages off the queue and run them, until none is left. How many."""
    done = 0
    while (row := OrmQ.objects.order_by("pk").first()) is not None:
        task = SignedPackage.loads(row.payload)
        row.delete()
        function = task["func"]
        function = import_string(function) if isinstance(function, str) else function
        function(*task["args"], **task["kwargs"])
        done += 1
        assert done < 10_000, "the queue does not become empty"
    return done


def hurry(job_id: UUID | None = None) -> None:
    """Let jobs that wait for their time look now, and work."""
    waiting = Job.objects.filter(status=Job.WAITING)
    if job_id:
        waiting = waiting.filter(pk=job_id)
    ids = list(waiting.values_list("pk", flat=True))
    Job.objects.filter(pk__in=ids).update(run_at=timezone.now())
    from provisioning.engine import advance

    for found in ids:
        advance(found)
    work_off()


def until(condition: Callable[[], bool], *, seconds: float = PATIENCE, sweep: str = "") -> None:
    """Work, and hurry what waits, until the condition holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    work_off()
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        hurry()
        if sweep:
            all_sweeps()[sweep].work()
            work_off()
        time.sleep(0.05)


def ended(job: Job) -> Job:
    """The job, worked on until it ended."""

    def over() -> bool:
        job.refresh_from_db()
        return not job.is_active

    until(over)
    return job


def counted_steps[T](function: Callable[[], T]) -> tuple[T, int]:
    """What a function returns, and how many lines of Python it took: a cost without a clock."""
    steps = 0

    def trace(_frame: object, event: str, _argument: object) -> Any:
        nonlocal steps
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = function()
    finally:
        sys.settrace(before)
    return result, steps


@dataclass
class Span:
    """When a stretch of work began and ended, by the clock that jobs use."""

    began: datetime
    ended: datetime

    def waits(self, moment: datetime, *, least: float, most: float) -> bool:
        """Whether a moment lies so many seconds after some point of the stretch."""
        earliest = self.began + timedelta(seconds=least)
        return earliest <= moment <= self.ended + timedelta(seconds=most)


@contextmanager
def span() -> Iterator[Span]:
    """How long the block took."""
    measured = Span(timezone.now(), timezone.now())
    yield measured
    measured.ended = timezone.now()


def sure[T](service: Callable[..., T], *args: object, **kwargs: object) -> T:
    """What a service does for somebody who confirms whatever it takes away."""
    try:
        return service(*args, **kwargs)
    except ConfirmationRequired as asked:
        return service(*args, confirmation=asked.confirmation, **kwargs)
