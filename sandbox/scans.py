"""The DNS host's scan for the records that a domain has elsewhere.

What it finds is shown to be reviewed; nothing is added by itself.
https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/scan_trigger
"""

import time
import uuid
from typing import TYPE_CHECKING, Any

from dns.rdatatype import RdataType

from .records import PROXIABLE, timestamp
from .store import Store
from .world import World

if TYPE_CHECKING:
    from .zones import Zone

NAMES = ("", "www", "mail", "ftp", "webmail", "_dmarc", "intake")
TYPES = (
    RdataType.A,
    RdataType.AAAA,
    RdataType.CNAME,
    RdataType.MX,
    RdataType.TXT,
)


class Scans:
    """Scans of zones; their results are what the other host says now."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world

    def start(self, zone: "Zone") -> None:
        """Begin to look; twice is harmless."""
        self._store.write(
            "INSERT INTO zone_scan VALUES (?, ?) ON CONFLICT (zone_id) DO UPDATE"
            " SET started_on = excluded.started_on",
            zone.id,
            time.time(),
        )

    def found(self, zone: "Zone") -> list[dict[str, Any]]:
        """What was found, each as a record that was not added; nothing before a scan."""
        started = self._store.value("SELECT started_on FROM zone_scan WHERE zone_id = ?", zone.id)
        timeline = self._world.find(zone.name)
        elsewhere = timeline.latest.elsewhere if timeline else None
        if started is None or elsewhere is None:
            return []
        found = []
        for label in NAMES:
            name = f"{label}.{zone.name}".lstrip(".")
            for kind in TYPES:
                # Names that only a wildcard gives are found, too.
                for rdata in (elsewhere.rrsets(name) or {}).get(kind, ()):
                    found.append(_proposal(name, kind.name, str(rdata), started))
        return found


def _proposal(name: str, kind: str, text: str, started: float) -> dict[str, Any]:
    priority, content = None, text
    if kind == "MX":
        number, content = text.split()
        priority = int(number)
    moment = timestamp(started)
    return {
        "id": uuid.uuid5(uuid.NAMESPACE_DNS, f"{name} {kind} {text}").hex,
        "type": kind,
        "name": name,
        "content": content if kind == "TXT" else content.rstrip("."),
        "ttl": 1,
        "priority": priority,
        "proxied": kind in PROXIABLE,  # as it proposes, unless one says otherwise
        "proxiable": kind in PROXIABLE,
        "comment": None,
        "tags": [],
        "created_on": moment,
        "modified_on": moment,
    }
