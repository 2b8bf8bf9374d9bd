"""Suspending, activating and deleting mailboxes."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from domains.models import Domain
from events.services import record
from mailboxes import selectors
from mailboxes.models import Mailbox
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from provisioning.models import Job
from provisioning.services import start_job


@transaction.atomic
def suspend_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """Stop login and sending; mail still arrives. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if mailbox.status != Mailbox.SUSPENDED:
        mailbox.move(Mailbox.SUSPENDED)
        record(actor, "mailbox.suspended", mailbox, f"Suspended {mailbox}.")
    return mailbox


@transaction.atomic
def activate_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """Undo a suspension. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if mailbox.status != Mailbox.ACTIVE:
        if mailbox.status != Mailbox.SUSPENDED:
            raise Conflict(f"This mailbox is {mailbox.status_label.lower()}, not suspended.")
        mailbox.move(Mailbox.ACTIVE)
        record(actor, "mailbox.activated", mailbox, f"Activated {mailbox}.")
    return mailbox


@transaction.atomic
def delete_mailboxes(actor: Actor, mailbox_ids: Sequence[UUID]) -> Job:
    """Delete mailboxes of one domain: their logins first, the rows when those are gone."""
    actor.require(ADMIN, "mailboxes:write")
    wanted = list(selectors.mailboxes(actor).filter(pk__in=mailbox_ids))
    if not wanted or len(wanted) != len(set(mailbox_ids)):
        raise selectors.MailboxNotFound
    domains = {mailbox.domain_id: mailbox.domain for mailbox in wanted}
    if len(domains) > 1:
        raise Invalid.field("mailboxes", "Choose mailboxes of one domain.")
    (domain,) = domains.values()
    for mailbox in wanted:
        if mailbox.status != Mailbox.DELETING:
            mailbox.move(Mailbox.DELETING)
            record(actor, "mailbox.deleting", mailbox, f"Asked to delete {mailbox}.")
    return start_job(
        actor,
        "mailboxes.delete",
        label=f"Delete {wanted[0]}" if len(wanted) == 1 else f"Delete {len(wanted)} mailboxes",
        subject_id=domain.pk,
        subject_label=str(domain),
        params={"mailboxes": [str(mailbox.pk) for mailbox in wanted]},
        lock=f"mailboxes:{domain.pk}",
    )


def domain_blocker(domain: Domain) -> str:
    """Why a domain cannot be disconnected: mailboxes still stand on it."""
    number = Mailbox.objects.present().filter(domain=domain).count()
    if not number:
        return ""
    are = "mailbox is" if number == 1 else "mailboxes are"
    return f"{number} {are} still on {domain}. Delete first what is on it."


# --- Called by states ------------------------------------------------------------------------


@transaction.atomic
def forget_mailboxes(mailboxes: Sequence[Mailbox]) -> None:
    """The logins are gone: drop every secret, and keep the row so the address is not reused."""
    for mailbox in mailboxes:
        mailbox.move(Mailbox.DELETED, sealed_password="", password_hash="", proof_digest="")
        record(system(mailbox.tenant_id), "mailbox.deleted", mailbox, f"Deleted {mailbox}.")
