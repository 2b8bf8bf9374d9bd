"""The one registry of periodic work: each app says what and how often, the clock starts it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mpanel.core import queues

SLICE = 5.0  # seconds after which a sweep leaves its worker to others and goes on later


class Slice:
    """The time that a sweep has before it leaves its worker to others."""

    def __init__(self) -> None:
        self.ends = time.monotonic() + SLICE

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends


@dataclass(frozen=True)
class PeriodicSweep:
    """`every`: seconds between two starts. `work` takes what is due, and writes in bulk.

    `work` ends after about `SLICE` seconds and returns True where more is due: it is then called
    again at once, behind what waited in its queue meanwhile.
    """

    name: str
    every: float
    work: Callable[[], bool | None]
    queue: str = queues.SWEEPS


_sweeps: dict[str, PeriodicSweep] = {}


def register(
    name: str, *, every: float, work: Callable[[], bool | None], queue: str = queues.SWEEPS
) -> None:
    """Make a sweep known; an app does this when Django starts."""
    _sweeps[name] = PeriodicSweep(name, every, work, queue)


def all_sweeps() -> dict[str, PeriodicSweep]:
    """Every sweep by its name."""
    return dict(_sweeps)


def start(name: str) -> None:
    """Have a sweep run now rather than when it is next due."""
    queues.send("provisioning.tasks.sweep", name, queue=_sweeps[name].queue)
