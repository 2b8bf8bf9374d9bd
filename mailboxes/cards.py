"""Cards that apps above add to the pages of a mailbox and of a domain's mail.

They register as Django starts, and are shown in that order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailboxes.models import Mailbox
from mpanel.core.actor import Actor


@dataclass(frozen=True)
class Card:
    """A part of a page. Its template has the page's context, and `values` as `card`."""

    template: str
    values: Mapping[str, Any]


MailboxCards = Callable[[Actor, Mailbox], Sequence[Card]]

_of_mailbox: list[MailboxCards] = []


def register_mailbox_cards(build: MailboxCards) -> None:
    """Show what `build` answers below the other cards of a mailbox's page."""
    _of_mailbox.append(build)


def mailbox_cards(actor: Actor, mailbox: Mailbox) -> list[Card]:
    """What the apps above show of a mailbox."""
    return [card for build in _of_mailbox for card in build(actor, mailbox)]
