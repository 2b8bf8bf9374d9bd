"""A zone as its provider shows it now: one bounded look within a request (decision 7)."""

import base64
import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

from dnszones import selectors, zonefiles
from dnszones.access import zone_provider
from dnszones.models import Record, Zone
from dnszones.ownership_record import proof_record
from dnszones.plans import ExistingRecord
from dnszones.providers.base import Capabilities, DNSProvider
from dnszones.record_types import TYPES
from dnszones.records import RecordData, same_value, value_of
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, NotFound

LOOK = 5.0  # seconds for each call; a zone of ten thousand records takes two or three
FORMATS = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ZoneNotMade(Conflict):
    """The zone is not made yet. Wait a moment, or look at the job that connects the domain."""

    code = "ZONE_NOT_MADE"


class RecordNotFound(NotFound):
    """There is no such record in this zone."""

    code = "RECORD_NOT_FOUND"


@dataclass(frozen=True)
class ZoneRecord:
    """A record as it was seen. `kept`: the row of the mail setup that it is, if it is one.

    `is_providers`: the SOA and the nameservers of the zone itself, which nobody else writes.
    `is_proof`: our record that proves whose the domain is, which nobody else changes.
    """

    id: str
    existing: ExistingRecord
    kept: Record | None
    is_editable: bool
    is_providers: bool
    is_proof: bool

    @property
    def data(self) -> RecordData:
        return self.existing.data


@dataclass(frozen=True)
class LiveZone:
    """A zone and its records, as its provider showed them a moment ago."""

    zone: Zone
    provider: DNSProvider
    records: tuple[ZoneRecord, ...]

    def get(self, record_id: str) -> ZoneRecord:
        """The record of this id. Raises `RecordNotFound`."""
        for found in self.records:
            if found.id == record_id:
                return found
        raise RecordNotFound

    def with_value(self, data: RecordData) -> ZoneRecord | None:
        """The record that says this."""
        return next((found for found in self.records if same_value(found.data, data)), None)

    def find(self, *, search: str = "", kind: str = "") -> list[ZoneRecord]:
        """Those of a type, with a text in name or content; the zone's own name first."""
        text = search.strip().lower()
        return sorted(
            (
                found
                for found in self.records
                if (not kind or found.data.type == kind)
                and (text in found.data.name or text in value_of(found.data).lower())
            ),
            key=lambda found: (*zonefiles.rank(self.zone.domain.name, found.data), found.id),
        )


def look(actor: Actor, zone_id: UUID, *, to_write: bool = False) -> LiveZone:
    """Read a zone at its provider, within a request and outside of any transaction.

    `to_write`: refuse at once whoever may not. Raises `ZoneNotFound`, `ZoneNotMade`,
    `ProviderError`.
    """
    if to_write:
        actor.require(ADMIN, "dns:write")
    zone = selectors.get_zone(actor, zone_id)
    if not zone.remote_id:
        raise ZoneNotMade
    provider = zone_provider(zone, timeout=LOOK)
    kept, types = list(zone.records.all()), writable_types(provider.capabilities)
    proof = proof_record(zone.domain)
    return LiveZone(
        zone,
        provider,
        tuple(
            ZoneRecord(
                public_id(remote.id),
                ExistingRecord(remote.id, remote.data),
                next((row for row in kept if same_value(row.data, remote.data)), None),
                remote.data.type in types
                and not is_providers_own(zone, remote.data)
                and not same_value(remote.data, proof),
                is_providers_own(zone, remote.data),
                same_value(remote.data, proof),
            )
            for remote in provider.list_records(zone.remote_id)
        ),
    )


def public_id(remote_id: str) -> str:
    """An id for paths: the provider's, or a digest of it where it is long or has odd characters."""
    if FORMATS.fullmatch(remote_id):
        return remote_id
    digest = hashlib.sha256(remote_id.encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def is_providers_own(zone: Zone, data: RecordData) -> bool:
    """Whether nobody but the provider writes such a record."""
    return data.type == "SOA" or data.key == (zone.domain.name, "NS")


def writable_types(capabilities: Capabilities) -> list[str]:
    """The types that a person may write there."""
    return [kind for kind in TYPES if kind in capabilities.record_types]
