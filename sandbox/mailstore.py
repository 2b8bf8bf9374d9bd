"""Mail that the sandbox keeps: what mPanel sent, what would leave this machine, and the inboxes."""

import email
import email.message
import email.policy
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .store import Store

KINDS = ("system", "outgoing", "delivered")


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message. `mailbox` is whose inbox it is in, for kind "delivered"; times are Unix."""

    id: int
    kind: str
    mailbox: str | None
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    flags: tuple[str, ...]
    received_at: float

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Mail":
        return cls(
            id=row["id"],
            kind=row["kind"],
            mailbox=row["mailbox"],
            sender=row["sender"],
            recipients=tuple(json.loads(row["recipients"])),
            raw=row["raw"],
            flags=tuple(json.loads(row["flags"])),
            received_at=row["received_at"],
        )

    @cached_property
    def message(self) -> email.message.EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def subject(self) -> str:
        return str(self.message.get("subject", ""))

    @property
    def text(self) -> str:
        """The part that a person reads, plain text before HTML."""
        part = self.message.get_body(("plain", "html"))
        if part is None:
            return ""
        try:
            return str(part.get_content())
        except (LookupError, ValueError):  # a charset that nobody knows
            return bytes(part.get_payload(decode=True) or b"").decode(errors="replace")

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "mailbox": self.mailbox,
            "from": self.sender,
            "to": list(self.recipients),
            "subject": self.subject,
            "text": self.text,
            "received_at": self.received_at,
        }


class MailStore:
    """All kept mail."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(
        self,
        kind: str,
        *,
        sender: str,
        recipients: Iterable[str],
        raw: bytes,
        mailbox: str | None = None,
    ) -> None:
        """Store one message; a mailbox is needed for kind "delivered" only."""
        self._store.write(
            "INSERT INTO mail (kind, mailbox, sender, recipients, raw, received_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            kind,
            mailbox,
            sender,
            json.dumps(list(recipients)),
            raw,
            time.time(),
        )

    def find(self, *, to: str = "", limit: int = 200) -> list[Mail]:
        """The newest first; `to` is one of the recipients, in any case of letters."""
        rows = self._store.rows(
            "SELECT * FROM mail WHERE ? = '' OR EXISTS"
            " (SELECT 1 FROM json_each(recipients) WHERE lower(value) = ?)"
            " ORDER BY id DESC LIMIT ?",
            to,
            to.lower(),
            limit,
        )
        return [Mail.from_row(row) for row in rows]

    def get(self, mail_id: int) -> Mail | None:
        row = self._store.row("SELECT * FROM mail WHERE id = ?", mail_id)
        return Mail.from_row(row) if row else None

    def inbox(self, mailbox: str) -> list[Mail]:
        """The messages delivered to an address, the oldest first."""
        rows = self._store.rows("SELECT * FROM mail WHERE mailbox = ? ORDER BY id", mailbox)
        return [Mail.from_row(row) for row in rows]

    def size_of(self, mailbox: str) -> tuple[int, int]:
        """How many messages an address has, and how many bytes they are together."""
        row = self._store.row(
            "SELECT count(*) AS number, coalesce(sum(length(raw)), 0) AS size FROM mail"
            " WHERE mailbox = ?",
            mailbox,
        )
        return (row["number"], row["size"]) if row else (0, 0)

    def next_id(self) -> int:
        """An id that no message has had yet."""
        last = self._store.value("SELECT seq FROM sqlite_sequence WHERE name = 'mail'")
        return int(last or 0) + 1

    def set_flags(self, mail_id: int, flags: Sequence[str]) -> None:
        self._store.write("UPDATE mail SET flags = ? WHERE id = ?", json.dumps(flags), mail_id)

    def delete(self, mail_id: int) -> None:
        self._store.write("DELETE FROM mail WHERE id = ?", mail_id)
