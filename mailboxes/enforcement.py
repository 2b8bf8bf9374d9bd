"""Telling a mail provider what changed about mailboxes that it holds already."""

from collections.abc import Sequence

from mailboxes.models import Mailbox
from mpanel.core.actor import Actor
from provisioning.models import Job
from provisioning.services import start_job


def enforce(actor: Actor, mailboxes: Sequence[Mailbox]) -> list[Job]:
    """Have workers bring it about that the providers hold these mailboxes as the rows say.

    For services that suspended, activated, or changed a password or quota, in their transaction,
    after they wrote the rows; one job for each domain. A new password: set `password_pending` (and
    leave `password_hash` empty); the job makes the hash, tells the provider, and takes the mark
    away. Running sessions of who may not log in any more are ended. Not for new mailboxes
    (`start_provisioning`) nor for deleted ones (`delete_mailboxes`), which have jobs of their own.
    """
    by_domain: dict[object, list[Mailbox]] = {}
    for mailbox in mailboxes:
        by_domain.setdefault(mailbox.domain_id, []).append(mailbox)
    return [_start(actor, found) for found in by_domain.values()]


def _start(actor: Actor, mailboxes: Sequence[Mailbox]) -> Job:
    domain = mailboxes[0].domain
    many = f"{len(mailboxes)} mailboxes"
    return start_job(
        actor,
        "mailboxes.enforce",
        label=f"Update {mailboxes[0] if len(mailboxes) == 1 else many}"[:200],
        subject_id=domain.pk,
        subject_label=str(domain),
        params={"mailboxes": [str(mailbox.pk) for mailbox in mailboxes]},
        lock=f"mailboxes:{domain.pk}",
    )
