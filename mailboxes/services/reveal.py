"""Passwords on their way to a person: a batch's once, a single one for a fresh code."""

from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from events.services import record
from mailboxes import selectors
from mailboxes.models import Batch, Mailbox
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict
from tenants.models import OneTimeCode
from tenants.services import ask_for_code, use_code

PROVED = (*Mailbox.WORKING, Mailbox.SUSPENDED)


class AlreadyRevealed(Conflict):
    """These credentials were revealed before. Reveal a single password on its mailbox's page."""

    code = "ALREADY_REVEALED"


class StillProvisioning(Conflict):
    """These inboxes are still being set up. You can download their credentials once all are
    verified."""

    code = "STILL_PROVISIONING"


class NothingToReveal(Conflict):
    """None of these inboxes works now, so there are no credentials to download."""

    code = "NOTHING_TO_REVEAL"


@dataclass(frozen=True)
class Credential:
    """A mailbox with its password, on the way to a person who may see it."""

    mailbox: Mailbox
    password: str = field(repr=False)


@transaction.atomic
def reveal_batch(actor: Actor, batch_id: UUID) -> list[Credential]:
    """All proved credentials of a batch, once: to who asks first, and for ten minutes after.

    Raises `StillProvisioning`, `NothingToReveal`, `AlreadyRevealed`.
    """
    actor.require(ADMIN, "mailboxes:reveal")
    actor.require_fresh_code()
    batch = selectors.get_batch(actor, batch_id)
    if batch.mailboxes.unverified().exists():
        raise StillProvisioning
    # A suspended one belongs in the file: it cannot log in until it is activated again.
    working = batch.mailboxes.filter(status__in=PROVED)
    if not working.exists():
        raise NothingToReveal
    first = Batch.objects.filter(pk=batch.pk, revealed_at=None).update(
        revealed_at=timezone.now(), revealed_by_id=actor.user_id
    )
    if first:
        record(actor, "credentials.revealed", batch, f"Revealed the credentials of {batch}.")
    elif not (batch.reveal_is_open and batch.revealed_by_id == actor.user_id):
        raise AlreadyRevealed
    return [Credential(mailbox, mailbox.password()) for mailbox in working]


@transaction.atomic
def ask_to_reveal(actor: Actor, mailbox_id: UUID) -> OneTimeCode:
    """Send the actor a fresh one-time code that reveals this one password."""
    actor.require(ADMIN, "mailboxes:reveal")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    return ask_for_code(
        actor.email,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.REVEAL,
        subject_id=mailbox.pk,
    )


def reveal_password(actor: Actor, mailbox_id: UUID, *, code: str) -> Credential:
    """One mailbox's password, for a fresh one-time code; recorded. Raises `CodeRefused`."""
    actor.require(ADMIN, "mailboxes:reveal")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    # Outside the transaction, so that a wrong try counts even though it is refused.
    use_code(
        actor.email,
        code,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.REVEAL,
        subject_id=mailbox.pk,
    )
    with transaction.atomic():
        Mailbox.objects.filter(pk=mailbox.pk).update(revealed_at=timezone.now())
        record(actor, "password.revealed", mailbox, f"Revealed the password of {mailbox}.")
    return Credential(mailbox, mailbox.password())
