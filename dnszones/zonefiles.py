"""Zone files (RFC 1035 §5): reading what people bring, with a sentence about each line; writing.

Files come from strangers: their size, their number of records and their depth are bounded, nothing
is included or generated, and every record is checked like one that was typed in.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.ttl
from dns.rdtypes.ANY.TXT import TXT

from dnszones.records import (
    DEFAULT_TTL,
    GREATEST_TTL,
    LEAST_TTL,
    RecordData,
    check_record,
    from_presentation,
    normal_name,
    to_presentation,
)
from dnszones.recordtypes import TYPES
from mpanel.core.errors import Invalid, TooLarge

LARGEST: Final = 1_000_000  # bytes
MOST_RECORDS: Final = 10_000
MOST_AT_A_NAME: Final = 500
DEEPEST: Final = 8  # parentheses in each other
LONGEST_ENTRY: Final = 16_384  # characters
MOST_SHOWN: Final = 50  # sentences about lines

_TOKEN = re.compile(
    # Possessive: a text that does not end is given up at once.
    r'(?P<quoted>"(?:[^"\\\n]|\\[^\n])*+")'
    r"|(?P<comment>;[^\n]*)"
    r"|(?P<open>\()|(?P<close>\))|(?P<end>\n)|(?P<space>[^\S\n]+)"
    r'|(?P<word>(?:[^\s"();\\]+|\\[^\n])+)'
    r"|(?P<other>.)"
)
_TTL = re.compile(r"\d[\dwdhms]*", re.IGNORECASE | re.ASCII)
_CLASSES: Final = frozenset({"IN", "CH", "HS", "CS", "ANY", "NONE"})


@dataclass(frozen=True)
class ZoneFile:
    """What a file holds: its records in normal form, and sentences about what is left out."""

    records: tuple[RecordData, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """One entry, as a single line without comments and parentheses. `line`: where it begins."""

    line: int
    text: str


class _Unreadable(Exception):
    """The line cannot be read; why."""


def read(
    text: str, zone_name: str, *, types: Collection[str] = tuple(TYPES), provider: str = ""
) -> ZoneFile:
    """The records of a zone file. `types`: those that the provider can hold.

    Left out, with a sentence, are lines of other zones, what belongs to the provider (SOA, and the
    nameservers of the zone itself), and types that cannot be written. Raises `Invalid` for
    `zone_file` with a sentence for each line that cannot be read, and `TooLarge`.
    """
    if len(text) > LARGEST or len(text.encode(errors="replace")) > LARGEST:
        raise TooLarge(f"A zone file may have {LARGEST:,} bytes.")
    reader = _Reader(zone_name, frozenset(types), provider)
    for number, entry in enumerate(_entries(text), start=1):
        if number > MOST_RECORDS:
            raise Invalid.field("zone_file", f"The file has more than {MOST_RECORDS:,} records.")
        reader.take(entry)
    reader.check_names()
    if reader.errors:
        raise Invalid.field("zone_file", *_shortened(reader.errors))
    if not reader.records:
        message = "There is no record for this zone in the file."
        raise Invalid.field("zone_file", message, *_shortened(reader.left_out))
    if reader.other_ttls:
        reader.left_out.append(
            f"{reader.other_ttls} TTLs were brought between {LEAST_TTL} and {GREATEST_TTL} seconds."
        )
    return ZoneFile(tuple(reader.records.values()), tuple(_shortened(reader.left_out)))


def with_one_ttl(records: Iterable[RecordData]) -> tuple[RecordData, ...]:
    """The records, those of one name and type with the lowest of their TTLs (RFC 2181 §5.2)."""
    found = list(records)
    lowest: dict[tuple[str, str], int] = {}
    for record in found:
        lowest[record.key] = min(record.ttl, lowest.get(record.key, record.ttl))
    return tuple(replace(record, ttl=lowest[record.key]) for record in found)


def write(zone_name: str, records: Iterable[RecordData]) -> str:
    """The records as a zone file: the zone's own name first, then the others from the top down."""
    found = sorted(records, key=lambda record: rank(zone_name, record))
    ttls = Counter(_seconds(record.ttl) for record in found)
    usual = ttls.most_common(1)[0][0] if ttls else DEFAULT_TTL
    lines = [f"$ORIGIN {zone_name}.", f"$TTL {usual}"]
    for record in found:
        ttl = "" if _seconds(record.ttl) == usual else str(_seconds(record.ttl))
        content = re.sub(r"[\r\n]", " ", to_presentation(record))
        owner = _relative(record.name, zone_name)
        lines.append("\t".join([owner, *([ttl] if ttl else []), "IN", record.type, content]))
    return "\n".join(lines) + "\n"


@dataclass
class _Reader:
    """Reads entry after entry, as each may rest on those before it."""

    zone_name: str
    types: frozenset[str]
    provider: str
    origin: str = ""
    owner: str = ""
    default_ttl: int | None = None
    last_ttl: int = DEFAULT_TTL
    other_ttls: int = 0
    records: dict[RecordData, RecordData] = field(default_factory=dict)  # by their value
    lines: dict[RecordData, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def take(self, entry: _Entry) -> None:
        self.origin = self.origin or self.zone_name
        try:
            if entry.text.startswith("$"):
                self._direct(*entry.text.split())
            else:
                self._add(entry)
        except _Unreadable as error:
            self.errors.append(f"Line {entry.line}: {error}")
        except Invalid as error:
            self.errors.append(f"Line {entry.line}: {error.message}")

    def check_names(self) -> None:
        """What only shows when all is read: how many stand at a name, and CNAMEs beside others."""
        names: dict[str, list[RecordData]] = defaultdict(list)
        for record in self.records.values():
            names[record.name].append(record)
        for name, found in names.items():
            if len(found) > MOST_AT_A_NAME:
                self.errors.append(f"{name} has more than {MOST_AT_A_NAME} records.")
            alias = next((record for record in found if record.type == "CNAME"), None)
            if alias and len(found) > 1 and name != self.zone_name:
                line = self.lines[alias]
                self.errors.append(f"Line {line}: a CNAME stands alone at its name (RFC 1034).")

    def _direct(self, directive: str, *values: str) -> None:
        directive = directive.upper()
        if directive == "$TTL" and values:
            self.default_ttl = _ttl(values[0])
        elif directive == "$ORIGIN" and values:
            self.origin = self._absolute(values[0])
        elif directive in {"$INCLUDE", "$GENERATE"}:
            raise _Unreadable(f"{directive} is not followed; write the records themselves.")
        else:
            raise _Unreadable(f"{directive[:40]} is no directive that we know, or lacks its value.")

    def _add(self, entry: _Entry) -> None:
        name, ttl, kind, rdata = self._parts(entry.text)
        if name != self.zone_name and not name.endswith(f".{self.zone_name}"):
            self.left_out.append(f"Line {entry.line}: {name} is not in this zone.")
            return
        if kind == "SOA" or (kind == "NS" and name == self.zone_name):
            self.left_out.append(f"Line {entry.line}: {kind} of the zone itself is the provider's.")
            return
        if kind not in self.types:
            who = self.provider or "mPanel"
            self.left_out.append(f"Line {entry.line}: {who} writes no records of type {kind}.")
            return
        fit = min(max(ttl, LEAST_TTL), GREATEST_TTL)
        self.other_ttls += fit != ttl
        record = check_record(from_presentation(name, kind, self._rdata(kind, rdata), fit))
        if self.records.setdefault(replace(record, ttl=0), record) is record:
            self.lines[record] = entry.line

    def _parts(self, text: str) -> tuple[str, int, str, str]:
        """Name, TTL, type and content of a record; what is not said is as before."""
        if not text[0].isspace():
            first, _, text = text.partition(" ")
            self.owner = self._absolute(first)
        if not self.owner:
            raise _Unreadable("The first record has no name.")
        ttl = None
        word, _, rest = text.strip().partition(" ")
        for _ in range(2):
            if _TTL.fullmatch(word):
                ttl = self.last_ttl = _ttl(word)
            elif word.upper() == "IN":
                pass
            elif word.upper() in _CLASSES:
                raise _Unreadable(f"{word} is another class than IN.")
            else:
                break
            word, _, rest = rest.strip().partition(" ")
        if ttl is None:
            ttl = self.last_ttl if self.default_ttl is None else self.default_ttl
        return self.owner, ttl, _type(word), rest.strip()

    def _rdata(self, kind: str, text: str) -> str:
        """The content with absolute names, in presentation form."""
        try:
            origin = dns.name.from_text(f"{self.origin}.")
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN, kind, text, origin=origin, relativize=False
            )
            if isinstance(rdata, TXT):
                b"".join(rdata.strings).decode()
        except UnicodeDecodeError:
            raise _Unreadable("The text is not UTF-8.") from None
        except (dns.exception.DNSException, ValueError) as error:
            why = str(error) or "it cannot be read"
            raise _Unreadable(f"This is no content of a {kind} record: {why[:120]}.") from None
        return rdata.to_text()

    def _absolute(self, name: str) -> str:
        if name == "@":
            return self.origin
        return normal_name(name if name.endswith(".") else f"{name}.{self.origin}")[:500]


def _entries(text: str) -> Iterator[_Entry]:
    """The entries of the file. Raises `Invalid` where it cannot be told where one ends."""
    line = begun = 1
    depth, parts, size = 0, list[str](), 0
    for found in _TOKEN.finditer(f"{text.removeprefix('\ufeff')}\n"):
        kind, part = found.lastgroup, found[0]
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind in {"quoted", "word"}:
            parts.append(part)
            size += len(part)
        elif kind == "other":
            what = "A quoted text does not end." if part == '"' else f"{part!r} is out of place."
            raise Invalid.field("zone_file", f"Line {line}: {what}")
        if not 0 <= depth <= DEEPEST or size > LONGEST_ENTRY:
            why = "the parentheses are not right" if size <= LONGEST_ENTRY else "it is too long"
            raise Invalid.field("zone_file", f"Line {begun}: {why}.")
        if kind in {"open", "close", "space"} or (kind == "end" and depth):
            if not parts or parts[-1] != " ":
                parts.append(" ")
        elif kind == "end":
            if size:
                yield _Entry(begun, "".join(parts))
            parts, size = [], 0
        if kind == "end":
            line += 1
            begun = line if not depth else begun
    if depth:
        raise Invalid.field("zone_file", f"Line {begun}: a parenthesis is not closed.")


def _type(word: str) -> str:
    try:
        return dns.rdatatype.to_text(dns.rdatatype.from_text(word))
    except (dns.exception.DNSException, ValueError):
        raise _Unreadable(f"{word[:40]!r} is no type of record.") from None


def _ttl(text: str) -> int:
    try:
        return dns.ttl.from_text(text[:40])
    except dns.exception.DNSException:
        raise _Unreadable(f"{text[:40]!r} is no TTL.") from None


def rank(zone_name: str, record: RecordData) -> tuple[bool, list[str], bool, str, int, str]:
    labels = record.name.split(".")[::-1]
    is_below = record.name != zone_name
    return is_below, labels, record.type != "SOA", record.type, record.priority or 0, record.content


def _relative(name: str, zone_name: str) -> str:
    if name == zone_name:
        return "@"
    below = name.removesuffix(f".{zone_name}")
    return below if below != name else f"{name}."


def _seconds(ttl: int) -> int:
    return max(ttl, LEAST_TTL) if ttl != 1 else DEFAULT_TTL


def _shortened(sentences: list[str]) -> list[str]:
    """The first of many sentences, and how many more there are."""
    if len(sentences) <= MOST_SHOWN:
        return sentences
    return [*sentences[:MOST_SHOWN], f"And {len(sentences) - MOST_SHOWN:,} more."]
