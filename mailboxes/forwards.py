"""Forwarding that was not set here: a script of a mail program, seen as it sends mail on.

Scripts are the mailbox's own, and asking the mail server for all of them would cost a request for
each mailbox. Postfix logs each message that one sends on, with sender and recipient; whoever reads
the log for bounces passes it here.
"""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from events.services import record
from mailboxes.models import DeliveryRules, Mailbox
from mailboxes.services.rules import outside_of
from mpanel.core.actor import system

MOST_SEEN = 20  # addresses of one mailbox that are told of: a script may make up more


def notice(seen: Iterable[tuple[UUID, str]]) -> None:
    """Tell of outside addresses, each with a mailbox, that the panel does not forward to.

    In a transaction. Each is told of once.
    """
    by_mailbox: dict[UUID, set[str]] = defaultdict(set)
    for mailbox_id, address in seen:
        by_mailbox[mailbox_id].add(address)
    for mailbox in Mailbox.objects.present().filter(pk__in=by_mailbox).order_by("pk"):
        _notice(mailbox, by_mailbox[mailbox.pk])


def _notice(mailbox: Mailbox, addresses: set[str]) -> None:
    known = DeliveryRules.objects.filter(mailbox=mailbox).first()
    if known is not None:
        addresses = addresses - {*known.forward_to, *known.seen_forwards}
    outside = outside_of(mailbox, sorted(addresses))
    if not outside:
        return
    rules, _ = DeliveryRules.objects.select_for_update().get_or_create(
        mailbox=mailbox, defaults={"tenant_id": mailbox.tenant_id}
    )
    new = outside[: MOST_SEEN - len(rules.seen_forwards)]
    if not new:
        return
    rules.seen_forwards = [*rules.seen_forwards, *new]
    rules.save(update_fields=["seen_forwards", "updated_at"])
    sentence = (
        f"A script in a mail program forwards mail of {mailbox} outside, to {', '.join(new)}."
    )
    changes = {"outside": new}
    record(system(mailbox.tenant_id), "mailbox.forwarded", mailbox, sentence, changes=changes)
