"""What the pages of a mailbox and of a domain's mail show of sending and health."""

from deliverability.health import parts_of
from deliverability.selectors import sending_of, sending_of_domain
from domains.models import Domain
from mailboxes.cards import Card
from mailboxes.models import Mailbox
from mailservers.models import MailDomain
from mpanel.core.actor import Actor


def sending(actor: Actor, mailbox: Mailbox) -> list[Card]:
    """Today's use of the limit, and the warm-up."""
    values = {"sending": sending_of(actor, mailbox.pk)}
    return [Card("deliverability/mailbox_card.html", values)]


def health(actor: Actor, mailbox: Mailbox) -> list[Card]:
    """The health of a mailbox."""
    return [_health(mailbox)]


def of_domain(actor: Actor, domain: Domain, place: MailDomain | None, number: int) -> list[Card]:
    """The health of a domain, and what its mailboxes sent today."""
    found = [_health(place)] if place else []
    if number:
        values = {"sending": sending_of_domain(actor, domain.pk)}
        found.append(Card("deliverability/domain_card.html", values))
    return found


def _health(row: Mailbox | MailDomain) -> Card:
    values = {"score": row.health_score, "at": row.health_at, "parts": parts_of(row.health)}
    return Card("deliverability/health_card.html", values)
