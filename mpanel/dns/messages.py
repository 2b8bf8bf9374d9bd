"""DNS messages (RFC 1035 §4): the question as it is sent, the answer as it is understood.

Answers are taken apart here and not by `dns.message`, which takes some ten times as long for it;
the data of records is dnspython's matter, but for the few types that mail and delegations use.
"""

import functools
import re
import socket
import struct
from dataclasses import dataclass, replace
from typing import Literal

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

Status = Literal["answer", "nodata", "nxdomain", "referral", "unknown"]

EDNS_PAYLOAD = 1232  # bytes: what passes every path without fragments (DNS flag day 2020)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    `status`: "answer" (`values` holds the records), "nodata" (the name exists, the type does not),
    "nxdomain" (no such name), "referral" (ask `nameservers` of `zone`), "unknown" (`why` says
    what went wrong; nothing follows from it).

    `values` are sorted: TXT joined and without quotes, hosts lower-case without trailing dot
    ("." for the root), MX as "10 host", other types as in a zone file. `aliases` are the CNAME
    targets that led to them.

    `ttl` in seconds: the smallest of the records used; for "nodata" and "nxdomain" how long a
    cache may keep that (RFC 2308), `None` without SOA; for a referral, of its NS records.
    `zone` is the owner of the SOA or NS records in the authority section. `addresses` are pairs
    of host and address out of the additional section (glue), for referrals and NS answers.
    """

    status: Status
    rcode: str = ""
    values: tuple[str, ...] = ()
    ttl: int | None = None
    authoritative: bool = False
    aliases: tuple[str, ...] = ()
    zone: str = ""
    nameservers: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    why: str = ""


def canonical_name(name: str) -> str:
    """The name in lower case, as A-labels (IDNA 2008, UTS 46), without trailing dot.

    Raises `ValueError` for what cannot be a DNS name.
    """
    if name.isascii() and "\\" not in name:
        plain = name.lower().removesuffix(".")
        labels = plain.split(".")
        if plain and (len(plain) > 253 or not all(0 < len(label) < 64 for label in labels)):
            raise ValueError(f"{name!r} is not a DNS name")
        return plain
    try:
        parsed = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008_UTS_46)
    except dns.exception.DNSException as error:
        raise ValueError(f"{name!r} is not a DNS name") from error
    return parsed.to_text(omit_final_dot=True).lower()


def is_within(name: str, zone: str) -> bool:
    """Whether a canonical name is the zone's apex or below it. The root is "" or "."."""
    return zone in {"", ".", name} or name.endswith(f".{zone}")


_HEADER = struct.Struct("!HHHHHH")  # id, flags, and how many records the four sections have
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, size of the data
_QR, _OPCODE, _AA, _TC, _RD, _RA = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0080
_OPT = b"\0" + _RECORD.pack(dns.rdatatype.OPT, EDNS_PAYLOAD, 0, 0)
_PLAIN = re.compile(rb"[-_*/+a-z0-9.]*")
_A, _AAAA, _TXT = int(dns.rdatatype.A), int(dns.rdatatype.AAAA), int(dns.rdatatype.TXT)
_NS, _CNAME, _SOA = int(dns.rdatatype.NS), int(dns.rdatatype.CNAME), int(dns.rdatatype.SOA)
# Types whose data is some 16-bit numbers and one host.
_NUMBERS_AND_HOST = {
    _NS: 0,
    _CNAME: 0,
    int(dns.rdatatype.PTR): 0,
    int(dns.rdatatype.MX): 1,
    int(dns.rdatatype.SRV): 3,
}
_MAX_JUMPS = 127  # compression pointers in one name: as many as a name has labels
_MAX_ALIASES = 16  # as most resolvers
_NOERROR, _REFUSED, _NXDOMAIN = "NOERROR", "REFUSED", "NXDOMAIN"
_RCODES = [dns.rcode.to_text(dns.rcode.Rcode(number)) for number in range(16)]


@dataclass(frozen=True, slots=True)
class Asked:
    """The question section as it is sent, and what it says."""

    name: str
    rdtype: int
    wire: bytes


@functools.lru_cache(maxsize=16_384)  # a sweep asks every resolver the same
def asked_for(name: str, rdtype: str) -> Asked:
    """The question for a name and type. Raises `ValueError` for one that cannot be asked."""
    canonical = canonical_name(name)
    try:
        code = int(dns.rdatatype.from_text(rdtype))
    except dns.exception.DNSException as error:
        raise ValueError(f"{rdtype!r} is not a DNS record type") from error
    if "\\" in canonical:
        labels = dns.name.from_text(canonical).labels[:-1]
    else:
        labels = tuple(label.encode() for label in canonical.split(".")) if canonical else ()
    owner = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    wire = owner + code.to_bytes(2) + int(dns.rdataclass.IN).to_bytes(2)
    return Asked(canonical or ".", code, wire)


def is_answer_to(asked: Asked, wire: bytes) -> bool:
    """Whether a message with the right id answers the question, well or badly."""
    if len(wire) < _HEADER.size:
        return False
    _, flags, questions, *_ = _HEADER.unpack_from(wire)
    if not flags & _QR or flags & _OPCODE:
        return False
    if questions == 0:  # some servers leave it out when they refuse
        return _RCODES[flags & 15] not in {_NOERROR, _NXDOMAIN}
    given = wire[_HEADER.size : _HEADER.size + len(asked.wire)]
    if questions != 1 or given[-4:] != asked.wire[-4:]:
        return False
    return given == asked.wire or given.lower() == asked.wire.lower()


def _read_name(wire: bytes, at: int) -> tuple[str, int]:
    """The name at a place in the message ("." for the root), and where it goes on behind it."""
    labels: list[bytes] = []
    behind, bound, jumps = 0, at, 0
    while size := wire[at]:
        if size < 0x40:
            labels.append(wire[at + 1 : at + 1 + size])
            at += size + 1
        elif size >= 0xC0:
            behind = behind or at + 2
            at = (size & 0x3F) << 8 | wire[at + 1]
            jumps += 1
            if at >= bound or jumps > _MAX_JUMPS:  # back only, so that they cannot go round
                raise ValueError("compression pointers lead nowhere")
            bound = at
        else:
            raise ValueError("unknown kind of label")
    behind = behind or at + 1
    text = b".".join(labels).lower()
    if len(text) > 253 or len(labels) > 127:
        raise ValueError("name too long")
    if text.count(b".") == len(labels) - 1 and _PLAIN.fullmatch(text):
        return text.decode(), behind
    return dns.name.Name((*labels, b"")).to_text(omit_final_dot=True).lower(), behind


# Owner, type, TTL, and where the data starts and ends.
_Record = tuple[str, int, int, int, int]


def _read_records(wire: bytes, at: int, count: int, asked: Asked) -> tuple[list[_Record], int]:
    """That many records of class IN from a place in the message, and where it goes on."""
    records: list[_Record] = []
    for _ in range(count):
        if wire[at] == 0xC0 and wire[at + 1] == _HEADER.size:
            owner, at = asked.name, at + 2
        else:
            owner, at = _read_name(wire, at)
        rdtype, rdclass, ttl, size = _RECORD.unpack_from(wire, at)
        start = at + _RECORD.size
        at = start + size
        if at > len(wire):
            raise ValueError("record longer than its message")
        if rdclass == dns.rdataclass.IN:
            # RFC 2181 §8: a TTL with the highest bit set counts as zero.
            records.append((owner, rdtype, 0 if ttl >> 31 else ttl, start, at))
    return records, at


def _read_text(wire: bytes, at: int, end: int) -> str:
    """The strings of a TXT record, joined. NUL, which databases refuse, is escaped."""
    parts = []
    while at < end:
        stop = at + 1 + wire[at]
        if stop > end:
            raise ValueError("string longer than its record")
        parts.append(wire[at + 1 : stop])
        at = stop
    return b"".join(parts).decode("utf-8", "backslashreplace").replace("\0", "\\000")


def _read_value(wire: bytes, record: _Record) -> str:
    """The data of a record as text; the forms stand at `Answer`."""
    _, rdtype, _, start, end = record
    if rdtype == _TXT:
        return _read_text(wire, start, end)
    if rdtype == _A:
        return socket.inet_ntop(socket.AF_INET, wire[start:end])
    if rdtype == _AAAA:
        return socket.inet_ntop(socket.AF_INET6, wire[start:end])
    if (numbers := _NUMBERS_AND_HOST.get(rdtype)) is not None:
        host, behind = _read_name(wire, start + 2 * numbers)
        if behind != end:
            raise ValueError("host longer or shorter than its record")
        return " ".join([*map(str, struct.unpack_from(f"!{numbers}H", wire, start)), host])
    rdata = dns.rdata.from_wire(
        dns.rdataclass.IN, dns.rdatatype.RdataType.make(rdtype), wire, start, end - start
    )
    return rdata.to_text()


def _read_answer(asked: Asked, wire: bytes) -> Answer:
    """What the message says. Raises `ValueError`, `IndexError`, `struct.error`, `DNSException`."""
    _, flags, questions, answers, *_ = _HEADER.unpack_from(wire)
    rcode = _RCODES[flags & 15]
    if rcode not in {_NOERROR, _NXDOMAIN}:
        return Answer("unknown", rcode, why="refused" if rcode == _REFUSED else rcode)
    at = _HEADER.size + (len(asked.wire) if questions else 0)
    records, at = _read_records(wire, at, answers, asked)
    aliases: list[str] = []
    ttls: list[int] = []
    owner = asked.name
    while not (found := [r for r in records if r[0] == owner and r[1] == asked.rdtype]):
        alias = next((r for r in records if r[0] == owner and r[1] == _CNAME), None)
        if alias is None:
            return _read_negative(asked, wire, at, aliases, ttls)
        if len(aliases) == _MAX_ALIASES:
            raise ValueError("aliases go round")
        owner = _read_value(wire, alias)
        aliases.append(owner)
        ttls.append(alias[2])
    ttls += [r[2] for r in found]
    return Answer(
        "answer",
        rcode,
        values=tuple(sorted({_read_value(wire, r) for r in found})),
        ttl=min(ttls),
        authoritative=bool(flags & _AA),
        aliases=tuple(aliases),
        addresses=_read_rest(wire, at, asked)[1] if asked.rdtype == _NS else (),
    )


def _read_rest(
    wire: bytes, at: int, asked: Asked
) -> tuple[list[_Record], tuple[tuple[str, str], ...]]:
    """The authority section, and the addresses in the additional section."""
    *_, authorities, additionals = _HEADER.unpack_from(wire)
    authority, at = _read_records(wire, at, authorities, asked)
    additional, _ = _read_records(wire, at, additionals, asked)
    return authority, tuple((r[0], _read_value(wire, r)) for r in additional if r[1] in {_A, _AAAA})


def _read_negative(
    asked: Asked, wire: bytes, at: int, aliases: list[str], ttls: list[int]
) -> Answer:
    """A message without the records that were asked for: RFC 2308 §2 tells what it means."""
    _, flags, *_ = _HEADER.unpack_from(wire)
    rcode = _RCODES[flags & 15]
    answer = Answer(
        "nxdomain" if rcode == _NXDOMAIN else "nodata",
        rcode,
        authoritative=bool(flags & _AA),
        aliases=tuple(aliases),
    )
    authority, addresses = _read_rest(wire, at, asked)
    for owner, rdtype, ttl, _, end in authority:
        if rdtype == _SOA:
            minimum = int.from_bytes(wire[end - 4 : end])
            return replace(answer, ttl=min(*ttls, ttl, minimum), zone=owner)
    if answer.status == "nxdomain":
        return answer
    if aliases and not flags & _RA:
        # An authoritative server ends where the alias leaves its zones: that is no "nodata".
        return replace(answer, status="unknown", why=f"{aliases[-1]} has to be asked elsewhere")
    zone = next((r[0] for r in authority if r[1] == _NS), None)
    if zone is None:
        return answer
    delegation = [r for r in authority if r[1] == _NS and r[0] == zone]
    return replace(
        answer,
        status="referral",
        ttl=min(r[2] for r in delegation),
        zone=zone,
        nameservers=tuple(sorted({_read_value(wire, r) for r in delegation})),
        addresses=addresses,
    )


def query(ident: int, asked: Asked, *, recursive: bool) -> bytes:
    """The message that asks, with EDNS."""
    flags = _RD if recursive else 0
    return _HEADER.pack(ident, flags, 1, 0, 0, 1) + asked.wire + _OPT


def is_truncated(wire: bytes) -> bool:
    """Whether the answer has to be fetched again over TCP."""
    return bool(wire[2] & _TC >> 8)


def read_answer(asked: Asked, wire: bytes) -> Answer:
    """What a message that `is_answer_to` the question says; "unknown" if it is malformed."""
    try:
        return _read_answer(asked, wire)
    except (ValueError, IndexError, struct.error, OSError, dns.exception.DNSException):
        return Answer("unknown", why="malformed answer")
