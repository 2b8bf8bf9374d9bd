"""What a desired state may say while the engine runs it.

The engine binds the present run; outside of one (a dry run, a test of a state) both functions do
nothing, so states need not know who calls them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Run(Protocol):
    """One runner's hold on a job."""

    def say(self, message: str, level: str) -> None: ...

    def progress(self, done: int, total: int) -> None: ...


_present: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def bound(run: Run) -> Iterator[None]:
    """Make this the present run."""
    token = _present.set(run)
    try:
        yield
    finally:
        _present.reset(token)


def say(message: str, *, level: str = "info") -> None:
    """Add a line, in plain words and without secrets, to the job's log."""
    if run := _present.get():
        run.say(message, level)


def progress(done: int, total: int) -> None:
    """Report how many of how many are done; also proves that the runner lives.

    A state that works longer than a few seconds must call this as it goes, or its lease runs out.
    Raises `LeaseLost` when another runner has taken over, so that this one stops at once.
    """
    if run := _present.get():
        run.progress(done, total)
