"""What the stand-ins for outreach tools share: keys, senders, campaigns, warm-up that goes on.

A sandbox's day of warm-up is short (`DAY`), so that a chart fills while somebody watches.
"""

import asyncio
import imaplib
import smtplib
import ssl
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .store import Store

KEY_PREFIX = "sandbox-"  # the key of the account `ada` is `sandbox-ada`
DEMO_OWNER = "mpanel"
DAY = 60.0  # seconds
CAMPAIGNS = {
    "Founders in Europe": "active",
    "Agencies, second round": "paused",
    "Spring drafts": "draft",
}
LOGIN_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Sender:
    """A mailbox at a tool."""

    id: int
    service: str
    owner: str
    email: str
    name: str
    logs_in: bool
    is_paused: bool
    warms: bool
    daily: int
    total: int
    rampup: int
    since: float  # Unix seconds of the first warm-up; 0 for never

    def days(self, now: float | None = None) -> list[dict[str, Any]]:
        """The warm-up of the last seven days, oldest first; the youngest is today's."""
        if not self.since:
            return []
        age = int(((now or time.time()) - self.since) // DAY) + 1
        today = datetime.now(UTC).date()
        days = []
        for back in range(min(age, 7) - 1, -1, -1):
            sent = min(self.total, self.rampup * (age - back))
            days.append(
                {
                    "date": (today - timedelta(days=back)).isoformat(),
                    "sent": sent,
                    "spam": sent // 20,
                    "replied": sent * 3 // 10,
                }
            )
        return days

    @property
    def reputation(self) -> int | None:
        days = self.days()
        return min(100, 90 + len(days)) if days else None


@dataclass
class _Calls:
    """When an account was called, within a minute."""

    at: deque[float] = field(default_factory=deque)


class OutreachDesk:
    """All accounts of all outreach tools.

    `burst`: calls a second, `per_minute`: calls a minute, per key; 0 for no limit.
    """

    def __init__(self, store: Store, *, ca_file: Path, burst: int = 0, per_minute: int = 0) -> None:
        self._store = store
        self._ca_file = ca_file
        self._burst, self._per_minute = burst, per_minute
        self._calls: dict[str, _Calls] = {}

    # Keys

    def owner_of(self, service: str, key: str) -> str | None:
        """Whose key this is; `None` for one that is not ours, or was revoked."""
        owner = key.removeprefix(KEY_PREFIX)
        if owner == key or not owner or not owner.replace("-", "").isalnum():
            return None
        known = "SELECT 1 FROM outreach_revoked WHERE service = ? AND owner = ?"
        if self._store.value(known, service, owner):
            return None
        self._open(service, owner)
        return owner

    def revoke(self, service: str, owner: str, *, revoked: bool) -> None:
        self._store.write(
            "DELETE FROM outreach_revoked WHERE service = ? AND owner = ?", service, owner
        )
        if revoked:
            self._store.write("INSERT INTO outreach_revoked VALUES (?, ?)", service, owner)

    def wait_of(self, service: str, owner: str) -> float:
        """Seconds that this call comes too early; it counts where it is 0."""
        if not self._burst:
            return 0.0
        now, calls = time.monotonic(), self._calls.setdefault(f"{service}:{owner}", _Calls()).at
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= self._per_minute:
            return calls[0] + 60 - now
        if sum(at > now - 1 for at in calls) >= self._burst:
            return 1.0
        calls.append(now)
        return 0.0

    def reset(self) -> None:
        self._calls.clear()

    # Senders

    def senders(self, service: str = "", owner: str = "") -> list[Sender]:
        rows = self._store.rows(
            "SELECT * FROM outreach_sender WHERE (? = '' OR service = ?) AND (? = '' OR owner = ?)"
            " ORDER BY id",
            *(service, service),
            *(owner, owner),
        )
        return [_sender(row) for row in rows]

    def sender(
        self, service: str, owner: str, *, number: int = 0, email: str = ""
    ) -> Sender | None:
        row = self._store.row(
            "SELECT * FROM outreach_sender WHERE service = ? AND owner = ?"
            " AND (id = ? OR email = ?)",
            *(service, owner),
            *(number, email.lower()),
        )
        return _sender(row) if row else None

    def add(self, service: str, owner: str, email: str, name: str, *, logs_in: bool) -> Sender:
        """A new sender. One of this address may be there already where the tool allows that."""
        self._store.write(
            "INSERT INTO outreach_sender (service, owner, email, name, logs_in, is_paused, warms,"
            " daily, total, rampup, since) VALUES (?, ?, ?, ?, ?, 0, 0, 50, 40, 5, 0)",
            *(service, owner, email.lower(), name, logs_in),
        )
        row = self._store.row("SELECT * FROM outreach_sender ORDER BY id DESC LIMIT 1")
        assert row is not None
        return _sender(row)

    def change(self, sender: Sender, **changes: Any) -> Sender:
        """Change these columns; warm-up that is switched on for the first time begins now."""
        if changes.get("warms") and not sender.since:
            changes["since"] = time.time()
        for name, value in changes.items():
            self._store.write(
                f"UPDATE outreach_sender SET {name} = ? WHERE id = ?",  # noqa: S608 - our own names
                value,
                sender.id,
            )
        changed = self.sender(sender.service, sender.owner, number=sender.id)
        assert changed is not None
        return changed

    def delete(self, sender: Sender) -> None:
        """Gone, with its history."""
        self._store.write("DELETE FROM outreach_seat WHERE sender_id = ?", sender.id)
        self._store.write("DELETE FROM outreach_sender WHERE id = ?", sender.id)

    def age(self, days: int) -> None:
        """Let the warm-up of all senders have begun so many days earlier."""
        self._store.write(
            "UPDATE outreach_sender SET since = since - ? WHERE since > 0", days * DAY
        )

    # Campaigns

    def campaigns(self, service: str, owner: str) -> list[dict[str, Any]]:
        rows = self._store.rows(
            "SELECT * FROM outreach_campaign WHERE service = ? AND owner = ? ORDER BY id",
            *(service, owner),
        )
        return [dict(row) for row in rows]

    def campaign(self, service: str, owner: str, campaign_id: object) -> dict[str, Any] | None:
        found = (
            one for one in self.campaigns(service, owner) if str(one["id"]) == str(campaign_id)
        )
        return next(found, None)

    def seats(self, campaign_id: int) -> list[Sender]:
        rows = self._store.rows(
            "SELECT outreach_sender.* FROM outreach_sender"
            " JOIN outreach_seat ON sender_id = outreach_sender.id"
            " WHERE campaign_id = ? ORDER BY outreach_sender.id",
            campaign_id,
        )
        return [_sender(row) for row in rows]

    def seat(self, campaign_id: int, senders: Collection[Sender], *, seated: bool) -> None:
        for sender in senders:
            self._store.write(
                "INSERT OR IGNORE INTO outreach_seat VALUES (?, ?)"
                if seated
                else "DELETE FROM outreach_seat WHERE campaign_id = ? AND sender_id = ?",
                *(campaign_id, sender.id),
            )

    def _open(self, service: str, owner: str) -> None:
        """The campaigns that an account has from the start."""
        if not self.campaigns(service, owner):
            for name, status in CAMPAIGNS.items():
                self._store.write(
                    "INSERT INTO outreach_campaign (service, owner, name, status, created_on)"
                    " VALUES (?, ?, ?, ?, ?)",
                    *(service, owner, name, status, time.time()),
                )

    # Logging in, as the tools do

    async def logs_in(self, login: Mapping[str, Any]) -> tuple[bool, bool]:
        """Whether SMTP and IMAP take what a tool was given; both are really tried.

        `login` has smtp_host, smtp_port, smtp_user, smtp_password and the same for IMAP.
        """
        smtp, imap = await asyncio.gather(
            asyncio.to_thread(self._try_smtp, login), asyncio.to_thread(self._try_imap, login)
        )
        return smtp, imap

    def _try_smtp(self, login: Mapping[str, Any]) -> bool:
        try:
            host, port = _inside(login["smtp_host"]), int(login["smtp_port"])
            with smtplib.SMTP(host, port, "[127.0.0.1]", timeout=LOGIN_TIMEOUT) as smtp:
                smtp.starttls(context=self._trust())
                smtp.login(str(login["smtp_user"]), str(login["smtp_password"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def _try_imap(self, login: Mapping[str, Any]) -> bool:
        try:
            host, port = _inside(login["imap_host"]), int(login["imap_port"])
            with imaplib.IMAP4_SSL(
                host, port, ssl_context=self._trust(), timeout=LOGIN_TIMEOUT
            ) as imap:
                imap.login(str(login["imap_user"]), str(login["imap_password"]))
        except (OSError, imaplib.IMAP4.error, ValueError, KeyError, TypeError):
            return False
        return True

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._ca_file))


def as_json(sender: Sender) -> dict[str, Any]:
    """A sender for the control room."""
    return {**vars(sender), "reputation": sender.reputation, "days": sender.days()}


def _inside(host: object) -> str:
    """Nothing here reaches the internet."""
    if host not in {"localhost", "127.0.0.1"}:
        raise ValueError("not on this machine")
    return str(host)


def _sender(row: Any) -> Sender:
    values = dict(row)
    for name in ("logs_in", "is_paused", "warms"):
        values[name] = bool(values[name])
    return Sender(**values)
