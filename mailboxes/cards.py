"""Cards that apps above add to the pages of a mailbox and of a domain's mail.

They register as Django starts, and are shown in that order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domains.models import Domain
from mailboxes.models import Mailbox
from mailservers.models import MailDomain
from mpanel.core.actor import Actor
from mpanel.core.extensions import Extensions


@dataclass(frozen=True)
class Card:
    """A part of a page. Its template has the page's context, and `values` as `card`."""

    template: str
    values: Mapping[str, Any]


MailboxCards = Callable[[Actor, Mailbox], Sequence[Card]]
# Of a domain: how its mail is handled, None where nobody chose, and how many mailboxes it has.
DomainCards = Callable[[Actor, Domain, MailDomain | None, int], Sequence[Card]]

# On pages of mailboxes on our servers, above forwarding.
_of_ours: Extensions[MailboxCards] = Extensions("cards of mailboxes on our servers")
register_cards_of_ours = _of_ours.register

# On a mailbox's page, below the other cards.
_of_mailbox: Extensions[MailboxCards] = Extensions("cards of mailboxes")
register_mailbox_cards = _of_mailbox.register

# On the page of a domain's mail, above the aliases.
_of_domain: Extensions[DomainCards] = Extensions("cards of a domain's mail")
register_domain_cards = _of_domain.register


def mailbox_cards(actor: Actor, mailbox: Mailbox) -> list[Card]:
    """What the apps above show of a mailbox."""
    return [card for build in _of_mailbox for card in build(actor, mailbox)]


def cards_of_ours(actor: Actor, mailbox: Mailbox) -> list[Card]:
    """What the apps above show of a mailbox on our servers."""
    return [card for build in _of_ours for card in build(actor, mailbox)]


def domain_cards(actor: Actor, domain: Domain, place: MailDomain | None, number: int) -> list[Card]:
    """What the apps above show of a domain's mail."""
    return [card for build in _of_domain for card in build(actor, domain, place, number)]
