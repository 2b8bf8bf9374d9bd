"""How much mailboxes sent and may send today, for lists of them.

App `deliverability`, above, counts that; it registers as Django starts.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from mailboxes.models import Mailbox
from mailboxes.selectors import InboxRow
from mpanel.core.extensions import Extensions


class Measures(Protocol):
    """What lists of mailboxes show of sending; each is one query at most."""

    def sent_today(self, subject_ids: Iterable[UUID]) -> dict[UUID, int]:
        """What each of these sent today. Who sent nothing is missing."""

    def sent_today_by_mailboxes(self, tenant_id: UUID) -> dict[UUID, int]:
        """What each mailbox of a tenant sent today, for lists of all of them."""

    def limits_today(self, rows: Sequence[InboxRow | Mailbox]) -> list[int | None]:
        """What each of these may send to today, None where a vendor limits."""

    def show_use(self, found: Iterable[Mailbox]) -> None:
        """Give each mailbox of a list its `use` of today's limit; None where a vendor counts."""


_registered: Extensions[Measures] = Extensions("what mailboxes send")
register = _registered.register


def of_sending() -> Measures:
    """Who knows what mailboxes send."""
    return _registered.only()
