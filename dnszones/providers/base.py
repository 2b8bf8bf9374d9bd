"""The DNS port: what mPanel asks of every DNS provider."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from dnszones.records import RecordData
from mpanel.core.registry import CredentialField

ZoneStatus = Literal["pending", "active", "moved"]


@dataclass(frozen=True)
class RemoteZone:
    """A zone at the provider.

    `nameservers`: those that the zone was assigned, which its parent must delegate to. `status`:
    `pending` until the provider sees the delegation, `moved` when it is gone again; always
    `pending` at a provider that never looks. Whether the delegation is there, we ask the parent.
    `marker`: what it was marked with when it was created, where the provider can do that.
    """

    id: str
    name: str
    nameservers: tuple[str, ...]
    status: ZoneStatus
    created_at: datetime | None = None
    marker: str = ""


@dataclass(frozen=True)
class RemoteRecord:
    """A record at the provider; `data` is in normal form, whoever wrote it."""

    id: str
    data: RecordData
    comment: str = ""


@dataclass(frozen=True)
class Capabilities:
    """`record_types`: those that can be written. `batch_size`: changes that one call may hold.

    `atomic_batches`: whether such a call is applied whole or not at all. `one_ttl_per_rrset`: a
    record that is written gives its TTL to all of its name and type, as RFC 2181 §5.2 has it; else
    each keeps its own. `dnssec`: whether it can sign zones. `apex_cname`: whether the zone's own
    name may have a CNAME, which the provider then answers with its target's addresses.
    `lone_cname`: whether a CNAME stands alone at its name (RFC 1034 §3.6.2); else only A, AAAA and
    CNAME exclude each other. `proxies`: whether it can put A, AAAA and CNAME records behind a proxy
    of its own (`RecordData.proxied`). `marks_zones`: whether a zone keeps the marker with which it
    was created.
    """

    record_types: frozenset[str]
    batch_size: int
    atomic_batches: bool
    one_ttl_per_rrset: bool = False
    dnssec: bool = False
    apex_cname: bool = False
    lone_cname: bool = True
    proxies: bool = False
    marks_zones: bool = False


SHA_1 = 1
_HEX = re.compile(r"(?:[0-9A-F]{2})+")


@dataclass(frozen=True, order=True)
class DsRecord:
    """What the parent zone must say about a signed zone's key (RFC 4034 §5). `digest` in hex."""

    key_tag: int
    algorithm: int
    digest_type: int
    digest: str

    def __str__(self) -> str:
        return f"{self.key_tag} {self.algorithm} {self.digest_type} {self.digest}"

    @classmethod
    def from_text(cls, text: str) -> "DsRecord":
        """From its presentation form. Raises `ValueError` for what is none."""
        key_tag, algorithm, digest_type, *digest = text.split()
        joined = "".join(digest).upper()
        if not _HEX.fullmatch(joined):
            raise ValueError(f"{text[:80]!r} is no DS record")
        return cls(int(key_tag), int(algorithm), int(digest_type), joined)

    @property
    def is_fit(self) -> bool:
        """Whether it may be published: SHA-1 digests must not be (RFC 8624 §3.3)."""
        return self.digest_type != SHA_1


@dataclass(frozen=True)
class DnssecState:
    """Whether the provider signs a zone; and the DS records that its parent must then have.

    A parent needs one of them: each is another digest of the same key.
    """

    is_on: bool
    ds_records: tuple[DsRecord, ...] = ()


class DNSProvider(ABC):
    """One account at one provider, over which zones and their records are read and written.

    Every method is one or a few HTTP calls, blocks for at most `timeout` seconds in each, and
    raises `ProviderError` where the provider fails: `retryable` tells whether the same call may
    succeed later, `ambiguous` that a write may have taken effect. Nothing is retried here.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[tuple[CredentialField, ...]]
    capabilities: ClassVar[Capabilities]

    @abstractmethod
    def __init__(self, credentials: Mapping[str, str], *, base_url: str, timeout: float) -> None:
        """`credentials` by the names of `credential_fields`; `timeout` in seconds per call."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    def check_connection(self) -> str:
        """Prove that the credentials work. Returns a sentence that names the account."""

    @abstractmethod
    def find_zone(self, name: str) -> RemoteZone | None:
        """The account's zone of this name, None where it has none."""

    @abstractmethod
    def get_zone(self, zone_id: str) -> RemoteZone | None:
        """The zone of this id, None where there is none any more."""

    @abstractmethod
    def create_zone(self, name: str, *, marker: str = "") -> RemoteZone:
        """Create a zone. `ZONE_EXISTS` where this account or another one has it already.

        `marker`: up to 40 letters, digits and hyphens that the zone keeps, as `capabilities` says.
        """

    @abstractmethod
    def delete_zone(self, zone_id: str) -> None:
        """Delete a zone and its records. One that is gone already is fine."""

    @abstractmethod
    def list_records(self, zone_id: str) -> list[RemoteRecord]:
        """Every record of the zone that the provider shows."""

    @abstractmethod
    def apply_batch(
        self,
        zone_id: str,
        *,
        deletes: Sequence[RemoteRecord] = (),
        updates: Sequence[tuple[RemoteRecord, RecordData]] = (),
        creates: Sequence[RecordData] = (),
    ) -> None:
        """Write changes: deletes first, then updates, then creates.

        Atomic as `capabilities` says, in calls of at most `batch_size` changes. What is already so
        counts as done: a record to delete that is gone, one to create that stands there.
        """

    @abstractmethod
    def dnssec(self, zone_id: str) -> DnssecState:
        """Whether the zone is signed. `ZONE_GONE` where it is not there any more."""

    @abstractmethod
    def enable_dnssec(self, zone_id: str) -> DnssecState:
        """Sign the zone. Twice is harmless, and leaves the key as it is."""

    @abstractmethod
    def disable_dnssec(self, zone_id: str) -> DnssecState:
        """Sign the zone no more. Twice is harmless."""


class ZoneScanner(ABC):
    """A DNS provider that looks for the records that a domain has elsewhere, and adds none."""

    @abstractmethod
    def start_scan(self, zone_id: str) -> None:
        """Begin to look. Raises `ProviderError`."""

    @abstractmethod
    def scanned(self, zone_id: str) -> list[tuple[str, str]]:
        """Names and types found until now; more may come. Raises `ProviderError`."""
