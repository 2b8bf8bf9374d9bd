"""DNS records as plain values: normal form, presentation form, comparison, and verdicts."""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final, Literal

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import idna

from dnszones import dmarc, record_types, spf
from dnszones.dkim import records as dkim
from mpanel.core.errors import Invalid

# What a record is for; `record` where a person wrote it themselves.
Purpose = Literal[
    "spf",
    "dkim",
    "dmarc",
    "mx",
    "tracking",
    "mta-sts",
    "tls-rpt",
    "autoconfig",
    "other",
    "record",
]

DEFAULT_TTL: Final = 300
# What every provider of ours accepts: seconds, and bytes of text (Cloudflare's limit).
LEAST_TTL, GREATEST_TTL = 60, 86_400
LONGEST_TXT = 2048
LONGEST = 4096  # characters of any content; what is longer is not even read

# Their content is one host name, after the preference where there is one.
HOST_TYPES: Final = frozenset({"CNAME", "DNAME", "MX", "NS", "PTR"})
# Their first number stands in `priority`, as the panels of most providers have it.
PRIORITY_TYPES: Final = frozenset({"MX", "SRV", "URI"})
# What a provider with a proxy can put behind it: DNS then shows the proxy's addresses.
PROXIABLE_TYPES: Final = frozenset({"A", "AAAA", "CNAME"})
# The TTL of a record whose provider chooses it, as those of proxied records always are.
AUTOMATIC_TTL: Final = 1

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_STRING = r'"((?:[^"\\]|\\(?:[01]\d\d|2[0-4]\d|25[0-5]|\D))*+)"'
_QUOTED = re.compile(_STRING, re.DOTALL)
_ALL_QUOTED = re.compile(rf"\s*+(?:{_STRING}\s*+)++", re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:(\d{3})|(.))", re.DOTALL)


@dataclass(frozen=True)
class RecordData:
    """One record. `name` is a lower-case absolute name without its last dot.

    `content` is in normal form: the whole text of a TXT without quotes, host names in lower case
    without their last dot, `priority` apart from it. `ttl` is in seconds. `proxied`: the provider
    answers with the addresses of its own proxy instead, which passes web traffic only.
    """

    name: str
    type: str
    content: str
    ttl: int = DEFAULT_TTL
    priority: int | None = None
    proxied: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The rrset that the record belongs to."""
        return self.name, self.type

    def __str__(self) -> str:
        priority = "" if self.priority is None else f"{self.priority} "
        proxied = " (proxied)" if self.proxied else ""
        return f"{self.name} {self.type} {priority}{self.content}{proxied}"


def normal_name(name: str) -> str:
    """A domain name in lower case, punycode, without its last dot. Never raises."""
    plain = name.strip().rstrip(".").lower()
    if plain.isascii():
        return plain
    try:
        return idna.encode(plain, uts46=True).decode()
    except idna.IDNAError:
        return plain


def canonical(record: RecordData) -> RecordData:
    """The same record in normal form. Never raises: what cannot be read stays as it is."""
    kind = record.type.upper()
    content = record.content
    if kind == "TXT":
        return replace(record, name=normal_name(record.name), type=kind)
    content = content.strip()
    if kind in HOST_TYPES:
        content = normal_name(content) or "."
    elif kind in {"A", "AAAA"}:
        content = _canonical_address(content)
    else:
        content = _canonical_rdata(kind, content, record.priority)
    return replace(record, name=normal_name(record.name), type=kind, content=content)


def check_record(record: RecordData) -> RecordData:
    """The record in normal form, fit to be published. Raises `Invalid` naming the field."""
    if len(record.content) > LONGEST:
        raise Invalid.field("content", f"The content is longer than {LONGEST} characters.")
    if record.type.upper() not in record_types.TYPES:
        types = ", ".join(record_types.TYPES)
        raise Invalid.field("type", f"Records of this type cannot be written, only {types}.")
    check_name(record.name[: LONGEST + 1])
    checked = canonical(record)
    if checked.proxied:
        if checked.type not in PROXIABLE_TYPES:
            raise Invalid.field("proxied", "Only A, AAAA and CNAME records can be proxied.")
        _check_content(checked)
        return replace(checked, ttl=AUTOMATIC_TTL)
    if not LEAST_TTL <= checked.ttl <= GREATEST_TTL:
        raise Invalid.field("ttl", f"The TTL is between {LEAST_TTL} and {GREATEST_TTL} seconds.")
    if (checked.priority is not None) != (checked.type in PRIORITY_TYPES):
        needs = "needs a" if checked.priority is None else "has no"
        raise Invalid.field("priority", f"A record of type {checked.type} {needs} priority.")
    if checked.priority is not None and not 0 <= checked.priority <= 65_535:
        raise Invalid.field("priority", "The priority is between 0 and 65535.")
    _check_content(checked)
    return checked


def _check_content(record: RecordData) -> None:
    """Raise `Invalid` unless the content is one of the record's type."""
    if not record.content.isprintable():
        raise Invalid.field("content", "The content has line breaks or other unseen characters.")
    if record.type == "TXT" and not 0 < len(record.content.encode()) <= LONGEST_TXT:
        raise Invalid.field("content", f"The text has between 1 and {LONGEST_TXT} bytes.")
    if record.type in HOST_TYPES and record.content != ".":
        check_name(record.content, field="content", host=record.type in {"MX", "NS"})
    try:
        kind = dns.rdatatype.from_text(record.type)
        dns.rdata.from_text(dns.rdataclass.IN, kind, to_presentation(record))
    except (dns.exception.DNSException, ValueError) as error:
        raise Invalid.field("content", f"{record_types.expected(record.type)}.") from error
    target = target_of(record)
    if record.type not in HOST_TYPES and target not in {"", "."}:
        check_name(target, field="content")
    if trouble := record_types.bad_target(record.type, record.name, target):
        raise Invalid.field("content", trouble)
    if broken := record_types.broken_rule(record.type, record.name, record.content):
        raise Invalid.field(*broken)


def check_name(name: str, *, field: str = "name", host: bool = False) -> str:
    """The name in normal form. `host` refuses underscores. Raises `Invalid` for `field`."""
    plain = normal_name(name)
    labels = plain.split(".")
    if labels[0] == "*" and not host:
        labels = labels[1:]
    pattern = _HOST_LABEL if host else _LABEL
    if not labels or len(plain) > 253 or not all(pattern.fullmatch(label) for label in labels):
        raise Invalid.field(field, f"{name[:80]!r} is no valid domain name.")
    return plain


def txt_strings(text: str) -> list[str]:
    """The text in strings of at most 255 bytes of UTF-8, as TXT holds them (RFC 1035 §3.3.14).

    No character is cut in two, so a string can be a little shorter.
    """
    strings: list[str] = []
    current, size = "", 0
    for character in text:
        width = len(character.encode())
        if size + width > 255:
            strings.append(current)
            current, size = "", 0
        current += character
        size += width
    return [*strings, current]


def quote_txt(text: str) -> str:
    """The text in presentation form: quoted strings, other bytes as \\DDD (RFC 1035 §5.1)."""
    return " ".join(f'"{_escaped(string)}"' for string in txt_strings(text))


def unquote_txt(presentation: str) -> str:
    """The joined text of a TXT in presentation form. Never raises.

    What is not wholly well-formed quoted strings is taken as it stands. Bytes that are no UTF-8
    become `\\xff` escapes, which can be stored and shown.
    """
    if not _ALL_QUOTED.fullmatch(presentation):
        return presentation
    return _joined(presentation).decode(errors="backslashreplace")


def typed_text(typed: str) -> str:
    """The text of a TXT as a person types it: without quotes, or in quoted strings.

    Raises `Invalid` for `content` where it begins with a quotation mark and is not wholly
    well-formed strings in UTF-8: nobody can tell then what was meant.
    """
    if not typed.lstrip().startswith('"'):
        return typed
    if not _ALL_QUOTED.fullmatch(typed):
        raise Invalid.field(
            "content",
            "The quotation marks do not match. Write the text without quotes, or each string of it "
            'in quotes, with \\" for a quotation mark within.',
        )
    try:
        return _joined(typed).decode()
    except UnicodeDecodeError:
        raise Invalid.field("content", "The text is not UTF-8.") from None


def to_presentation(record: RecordData) -> str:
    """The content as a zone file and dnspython have it, with absolute names and quoted TXT."""
    if record.type == "TXT":
        return quote_txt(record.content)
    content = record.content
    if record.type in HOST_TYPES:
        content = _absolute(content)
    else:
        before, target, after = record_types.split_target(record.type, content)
        content = f"{before}{_absolute(target)}{after}" if target else content
    return content if record.priority is None else f"{record.priority} {content}"


def target_of(record: RecordData) -> str:
    """The host name to which a record in normal form leads; "" where it leads to none."""
    if record.type in HOST_TYPES:
        return record.content
    return record_types.split_target(record.type, record.content)[1]


def with_target(record: RecordData, target: str) -> RecordData:
    """The same record, leading to another host name."""
    before, old, after = record_types.split_target(record.type, record.content)
    return replace(record, content=f"{before}{target}{after}" if old else target)


def from_presentation(name: str, kind: str, rdata: str, ttl: int = DEFAULT_TTL) -> RecordData:
    """A record in normal form from a zone file's or a DNS answer's content. Never raises."""
    kind, priority = kind.upper(), None
    if kind == "TXT":
        return canonical(RecordData(name, kind, unquote_txt(rdata), ttl))
    if kind in PRIORITY_TYPES:
        number, _, rest = rdata.strip().partition(" ")
        if number.isdigit() and rest:
            priority, rdata = int(number), rest
    return canonical(RecordData(name, kind, rdata, ttl, priority))


def same_value(one: RecordData, other: RecordData) -> bool:
    """Whether two records say the same to those who ask DNS for them. The TTL is not compared.

    A proxied record and one that is not are different: DNS shows other addresses for it.
    """
    return one.proxied == other.proxied and same_content(one, other)


def same_content(one: RecordData, other: RecordData) -> bool:
    """Whether two records hold the same, whether or not they are proxied."""
    if one.key != other.key or one.priority != other.priority:
        return False
    if one.content == other.content:
        return True
    return one.type == "TXT" and same_text(one.content, other.content)


def same_text(one: str, other: str) -> bool:
    """Whether two TXT texts mean the same; SPF, DKIM and DMARC as their RFCs compare them."""
    for belongs, same in (
        (spf.is_spf, spf.same),
        (dmarc.is_dmarc, dmarc.same),
        (dkim.is_dkim, dkim.same),
    ):
        if belongs(one) and belongs(other):
            return same(one, other)
    return one == other


def purpose_of(record: RecordData) -> Purpose:
    """What a record that nobody labelled is for, from its name and content."""
    if record.type == "MX":
        return "mx"
    if record.type == "TXT" and spf.is_spf(record.content):
        return "spf"
    if record.name.startswith("_dmarc."):
        return "dmarc"
    if "._domainkey." in record.name:
        return "dkim"
    return "other"


def value_of(record: RecordData) -> str:
    """A record's value on one line, to be shown and compared: `10 mx.example.test`."""
    return record.content if record.priority is None else f"{record.priority} {record.content}"


def _canonical_address(content: str) -> str:
    try:
        return str(ipaddress.ip_address(content))
    except ValueError:
        return content


def _canonical_rdata(kind: str, content: str, priority: int | None) -> str:
    """What dnspython writes for this content; a host name inside loses its last dot."""
    text = content if priority is None else f"{priority} {content}"
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.from_text(kind),
            text,
            origin=dns.name.root,
            relativize=False,
        )
        written = rdata.to_text()
    except (dns.exception.DNSException, ValueError):
        return content
    if priority is not None:
        written = written.partition(" ")[2]
    before, target, after = record_types.split_target(kind, written)
    return f"{before}{normal_name(target) or '.'}{after}" if target else written


def _absolute(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _escaped(text: str) -> str:
    written = ""
    for byte in text.encode(errors="replace"):
        if byte in b'"\\':
            written += f"\\{chr(byte)}"
        else:
            written += chr(byte) if 32 <= byte < 127 else f"\\{byte:03d}"
    return written


def _joined(presentation: str) -> bytes:
    """The bytes of well-formed quoted strings."""
    strings = (found[1] for found in _QUOTED.finditer(presentation))
    return b"".join(_ESCAPE.sub(_unescaped, string.encode()) for string in strings)


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1])]) if found[1] else found[2]
