"""The same done to many mailboxes: one that cannot be changed blocks no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import batched
from uuid import UUID

from django.db import transaction

from mailboxes import selectors
from mailboxes.enforcement import enforce
from mailboxes.models import Mailbox
from mailboxes.services.lifecycle import (
    activate,
    delete_mailboxes,
    renew_password,
    resize,
    suspend,
)
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Invalid, MPanelError

MOST_AT_ONCE = 500
IN_ONE_TRANSACTION = 50  # mailboxes: on SQLite nobody else writes meanwhile
SUSPEND, ACTIVATE, DELETE = "suspend", "activate", "delete"
RESET_PASSWORD, SET_QUOTA = "reset-password", "set-quota"
ACTIONS = (SUSPEND, ACTIVATE, DELETE, RESET_PASSWORD, SET_QUOTA)


@dataclass
class Outcome:
    """What came of one mailbox: changed, perhaps with a new password, or why not."""

    mailbox_id: UUID
    mailbox: Mailbox | None = None
    error: MPanelError | None = None
    password: str = field(default="", repr=False)
    name: str = "A mailbox that is not there"


def change_mailboxes(
    actor: Actor, action: str, mailbox_ids: Sequence[UUID], *, quota_mb: int | None = None
) -> list[Outcome]:
    """One of `ACTIONS` for each of these, in their order; each named once.

    A few are written at a time, those of one domain together, and their providers told of them in
    the same transaction: what was cut off is completed by asking again. Deleting is one
    transaction. Raises `Invalid` for more than 500, for an unknown action, and for a quota that is
    missing.
    """
    actor.require(ADMIN, "mailboxes:write")
    if action == RESET_PASSWORD:
        actor.need("mailboxes:reveal")
    wanted = named_once(mailbox_ids)
    change = _change_of(actor, action, quota_mb)
    visible = selectors.mailboxes(actor).filter(pk__in=wanted)
    domains = dict(visible.values_list("pk", "domain_id"))
    ordered = sorted(wanted, key=lambda found: str(domains.get(found, "")))
    at_once = MOST_AT_ONCE if action == DELETE else IN_ONE_TRANSACTION
    outcomes: dict[UUID, Outcome] = {}
    for some in batched(ordered, at_once):
        with transaction.atomic():
            rows = {row.pk: row for row in selectors.mailboxes(actor).filter(pk__in=some)}
            changed: list[Mailbox] = []
            outcomes |= {found: _one(found, rows.get(found), change, changed) for found in some}
            if action == DELETE:
                _delete(actor, changed)
            elif changed:
                enforce(actor, changed)
    return [outcomes[found] for found in wanted]


def named_once(mailbox_ids: Sequence[UUID]) -> list[UUID]:
    """These, each once. Raises `Invalid` for none and for more than 500."""
    wanted = list(dict.fromkeys(mailbox_ids))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise Invalid.field("ids", f"Choose 1 to {MOST_AT_ONCE} mailboxes.")
    return wanted


type Change = Callable[[Mailbox, Outcome], bool]


def _change_of(actor: Actor, action: str, quota_mb: int | None) -> Change:
    """What is done to one mailbox; whether its provider must be told."""

    def reset(mailbox: Mailbox, outcome: Outcome) -> bool:
        outcome.password = renew_password(actor, mailbox).password
        return True

    if action == SET_QUOTA and quota_mb is None:
        raise Invalid.field("quota_mb", "Say how many MB.")
    changes: dict[str, Change] = {
        SUSPEND: lambda mailbox, _: suspend(actor, mailbox),
        ACTIVATE: lambda mailbox, _: activate(actor, mailbox),
        DELETE: lambda mailbox, _: True,
        RESET_PASSWORD: reset,
        SET_QUOTA: lambda mailbox, _: resize(actor, mailbox, quota_mb or 0),
    }
    if action not in changes:
        raise Invalid.field("action", f"Choose one of {', '.join(ACTIONS)}.")
    return changes[action]


def _one(
    mailbox_id: UUID, mailbox: Mailbox | None, change: Change, changed: list[Mailbox]
) -> Outcome:
    if mailbox is None:
        return Outcome(mailbox_id, error=selectors.MailboxNotFound())
    outcome = Outcome(mailbox_id, mailbox, name=mailbox.address)
    try:
        if change(mailbox, outcome):
            changed.append(mailbox)
    except MPanelError as error:
        return Outcome(mailbox_id, error=error, name=mailbox.address)
    return outcome


def _delete(actor: Actor, mailboxes: Sequence[Mailbox]) -> None:
    """One job for each domain."""
    for domain_id in dict.fromkeys(mailbox.domain_id for mailbox in mailboxes):
        of_domain = [mailbox for mailbox in mailboxes if mailbox.domain_id == domain_id]
        delete_mailboxes(actor, [mailbox.pk for mailbox in of_domain])
        for mailbox in of_domain:
            mailbox.status = Mailbox.DELETING
