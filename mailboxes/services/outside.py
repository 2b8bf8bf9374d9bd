"""Who may write From addresses of domains that nobody here has; operators allow it."""

from uuid import UUID

from django.db import transaction

from events.services import record
from mailboxes.models import OutsideSender
from mailboxes.selectors import get_mailbox
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound


class OutsideSenderNotFound(NotFound):
    """This sender was not allowed to write as outside senders."""

    code = "OUTSIDE_SENDER_NOT_FOUND"


@transaction.atomic
def allow_outside_from(
    actor: Actor, mailbox_id: UUID, *, whole_tenant: bool = False
) -> OutsideSender:
    """Let a mailbox, or all of its tenant's, name authors of domains that nobody here has."""
    actor.require_operator()
    mailbox = get_mailbox(actor, mailbox_id)
    permission, is_new = OutsideSender.objects.get_or_create(
        tenant_id=mailbox.tenant_id, mailbox=None if whole_tenant else mailbox
    )
    if is_new:
        who = "All mailboxes" if whole_tenant else str(mailbox)
        told = f"{who} may write From addresses of outside domains."
        record(actor, "outside_sender.allowed", mailbox, told)
    return permission


@transaction.atomic
def forbid_outside_from(actor: Actor, permission_id: UUID) -> None:
    """Take the permission back. It holds for the next message."""
    actor.require_operator()
    rows = OutsideSender.objects.filter(tenant_id=actor.tenant_id, pk=permission_id)
    permission = rows.select_related("mailbox").first()
    if permission is None:
        raise OutsideSenderNotFound
    who = "All mailboxes" if permission.mailbox is None else str(permission.mailbox)
    told = f"{who} may no longer write From addresses of outside domains."
    record(actor, "outside_sender.forbidden", permission, told)
    permission.delete()
