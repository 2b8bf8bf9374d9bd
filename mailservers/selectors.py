"""Reading what mail servers there are."""

from dataclasses import dataclass

from mailservers.models import MailServer
from mailservers.vendors import house_server
from mpanel.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Region:
    """Where new domains' mail can be placed."""

    region: str
    label: str
    provider: str


def regions(actor: Actor, *, provider: str = "") -> list[Region]:
    """The regions of mail servers that take new domains; one line for each, by name."""
    actor.need("mailboxes:read")
    house_server()
    servers = MailServer.objects.filter(is_open=True).order_by("region_label", "slug")
    if provider:
        servers = servers.filter(kind=provider)
    found = [Region(row.region, row.region_label, row.kind) for row in servers]
    return list({(row.region, row.provider): row for row in reversed(found)}.values())[::-1]
