"""The one registry of what `/api/status` tells: each app says how the things stand that it uses.

A probe is cheap, asks our own database at most, and never reaches outside.
"""

from collections.abc import Callable

from django.db import Error

from mpanel.core.database import check_writable
from mpanel.core.errors import Unavailable

OK, DEGRADED, DOWN = "ok", "degraded", "down"
STANDINGS = (OK, DEGRADED, DOWN)

_probes: dict[str, Callable[[], str]] = {}


def register(name: str, probe: Callable[[], str]) -> None:
    """Make a probe known, which answers `OK`, `DEGRADED` or `DOWN`; an app does this at start."""
    _probes[name] = probe


def statuses() -> dict[str, str]:
    """How every dependency stands, by its name."""
    return {name: _status(probe) for name, probe in sorted(_probes.items())}


def database() -> str:
    """Whether the database answers, and takes changes. Raises `Unavailable` or Django's `Error`."""
    check_writable()
    return OK


def _status(probe: Callable[[], str]) -> str:
    try:
        return probe()
    except (Error, Unavailable):
        return DOWN
