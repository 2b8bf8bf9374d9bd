"""What lets somebody read mail, from a browser: for a fresh one-time code, as reading passwords.

Who sets a password or forwards mail can read it: a screen that was left open must not be enough.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from mailboxes import selectors
from mailboxes.models import DeliveryRules
from mailboxes.services.bulk import RESET_PASSWORD, Outcome, change_mailboxes, named_once
from mailboxes.services.lifecycle import change_password
from mailboxes.services.reveal import Credential
from mailboxes.services.rules import set_rules
from mpanel.core.actor import ADMIN, Actor
from tenants.models import OneTimeCode
from tenants.services import ask_for_code
from tenants.services.codes import check_code, use_up


@transaction.atomic
def ask_to_reset_passwords(actor: Actor) -> OneTimeCode:
    """Send the actor a fresh code that gives several mailboxes new passwords."""
    actor.require(ADMIN, "mailboxes:reveal")
    return ask_for_code(
        actor.email,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.REVEAL,
        subject_id=actor.person_id,
    )


def change_password_by_code(
    actor: Actor, mailbox_id: UUID, *, code: str, password: str = ""
) -> Credential:
    """`change_password` for the code of `ask_to_reveal`, used up only when it was changed.

    Raises `CodeRefused` too.
    """
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    checked = _checked(actor, code, mailbox.pk)
    with transaction.atomic():
        use_up(checked)
        return change_password(actor, mailbox.pk, password=password)


def reset_passwords_by_code(
    actor: Actor, mailbox_ids: Sequence[UUID], *, code: str
) -> list[Outcome]:
    """New passwords for these, for the code of `ask_to_reset_passwords`. Raises `CodeRefused`."""
    actor.require(ADMIN, "mailboxes:write")
    wanted = named_once(mailbox_ids)
    use_up(_checked(actor, code, actor.person_id))
    return change_mailboxes(actor, RESET_PASSWORD, wanted)


def set_rules_by_code(
    actor: Actor, mailbox_id: UUID, *, code: str = "", **wanted: Any
) -> DeliveryRules:
    """`set_rules`, which to forward to a new address asks for the code of `ask_to_reveal`.

    Used up only when the rules were changed. Raises `CodeRefused` and, without a code,
    `CodeNeeded` too.
    """
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if not code:
        return set_rules(actor, mailbox.pk, **wanted, asks_code=True)
    checked = _checked(actor, code, mailbox.pk)
    with transaction.atomic():
        use_up(checked)
        return set_rules(actor, mailbox.pk, **wanted)


def _checked(actor: Actor, code: str, subject_id: UUID) -> OneTimeCode:
    # Outside a transaction, so that a wrong try counts even though it is refused.
    return check_code(
        actor.email,
        code,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.REVEAL,
        about=Q(subject_id=subject_id),
    )
