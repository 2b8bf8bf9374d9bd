"""What mail servers must know of mailboxes. App `mailboxes`, above, tells: it registers itself."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Accounts(Protocol):
    """The mailboxes of all tenants, as the signer and the purge ask for them."""

    def are_of_others(self, domains: Collection[str], login: str) -> bool:
        """Whether one of these domains, or one above it, is verified for another tenant."""

    def may_write_as_outsider(self, login: str) -> bool:
        """Whether this login may name authors of domains that nobody here has."""

    def to_purge(self, server: str, before: datetime) -> list[tuple[UUID, str]]:
        """Mailboxes on a server (its slug) that were deleted before, with their addresses."""

    def mark_purged(self, mailbox_id: UUID, at: datetime) -> None:
        """Their mail is gone."""

    def have_rows(self, mailbox_ids: Iterable[UUID]) -> set[UUID]:
        """Those of these that have a row, of whatever status."""


_registered: list[Accounts] = []


def register(told: Accounts) -> None:
    """Have servers ask `told`, a module or an object."""
    _registered[:] = [told]


def known() -> Accounts:
    """Who tells of mailboxes."""
    return _registered[0]
