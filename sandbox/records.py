"""DNS records as Cloudflare takes, checks and stores them, and as DNS serves them."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer

from .cloudflare_errors import CloudflareError, validation_error

TYPES = (
    "A",
    "AAAA",
    "CAA",
    "CNAME",
    "MX",
    "NS",
    "PTR",
    "SRV",
    "TXT",
    "DS",
    "HTTPS",
    "SSHFP",
    "SVCB",
    "TLSA",
    "URI",
)
# Content, priority and data of a record.
Stored = tuple[str, int | None, Mapping[str, Any] | None]
# Of the types whose content is made of `data`: its parts in their order.
PARTS = {
    "DS": ("key_tag", "algorithm", "digest_type", "digest"),
    "HTTPS": ("priority", "target", "value"),
    "SSHFP": ("algorithm", "type", "fingerprint"),
    "SVCB": ("priority", "target", "value"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
}
# Types that may be proxied; they are also those of which a CNAME excludes the others at its name.
PROXIABLE = ("A", "AAAA", "CNAME")
AUTOMATIC_TTL = 1
AUTOMATIC_TTL_SECONDS = 300
MAX_TXT = 2048  # characters between the quotes, all strings together
INVALID_CONTENT = {
    "A": (9005, "Content for A record must be a valid IPv4 address."),
    "AAAA": (9006, "Content for AAAA record must be a valid IPv6 address."),
    "CNAME": (9007, "Content for CNAME record is invalid."),
    "MX": (9009, "Content for MX record must be a hostname."),
    "NS": (9008, "Content for NS record must be a hostname."),
    "TXT": (9026, "Content for TXT record is invalid."),
    "PTR": (9008, "Content for PTR record must be a hostname."),
    "SRV": (9101, "Data for SRV record is invalid."),
    **{
        kind: (9101, f"Data for {kind} record is invalid.")
        for kind in ("DS", "HTTPS", "SSHFP", "SVCB", "TLSA", "URI")
    },
    "CAA": (9102, "Data for CAA record is invalid."),
}


@dataclass(frozen=True, kw_only=True)
class RecordFields:
    """What a caller may set on a record, checked, and in the form that is stored.

    `name` is fully qualified, lower case, without the trailing dot. `content` of a TXT record is
    its quoted strings. `ttl` 1 is automatic.
    """

    type: str
    name: str
    content: str
    ttl: int
    proxied: bool
    priority: int | None
    data: Mapping[str, Any] | None
    comment: str | None
    tags: tuple[str, ...]

    @property
    def dns_ttl(self) -> int:
        """The TTL that the nameservers give, in seconds."""
        return AUTOMATIC_TTL_SECONDS if self.ttl == AUTOMATIC_TTL else self.ttl

    def rdata(self) -> dns.rdata.Rdata:
        """What DNS serves. Raises `dns.exception.DNSException` or `ValueError` if it cannot be."""
        match self.type:
            case "MX" | "SRV":
                text = f"{self.priority} {_absolute(self.content)}"
            case "CNAME" | "NS" | "PTR":
                text = _absolute(self.content)
            case "URI":
                text = f"{self.priority} {self.content}"
            case _:
                text = self.content
        return dns.rdata.from_text(dns.rdataclass.IN, self.type, text, relativize=False)


@dataclass(frozen=True, kw_only=True)
class Record(RecordFields):
    """A stored record."""

    id: str
    zone_id: str
    created_on: float
    modified_on: float

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> "Record":
        return cls(
            id=row["id"],
            zone_id=row["zone_id"],
            type=row["type"],
            name=row["name"],
            content=row["content"],
            ttl=row["ttl"],
            proxied=bool(row["proxied"]),
            priority=row["priority"],
            data=json.loads(row["data"]) if row["data"] else None,
            comment=row["comment"],
            tags=tuple(json.loads(row["tags"])),
            created_on=row["created_on"],
            modified_on=row["modified_on"],
        )

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self.id,
            "type": self.type,
            "name": self.name,
            "content": self.content,
            "ttl": self.ttl,
            "proxied": self.proxied,
            "proxiable": self.type in PROXIABLE,
            "settings": {},
            "meta": {},
            "comment": self.comment,
            "tags": list(self.tags),
            "created_on": timestamp(self.created_on),
            "modified_on": timestamp(self.modified_on),
        }
        if self.priority is not None:
            body["priority"] = self.priority
        if self.data is not None:
            body["data"] = dict(self.data)
        return body


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds, as the API writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(body: Mapping[str, Any], *, zone: str) -> RecordFields:
    """Check the JSON of a record. Raises `CloudflareError` 1004 with the reason in its chain."""
    kind = body.get("type")
    if kind not in TYPES:
        raise validation_error(9003, f"Invalid 'type'. Accepted values: {', '.join(TYPES)}.")
    content, priority, data = _content(kind, body)
    ttl, proxied = _ttl(body.get("ttl")), _proxied(kind, body.get("proxied"))
    fields = RecordFields(
        type=kind,
        name=_owner(body.get("name"), zone=zone),
        content=content,
        ttl=AUTOMATIC_TTL if proxied else ttl,
        proxied=proxied,
        priority=priority,
        data=data,
        comment=_text(body.get("comment"), "comment"),
        tags=_tags(body.get("tags")),
    )
    try:
        fields.rdata()
    except (dns.exception.DNSException, ValueError) as error:
        raise _invalid(kind) from error
    return fields


def merged(record: Record, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a record after a PATCH: what is given replaces what is stored."""
    body = record.as_json()
    # Content and data say the same thing twice; the one that is given wins.
    if "data" in changes:
        body.pop("content")
    elif "content" in changes:
        body.pop("data", None)
    return body | dict(changes)


def hostname(text: Any) -> str:
    """A host name in lower case ASCII without the trailing dot; the root is ".".

    Raises `ValueError` or `dns.exception.DNSException` for what is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("not a host name")
    name = dns.name.from_text(text.strip(), idna_codec=dns.name.IDNA_2008_Practical)
    ascii_text = name.canonicalize().to_text(omit_final_dot=True)
    if "\\" in ascii_text or " " in ascii_text:
        raise ValueError("not a host name")
    return ascii_text


def _absolute(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _invalid(kind: str) -> CloudflareError:
    return validation_error(*INVALID_CONTENT[kind])


def _owner(name: Any, *, zone: str) -> str:
    try:
        text = zone if name == "@" else hostname(name)
        if text != zone and not text.endswith(f".{zone}"):
            text = hostname(f"{text}.{zone}")
    except (ValueError, dns.exception.DNSException) as error:
        raise validation_error(9000, "DNS name is invalid.") from error
    return text


def _ttl(value: Any) -> int:
    if value is None:
        return AUTOMATIC_TTL
    if _is_integer(value) and (value == AUTOMATIC_TTL or 60 <= value <= 86_400):
        return int(value)
    raise validation_error(
        9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for automatic."
    )


def _proxied(kind: str, value: Any) -> bool:
    if value not in (None, False, True):
        raise validation_error(9004, "Invalid 'proxied'.")
    if value and kind not in PROXIABLE:
        raise validation_error(9004, "This record type cannot be proxied.")
    return bool(value)


def _text(value: Any, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise validation_error(9300, f"Invalid '{field}'.")


def _tags(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tuple(value)
    raise validation_error(9300, "Invalid 'tags'.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any, *, most: int = 65_535) -> int:
    if not _is_integer(value) or not 0 <= value <= most:
        raise ValueError("out of range")
    return int(value)


def _content(kind: str, body: Mapping[str, Any]) -> Stored:
    """What is stored of the JSON of a record."""
    try:
        if kind in _MADE_OF_DATA:
            return _MADE_OF_DATA[kind](body)
        match kind:
            case "MX":
                return hostname(body.get("content")), _short(body.get("priority")), None
            case "CNAME" | "NS" | "PTR":
                return hostname(body.get("content")), None, None
            case "TXT":
                return txt_content(body.get("content")), None, None
        text = body.get("content")
        if not isinstance(text, str):
            raise ValueError("no content")
        rdata = dns.rdata.from_text(dns.rdataclass.IN, kind, text.strip())
        return rdata.to_text(), None, None
    except (ValueError, dns.exception.DNSException) as error:
        raise _invalid(kind) from error


def _uri(body: Mapping[str, Any]) -> Stored:
    data = _data(body)
    target = _quote(str(data.get("target")).encode())
    return f"{_short(data.get('weight'))} {target}", _short(body.get("priority")), data


def _by_parts(kind: str, body: Mapping[str, Any]) -> Stored:
    data = _data(body)
    words = [str(data.get(name, "")) for name in PARTS[kind]]
    if kind in ("HTTPS", "SVCB"):
        words[1] = _absolute(words[1])
    return dns.rdata.from_text(dns.rdataclass.IN, kind, " ".join(words)).to_text(), None, data


def _data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    data = body.get("data")
    if not isinstance(data, Mapping):
        raise ValueError("no data")
    return data


def _srv(body: Mapping[str, Any]) -> Stored:
    data = body.get("data")
    if data is None:
        words = str(body.get("content")).split()
        data = dict(zip(("weight", "port"), map(int, words[:-1]), strict=True))
        data |= {"priority": body.get("priority"), "target": words[-1]}
    if not isinstance(data, Mapping):
        raise ValueError("no data")
    priority, weight, port = (_short(data.get(name)) for name in ("priority", "weight", "port"))
    target = hostname(data.get("target"))
    stored = {"priority": priority, "weight": weight, "port": port, "target": target}
    return f"{weight} {port} {target}", priority, stored


def _caa(body: Mapping[str, Any]) -> Stored:
    data = body.get("data")
    if data is None:
        words = str(body.get("content")).split(maxsplit=2)
        data = dict(zip(("flags", "tag", "value"), words, strict=True))
        data |= {"flags": int(words[0]), "value": words[2].strip('"')}
    if not isinstance(data, Mapping):
        raise ValueError("no data")
    flags = _short(data.get("flags"), most=255)
    tag, value = str(data.get("tag")), str(data.get("value"))
    stored = {"flags": flags, "tag": tag, "value": value}
    return f"{flags} {tag} {_quote(value.encode())}", None, stored


_MADE_OF_DATA: Mapping[str, Callable[[Mapping[str, Any]], Stored]] = {
    "SRV": _srv,
    "CAA": _caa,
    "URI": _uri,
    **{kind: partial(_by_parts, kind) for kind in PARTS},
}


def txt_content(text: Any) -> str:
    """The strings of a TXT record, quoted, none longer than 255 bytes (RFC 1035 §3.3.14).

    Takes one bare text, or strings that are already quoted. Raises `ValueError`.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("no content")
    strings: list[bytes] = []
    if text.lstrip().startswith('"'):
        tokens = dns.tokenizer.Tokenizer(text)
        while not (token := tokens.get()).is_eol_or_eof():
            if not token.is_quoted_string():
                raise ValueError("text outside the quotes")
            strings.append(token.unescape_to_bytes().value)
    else:
        strings.append(text.encode())
    if sum(len(string) for string in strings) > MAX_TXT:
        raise ValueError("too long")
    chunks = [
        string[start : start + 255]
        for string in strings
        for start in range(0, max(len(string), 1), 255)
    ]
    return " ".join(_quote(chunk) for chunk in chunks)


def _quote(value: bytes) -> str:
    """A character string in master-file form; bytes outside printable ASCII as \\DDD."""
    escaped = "".join(
        f"\\{byte:03d}" if not 32 <= byte < 127 else f"\\{byte:c}" if byte in b'"\\' else chr(byte)
        for byte in value
    )
    return f'"{escaped}"'
