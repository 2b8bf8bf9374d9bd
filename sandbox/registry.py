"""The registry and its registrars: which domains are registered and where they are delegated."""

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.rdata

from .internet import ELSEWHERE, PARKING
from .nodes import nodes_of_file
from .records import hostname
from .store import Store
from .world import World


class InvalidDelegation(Exception):
    """The domain or a nameserver is no host name, or a DS record none."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A registered domain and its delegation. `by_hand`: somebody chose the nameservers."""

    domain: str
    nameservers: tuple[str, ...]
    changed_on: float
    by_hand: bool

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Registration":
        return cls(
            domain=row["domain"],
            nameservers=tuple(json.loads(row["nameservers"])),
            changed_on=row["changed_on"],
            by_hand=bool(row["by_hand"]),
        )


class Registry:
    """All registrations. A new delegation counts at once; resolvers notice it with their delay."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world

    def registrations(self) -> list[Registration]:
        """All of them, the last changed first."""
        rows = self._store.rows("SELECT * FROM registration ORDER BY changed_on DESC, domain")
        return [Registration.from_row(row) for row in rows]

    def registration(self, domain: str) -> Registration | None:
        row = self._store.row("SELECT * FROM registration WHERE domain = ?", domain)
        return Registration.from_row(row) if row else None

    def register(self, domain: str) -> Registration:
        """The domain's registration; a new one is parked at the registrar."""
        self._store.write(
            "INSERT INTO registration (domain, nameservers, changed_on) VALUES (?, ?, ?)"
            " ON CONFLICT (domain) DO NOTHING",
            domain,
            json.dumps(PARKING),
            time.time(),
        )
        found = self.registration(domain)
        if found is None:
            raise LookupError(domain)
        return found

    def set_nameservers(
        self, domain: str, nameservers: Sequence[str], *, by_hand: bool = True
    ) -> Registration:
        """Delegate the domain, registering it first if need be.

        The DNS host checks its zones against the new delegation, here without the hours that it
        takes outside: the zone whose nameservers match becomes active, an active one that no
        longer matches has moved. Raises `InvalidDelegation`.
        """
        try:
            domain = hostname(domain)
            wanted = tuple(dict.fromkeys(hostname(nameserver) for nameserver in nameservers))
        except (ValueError, dns.exception.DNSException) as error:
            raise InvalidDelegation("not a host name") from error
        if not wanted or "." not in domain:
            raise InvalidDelegation("a delegation needs a domain and at least one nameserver")
        now = time.time()
        with self._store.transaction():
            self.register(domain)
            self._store.write(
                "UPDATE registration SET nameservers = ?, changed_on = ?, by_hand = ?"
                " WHERE domain = ?",
                json.dumps(wanted),
                now,
                by_hand,
                domain,
            )
            self._check_zones(domain, wanted, now)
        self._world.publish(domain)
        found = self.registration(domain)
        if found is None:
            raise LookupError(domain)
        return found

    def ds_records(self, domain: str) -> list[str]:
        """The DS records that the registry publishes for a domain, as in a zone file."""
        stored = self._store.value("SELECT records FROM delegation_signer WHERE domain = ?", domain)
        found: list[str] = json.loads(stored) if stored else []
        return found

    def set_ds_records(self, domain: str, records: Sequence[str]) -> list[str]:
        """Publish these DS records for a registered domain. Raises `InvalidDelegation`."""
        try:
            domain = hostname(domain)
            found = sorted({str(dns.rdata.from_text("IN", "DS", text)) for text in records})
        except (ValueError, dns.exception.DNSException) as error:
            raise InvalidDelegation("not a DS record: key tag, algorithm, type, digest") from error
        if self.registration(domain) is None:
            raise InvalidDelegation("the domain is not registered")
        self._store.write(
            "INSERT INTO delegation_signer VALUES (?, ?) ON CONFLICT (domain)"
            " DO UPDATE SET records = excluded.records",
            domain,
            json.dumps(found),
        )
        self._world.publish(domain)
        return found

    def host_elsewhere(self, domain: str, zone_file: str, *, transfer: bool) -> Registration:
        """Have another DNS host serve the domain, as the zone file says, and delegate it there.

        `transfer`: whether anybody may ask for the whole zone. Raises `InvalidDelegation`.
        """
        try:
            domain = hostname(domain)
            nodes_of_file(domain, zone_file)
        except (ValueError, dns.exception.DNSException) as error:
            raise InvalidDelegation(f"not a zone file: {error}") from error
        self._store.write(
            "INSERT INTO elsewhere VALUES (?, ?, ?) ON CONFLICT (domain) DO UPDATE"
            " SET zone_file = excluded.zone_file, transfer = excluded.transfer",
            domain,
            zone_file,
            transfer,
        )
        return self.set_nameservers(domain, ELSEWHERE)

    def _check_zones(self, domain: str, delegation: Sequence[str], now: float) -> None:
        for zone in self._store.rows("SELECT * FROM zone WHERE name = ?", domain):
            status = zone["status"]
            if set(json.loads(zone["nameservers"])) == set(delegation):
                status = "active"
            elif status == "active":
                status = "moved"
            self._store.write(
                "UPDATE zone SET status = ?, activated_on = coalesce(activated_on, ?),"
                " modified_on = ? WHERE id = ? AND status <> ?",
                status,
                now if status == "active" else None,
                now,
                zone["id"],
                status,
            )
