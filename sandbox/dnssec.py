"""DNSSEC at the DNS host: https://developers.cloudflare.com/api/resources/dns/subresources/dnssec/.

Keys and DS records are real, and the registry can be given them; the answers are not signed.
"""

import base64
import os
import time
from typing import TYPE_CHECKING, Any

import dns.dnssec
import dns.rdata
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from .cloudflare_errors import invalid_request
from .records import timestamp
from .registry import Registry
from .store import Store

if TYPE_CHECKING:
    from .zones import Zone

ALGORITHM = 13  # ECDSAP256SHA256
FLAGS = 257  # a key-signing key
DS_TTL = 3600


class Signing:
    """Which zones are signed, each with a key of its own that it keeps."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    def state(self, zone: "Zone") -> dict[str, Any]:
        """A zone's DNSSEC as the API shows it; the status follows the registry's DS records."""
        row = self._store.row("SELECT * FROM zone_dnssec WHERE zone_id = ?", zone.id)
        if row is None:
            return {"status": "disabled", "flags": None, "algorithm": None, "modified_on": None}
        key = dns.rdata.from_text("IN", "DNSKEY", f"{FLAGS} 3 {ALGORITHM} {row['public_key']}")
        assert isinstance(key, DNSKEY)
        ds = dns.dnssec.make_ds(f"{zone.name}.", key, "SHA256")
        at_parent = str(ds) in self._registry.ds_records(zone.name)
        modified = timestamp(row["modified_on"])
        if not row["is_on"]:
            status = "pending-disabled" if at_parent else "disabled"
            return {"status": status, "flags": None, "algorithm": None, "modified_on": modified}
        return {
            "status": "active" if at_parent else "pending",
            "flags": FLAGS,
            "algorithm": str(ALGORITHM),
            "key_type": "ECDSAP256SHA256",
            "digest_type": str(int(ds.digest_type)),
            "digest_algorithm": "SHA256",
            "digest": ds.digest.hex().upper(),
            "ds": f"{zone.name}. {DS_TTL} IN DS {str(ds).upper()}",
            "key_tag": ds.key_tag,
            "public_key": row["public_key"],
            "modified_on": modified,
        }

    def change(self, zone: "Zone", status: Any) -> dict[str, Any]:
        """Sign the zone ("active") or not ("disabled"); what is so already stays."""
        if status not in ("active", "disabled"):
            raise invalid_request("status must be active or disabled.")
        self._store.write(
            "INSERT INTO zone_dnssec VALUES (?, ?, ?, ?) ON CONFLICT (zone_id) DO UPDATE"
            " SET is_on = excluded.is_on, modified_on = excluded.modified_on",
            zone.id,
            status == "active",
            base64.b64encode(os.urandom(64)).decode(),
            time.time(),
        )
        return self.state(zone)
