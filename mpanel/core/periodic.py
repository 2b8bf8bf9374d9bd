"""The one registry of periodic work: each app says what and how often, the clock starts it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class PeriodicSweep:
    """`every`: seconds between two starts. `work` takes all that is due and writes in bulk."""

    name: str
    every: float
    work: Callable[[], None]


_sweeps: dict[str, PeriodicSweep] = {}


def register(name: str, *, every: float, work: Callable[[], None]) -> None:
    """Make a sweep known; an app does this when Django starts."""
    _sweeps[name] = PeriodicSweep(name, every, work)


def all_sweeps() -> dict[str, PeriodicSweep]:
    """Every sweep by its name."""
    return dict(_sweeps)
