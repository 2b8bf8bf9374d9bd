"""What operators do to mail servers."""

from uuid import UUID

from django.db import transaction

from events.services import record
from mailservers.models import MailServer
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound


class ServerNotFound(NotFound):
    """There is no such mail server."""

    code = "MAIL_SERVER_NOT_FOUND"


@transaction.atomic
def open_server(actor: Actor, server_id: UUID, *, is_open: bool) -> MailServer:
    """Whether new domains may be placed on a server; those that are there stay."""
    actor.require_operator()
    server = MailServer.objects.select_for_update().filter(pk=server_id).first()
    if server is None:
        raise ServerNotFound
    if server.is_open != is_open:
        server.is_open = is_open
        server.save(update_fields=["is_open", "updated_at"])
        verb = "Opened" if is_open else "Closed"
        action = "mail_server.opened" if is_open else "mail_server.closed"
        record(actor, action, server, f"{verb} the mail server {server} to new domains.")
    return server
