"""Backups that are whole or not there, and restores that show that they work.

A backup is a folder: the database, perhaps the mail, and `manifest.json` with a checksum of each
file, which is written last. The key ring is not in it, since whoever has both can read all secrets.

Apps register what must hold after a restore (`register_check`), since none of them is known here.
"""

from collections.abc import Callable, Iterable

# Yields sentences about what was found to be right; raises `Unverified` for what is not.
Check = Callable[[], Iterable[str]]

_checks: dict[str, Check] = {}


class Unverified(Exception):
    """Something is not as it was when the backup was made; the text says what."""


def register_check(name: str, check: Check) -> None:
    """Make a check known; an app does this when Django starts."""
    _checks[name] = check


def all_checks() -> dict[str, Check]:
    """Every check by its name."""
    return dict(_checks)
