"""Failures on purpose: what the next requests to a service shall meet."""

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from .store import Store

MAIL_KINDS = ("refuse", "delay", "reject_auth")
HTTP_KINDS = (
    "status",
    "delay",
    "timeout",
    "timeout_after_commit",
    "stall_after_commit",
    "rate_limit",
    "drop_before",
    "drop_after_commit",
)
KINDS = {
    "cloudflare": HTTP_KINDS,
    "namecheap": HTTP_KINDS,
    "google": HTTP_KINDS,
    "smartlead": HTTP_KINDS,
    "instantly": HTTP_KINDS,
    "doveadm": HTTP_KINDS,
    "smtp": MAIL_KINDS,
    "imap": MAIL_KINDS,
}


class InvalidFault(Exception):
    """The description of a fault makes no sense."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One failure to come.

    `method` and `path` (a regular expression at the path's beginning, below `/client/v4`; for
    Namecheap a slash and the command) narrow down the requests; `delay` and `retry_after` are in
    seconds; `times` is how many requests it still meets, `None` for all until it is cleared.
    """

    id: int = 0
    service: str
    kind: str
    method: str | None = None
    path: str | None = None
    status: int | None = None
    delay: float | None = None
    retry_after: int | None = None
    times: int | None = 1

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Fault":
        return cls(**dict(row))

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Fault":
        """Read a description. Raises `InvalidFault`."""
        names = ("service", "kind", "method", "path", "status", "delay", "retry_after", "times")
        unknown = set(body) - set(names)
        if unknown:
            raise InvalidFault(f"unknown: {', '.join(sorted(unknown))}")
        if body.get("kind") not in KINDS.get(str(body.get("service")), ()):
            raise InvalidFault(f"service and kind: one of {KINDS}")
        numbers = {"status": int, "delay": int | float, "retry_after": int, "times": int}
        for name, accepted in numbers.items():
            value = body.get(name)
            wrong = isinstance(value, bool) or not isinstance(value, accepted | None)
            if wrong or (value is not None and value < 0):
                raise InvalidFault(f"{name} is no number")
        if body.get("status") is not None and not 200 <= body["status"] <= 599:
            raise InvalidFault("status is none that HTTP has for an answer")
        try:
            re.compile(body.get("path") or "")
        except (re.error, TypeError) as error:
            raise InvalidFault(f"path: {error}") from error
        return cls(**body)

    def meets(self, method: str, path: str) -> bool:
        """Whether a request is one that shall fail."""
        if self.method and self.method.upper() != method.upper():
            return False
        return not self.path or bool(re.match(self.path, path))


class Faults:
    """All failures to come, the oldest first; they outlive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._services = self._planned()

    def all(self) -> list[Fault]:
        return [Fault.from_row(row) for row in self._store.rows("SELECT * FROM fault ORDER BY id")]

    def add(self, fault: Fault) -> Fault:
        """Plan a failure; answers it with its id."""
        self._store.write(
            "INSERT INTO fault (service, kind, method, path, status, delay, retry_after, times)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            fault.service,
            fault.kind,
            fault.method,
            fault.path,
            fault.status,
            fault.delay,
            fault.retry_after,
            fault.times,
        )
        self._services = self._planned()
        return self.all()[-1]

    def clear(self, fault_id: int | None = None) -> None:
        """Forget one failure, or all."""
        self._store.write("DELETE FROM fault WHERE ? IS NULL OR id = ?", fault_id, fault_id)
        self._services = self._planned()

    def take(self, service: str, method: str = "", path: str = "", *kinds: str) -> Fault | None:
        """The failure that this request meets, counted down; only of `kinds` if any are given."""
        if service not in self._services:  # asked for every request, and nearly always so
            return None
        for fault in self.all():
            wanted = fault.service == service and (not kinds or fault.kind in kinds)
            if wanted and fault.times != 0 and fault.meets(method, path):
                self._store.write("UPDATE fault SET times = times - 1 WHERE id = ?", fault.id)
                self._store.write("DELETE FROM fault WHERE id = ? AND times <= 0", fault.id)
                self._services = self._planned()
                return fault
        return None

    def load(self) -> None:
        """Notice that the store was emptied."""
        self._services = self._planned()

    def _planned(self) -> set[str]:
        return {row["service"] for row in self._store.rows("SELECT DISTINCT service FROM fault")}
