"""The rows of mail servers beyond the house's, which follows the settings."""

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction

from mailservers.configuration import check_server
from mailservers.models import MailServer
from mailservers.vendors import house_server
from mpanel.core.errors import Conflict, NotFound

CHANGEABLE = (
    "label",
    "kind",
    "region",
    "region_label",
    "host",
    "submission_port",
    "imaps_port",
    "mx_host",
    "spf_name",
    "ca_file",
    "addresses",
    "admin_url",
    "directory",
    "is_open",
)


class ServerUnknown(NotFound):
    """There is no mail server of this name. `manage.py mailserver list` shows them."""

    code = "MAIL_SERVER_NOT_FOUND"


class ServerKnown(Conflict):
    """There is a mail server of this name already. Use `change`."""

    code = "MAIL_SERVER_EXISTS"


class HouseFollowsSettings(Conflict):
    """The house's server follows the settings MAILSERVER_*. Change those."""

    code = "HOUSE_FOLLOWS_SETTINGS"


def get_server(slug: str) -> MailServer:
    """A mail server's row; the house's as the settings say now. Raises `ServerUnknown`."""
    if slug == MailServer.HOUSE:
        return house_server()
    server = MailServer.objects.filter(slug=slug).first()
    if server is None:
        raise ServerUnknown
    return server


@transaction.atomic
def add_server(slug: str, values: Mapping[str, Any], *, admin_key: str = "") -> MailServer:
    """A further mail server, on which domains may be placed at once. Raises `Invalid`."""
    if slug == MailServer.HOUSE:
        raise HouseFollowsSettings
    if MailServer.objects.filter(slug=slug).exists():
        raise ServerKnown
    server = MailServer(slug=slug, **values)
    server.set_admin_key(admin_key)
    check_server(server)
    server.save()
    return server


@transaction.atomic
def change_server(
    slug: str, values: Mapping[str, Any], *, admin_key: str | None = None
) -> list[str]:
    """What differs now, by the names of columns. `admin_key`: None leaves the present one."""
    if slug == MailServer.HOUSE:
        raise HouseFollowsSettings
    server = MailServer.objects.select_for_update().filter(slug=slug).first()
    if server is None:
        raise ServerUnknown
    changed = [name for name, value in values.items() if getattr(server, name) != value]
    for name in changed:
        setattr(server, name, values[name])
    if admin_key is not None and not server.has_admin_key(admin_key):
        server.set_admin_key(admin_key)
        changed.append("sealed_admin_key")
    check_server(server)
    if changed:
        server.save(update_fields=[*changed, "updated_at"])
    return changed


def receives(address: str, slug: str) -> bool:
    """Whether mail to this address arrives in a mailbox on this server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM mail_recipient WHERE email = %s AND server = %s", [address, slug]
        )
        return cursor.fetchone() is not None
