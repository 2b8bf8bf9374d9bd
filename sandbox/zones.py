"""The zones of the DNS host and their records: the rules behind Cloudflare's API."""

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dns.exception
from publicsuffixlist import PublicSuffixList

from .accounts import Account
from .cloudflare_errors import CloudflareError, invalid_request, unknown_zone
from .dnssec import Signing
from .internet import NAMESERVER_PAIRS
from .records import PROXIABLE, Record, RecordFields, hostname, merged, parse, timestamp
from .registry import Registry
from .scans import Scans
from .store import Store
from .world import World

MAX_BATCH = 200  # operations per call on the free plan


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone of an account. Times are Unix seconds."""

    id: str
    account: Account
    name: str
    status: str
    nameservers: tuple[str, ...]
    original_nameservers: tuple[str, ...]
    created_on: float
    modified_on: float
    activated_on: float | None

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Zone":
        return cls(
            id=row["id"],
            account=Account(id=row["account_id"], name=row["account_name"]),
            name=row["name"],
            status=row["status"],
            nameservers=tuple(json.loads(row["nameservers"])),
            original_nameservers=tuple(json.loads(row["original_nameservers"])),
            created_on=row["created_on"],
            modified_on=row["modified_on"],
            activated_on=row["activated_on"],
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "paused": False,
            "type": "full",
            "development_mode": 0,
            "name_servers": list(self.nameservers),
            "original_name_servers": list(self.original_nameservers),
            "original_registrar": None,
            "original_dnshost": None,
            "created_on": timestamp(self.created_on),
            "modified_on": timestamp(self.modified_on),
            "activated_on": timestamp(self.activated_on) if self.activated_on else None,
            "account": self.account.as_json(),
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:edit", "#zone:read"],
            "plan": {"id": "0" * 32, "name": "Free Website", "legacy_id": "free"},
        }


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Changes to a zone's records that take effect together, in this order."""

    deletes: Sequence[str] = ()  # record ids
    patches: Sequence[tuple[str, Mapping[str, Any]]] = ()
    puts: Sequence[tuple[str, Mapping[str, Any]]] = ()
    posts: Sequence[Mapping[str, Any]] = ()

    def __len__(self) -> int:
        return len(self.deletes) + len(self.patches) + len(self.puts) + len(self.posts)


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """The records that each part of a batch deleted, changed or made."""

    deletes: list[Record] = field(default_factory=list)
    patches: list[Record] = field(default_factory=list)
    puts: list[Record] = field(default_factory=list)
    posts: list[Record] = field(default_factory=list)


class Zones:
    """All zones and records. Every change shows in DNS when the call returns."""

    def __init__(self, store: Store, world: World, registry: Registry) -> None:
        self._store = store
        self._world = world
        self._registry = registry
        self.signing = Signing(store, registry)
        self.scans = Scans(store, world)

    @cached_property
    def _suffixes(self) -> PublicSuffixList:
        return PublicSuffixList()  # a quarter of a second that the start does not wait

    # Zones

    def all(self, account_id: str | None = None) -> list[Zone]:
        """The zones of an account, or all; the oldest first."""
        rows = self._store.rows(
            "SELECT * FROM zone WHERE ? IS NULL OR account_id = ? ORDER BY created_on, name",
            account_id,
            account_id,
        )
        return [Zone.from_row(row) for row in rows]

    def of_domain(self, domain: str) -> list[Zone]:
        """Every account's zone of that name; the active one first, then the oldest."""
        rows = self._store.rows(
            "SELECT * FROM zone WHERE name = ? ORDER BY status = 'active' DESC, created_on", domain
        )
        return [Zone.from_row(row) for row in rows]

    def get(self, zone_id: str, account: Account) -> Zone:
        """A zone of the account. Raises `CloudflareError` 7003 or 9109."""
        row = self._store.row("SELECT * FROM zone WHERE id = ?", zone_id)
        if row is None:
            raise unknown_zone(f"/zones/{zone_id}")
        if row["account_id"] != account.id:
            raise CloudflareError(403, 9109, "Unauthorized to access requested resource")
        return Zone.from_row(row)

    def create(self, account: Account, name: Any) -> Zone:
        """A new zone. Its domain is registered if it was not, so that it can be delegated.

        Raises `CloudflareError`: 1099 for what is no registrable domain, 1061 if the account has
        the zone or it is active in another.
        """
        try:
            domain = hostname(name)
        except (ValueError, dns.exception.DNSException) as error:
            raise CloudflareError(400, 1099, "The zone name is not a valid domain.") from error
        if self._suffixes.privatesuffix(domain) != domain or "_" in domain:
            raise CloudflareError(
                400,
                1099,
                f"We were unable to identify {domain} as a registered domain. Please ensure you"
                " are providing the root domain and not any subdomains.",
            )
        others = self.of_domain(domain)
        if any(zone.account.id == account.id or zone.status == "active" for zone in others):
            raise CloudflareError(400, 1061, f"{domain} already exists")
        pair = _free_pair(account, taken=[zone.nameservers for zone in others])
        now = time.time()
        zone_id = uuid.uuid4().hex
        with self._store.transaction():
            registration = self._registry.register(domain)
            active = set(registration.nameservers) == set(pair)
            self._store.write(
                "INSERT INTO zone VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                zone_id,
                account.id,
                account.name,
                domain,
                json.dumps(pair),
                json.dumps(registration.nameservers),
                "active" if active else "pending",
                now,
                now,
                now if active else None,
            )
        self._world.publish(domain)
        return self.get(zone_id, account)

    def delete(self, zone: Zone) -> None:
        """Delete the zone and its records; the delegation stays as it is."""
        self._store.write("DELETE FROM zone WHERE id = ?", zone.id)
        self._world.publish(zone.name)

    # Records

    def records(self, zone: Zone) -> list[Record]:
        """All records of a zone, the oldest first."""
        rows = self._store.rows("SELECT * FROM record WHERE zone_id = ? ORDER BY rowid", zone.id)
        return [Record.from_row(row) for row in rows]

    def record(self, zone: Zone, record_id: str) -> Record:
        """One record. Raises `CloudflareError` 81044."""
        row = self._store.row(
            "SELECT * FROM record WHERE zone_id = ? AND id = ?", zone.id, record_id
        )
        if row is None:
            raise CloudflareError(404, 81044, "Record does not exist.")
        return Record.from_row(row)

    def apply(self, zone: Zone, batch: Batch) -> BatchResult:
        """Make all changes of a batch, or none. Raises `CloudflareError` for the first bad one."""
        if len(batch) > MAX_BATCH:
            raise invalid_request(f"A batch may hold at most {MAX_BATCH} operations.")
        result = BatchResult()
        touched: set[str] = set()
        with self._store.transaction():
            for record_id in batch.deletes:
                record = self.record(zone, record_id)
                self._store.write("DELETE FROM record WHERE id = ?", record.id)
                result.deletes.append(record)
                touched.add(record.name)
            for record_id, body in batch.patches:
                before = self.record(zone, record_id)
                result.patches.append(self._replace(zone, before, merged(before, body)))
                touched |= {before.name, result.patches[-1].name}
            for record_id, body in batch.puts:
                before = self.record(zone, record_id)
                result.puts.append(self._replace(zone, before, body))
                touched |= {before.name, result.puts[-1].name}
            for body in batch.posts:
                result.posts.append(self._insert(zone, body))
                touched.add(result.posts[-1].name)
        if touched:
            self._world.publish(zone.name, zone_id=zone.id, names=touched)
        return result

    def _insert(self, zone: Zone, body: Mapping[str, Any]) -> Record:
        fields = parse(body, zone=zone.name)
        self._check_conflicts(zone, fields, but="")
        now = time.time()
        record_id = uuid.uuid4().hex
        self._store.write(
            "INSERT INTO record (id, zone_id, created_on, modified_on, type, name, content, ttl,"
            " proxied, priority, data, comment, tags)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            record_id,
            zone.id,
            now,
            now,
            *_columns(fields),
        )
        return self.record(zone, record_id)

    def _replace(self, zone: Zone, before: Record, body: Mapping[str, Any]) -> Record:
        fields = parse(body, zone=zone.name)
        self._check_conflicts(zone, fields, but=before.id)
        self._store.write(
            "UPDATE record SET modified_on = ?, type = ?, name = ?, content = ?, ttl = ?,"
            " proxied = ?, priority = ?, data = ?, comment = ?, tags = ? WHERE id = ?",
            time.time(),
            *_columns(fields),
            before.id,
        )
        return self.record(zone, before.id)

    def _check_conflicts(self, zone: Zone, fields: RecordFields, *, but: str) -> None:
        """Refuse what Cloudflare refuses beside the other records of the name.

        Of the types, only A, AAAA and CNAME exclude each other: a CNAME may stand beside an MX or a
        TXT, which RFC 1034 §3.6.2 does not allow.
        """
        rows = self._store.rows(
            "SELECT * FROM record WHERE zone_id = ? AND name = ? AND id <> ?",
            zone.id,
            fields.name,
            but,
        )
        others = [Record.from_row(row) for row in rows]
        for other in others:
            same = (other.type, other.content, other.priority) == (
                fields.type,
                fields.content,
                fields.priority,
            )
            if same and (other.ttl, other.proxied) == (fields.ttl, fields.proxied):
                raise CloudflareError(400, 81058, "An identical record already exists.")
            if same:
                raise CloudflareError(400, 81057, "The record already exists.")
        if fields.type not in PROXIABLE:
            return
        if fields.type != "CNAME" and any(other.type == "CNAME" for other in others):
            raise CloudflareError(400, 81054, "A CNAME record with that host already exists.")
        if fields.type == "CNAME" and any(other.type in PROXIABLE for other in others):
            raise CloudflareError(
                400, 81053, "An A, AAAA, or CNAME record with that host already exists."
            )


def _free_pair(account: Account, *, taken: Sequence[tuple[str, ...]]) -> tuple[str, str]:
    """The account's usual pair of nameservers, or the next that nobody has for this domain."""
    usual = int(account.id, 16)
    for step in range(len(NAMESERVER_PAIRS)):
        pair = NAMESERVER_PAIRS[(usual + step) % len(NAMESERVER_PAIRS)]
        if pair not in taken:
            return pair
    raise CloudflareError(400, 1118, "Too many accounts wait for this domain.")


def _columns(fields: RecordFields) -> tuple[object, ...]:
    return (
        fields.type,
        fields.name,
        fields.content,
        fields.ttl,
        fields.proxied,
        fields.priority,
        json.dumps(dict(fields.data)) if fields.data is not None else None,
        fields.comment,
        json.dumps(fields.tags),
    )
