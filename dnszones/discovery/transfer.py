"""A zone transfer (AXFR, RFC 5936) from a stranger's nameserver, bounded in time and size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from dnszones.records import RecordData, from_presentation
from mpanel.dns.client import Server

PATIENCE = 5.0  # seconds for one server, whatever it sends
MOST_RECORDS = 10_000
MOST_CHARACTERS = 4_000_000  # of their values, all together
MOST_SERVERS = 3


@dataclass(frozen=True)
class Transfer:
    """The records of a whole zone, as one server gave them; `None` where none did.

    `is_cut`: the zone has more records than are taken.
    """

    records: tuple[RecordData, ...] | None
    is_cut: bool = False


def transfer(zone: str, servers: Sequence[Server]) -> Transfer:
    """Ask one server after the other for the whole zone. Most refuse; that is no failure."""
    for server in servers[:MOST_SERVERS]:
        records: list[RecordData] = []
        size = 0
        try:
            for record in _records(zone, server):
                size += len(record.content)
                if len(records) >= MOST_RECORDS or size > MOST_CHARACTERS:
                    return Transfer(None, is_cut=True)
                records.append(record)
        except (OSError, EOFError, ValueError, dns.exception.DNSException):
            continue
        if records:
            return Transfer(tuple(records))
    return Transfer(None)


def _records(zone: str, server: Server) -> Iterator[RecordData]:
    messages = dns.query.xfr(
        server.address,
        f"{zone}.",
        port=server.port,
        relativize=False,
        timeout=PATIENCE,
        lifetime=PATIENCE,
    )
    for message in messages:
        for rrset in message.answer:
            kind = dns.rdatatype.to_text(rrset.rdtype)
            name = rrset.name.to_text(omit_final_dot=True)
            for rdata in rrset:
                yield from_presentation(name, kind, rdata.to_text(), rrset.ttl)
