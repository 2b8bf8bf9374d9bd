"""What was found, where, and how sure that is: plain values, and how they are stored."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from dnszones.records import GREATEST_TTL, LEAST_TTL, RecordData, check_record, same_value
from mpanel.core.errors import Invalid
from mpanel.dns.messages import is_within

MOST_SENTENCES: Final = 50
MOST_AT_A_NAME: Final = 200

# How a record was found, from the surest source to the least sure one, and what that means.
SOURCES: Final[dict[str, tuple[str, str]]] = {
    "transfer": ("Zone transfer", "The present nameservers gave the whole zone."),
    "file": ("Your zone file", "You gave it."),
    "scan": ("Your DNS provider’s scan", "Found by the provider, and asked at the present "
             "nameservers."),
    "apex": ("The domain itself", "Asked at the present nameservers."),
    "asked": ("The present nameservers", "Asked at the present nameservers."),
    "common": ("Common names", "A common name, asked at the present nameservers."),
    "selector": ("DKIM selectors", "A selector of a large sender, asked at the present "
                 "nameservers."),
    "named": ("Named in a record", "Another record names it, and the present nameservers have it."),
    "wildcard": ("Wildcard", "Two random names got the same answer."),
    "delegation": ("Delegated below", "The present nameservers delegate this name further."),
}  # fmt: skip

# Of the zone's own upkeep: nobody takes these over.
UPKEEP: Final = frozenset(
    {"SOA", "DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "CDS", "CDNSKEY", "ZONEMD", "TSIG"}
)


@dataclass(frozen=True)
class Found:
    """A record that the domain publishes now, and the sources (of `SOURCES`) that named it."""

    record: RecordData
    sources: tuple[str, ...]

    @property
    def id(self) -> str:
        return record_id(self.record)

    @property
    def is_confirmed(self) -> bool:
        """Whether the present nameservers said it, and not only a zone file."""
        return self.sources != ("file",)

    @property
    def source(self) -> str:
        """The surest source, as a person reads it."""
        return SOURCES[next(key for key in SOURCES if key in self.sources)][0]

    def to_json(self) -> dict[str, Any]:
        return {"record": asdict(self.record), "sources": list(self.sources)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Found":
        return cls(RecordData(**stored["record"]), tuple(stored["sources"]))


def record_id(record: RecordData) -> str:
    """A name for a record that follows from what it says."""
    return hashlib.sha256(str(record).encode()).hexdigest()[:12]


@dataclass
class Findings:
    """The records of one zone as they come in. `types`: those that the DNS provider can hold."""

    zone: str
    types: Collection[str]
    provider: str
    found: dict[str, Found] = field(default_factory=dict)
    # Why a name and type cannot be taken over, as a sentence.
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, record: RecordData, source: str) -> None:
        """Keep a record, or a sentence about why it cannot be taken over."""
        if record.type in UPKEEP or record.key == (self.zone, "NS"):
            return
        if not is_within(record.name, self.zone):
            self._leave_out(record, "it is not in this zone")
            return
        if record.type not in self.types:
            self._leave_out(record, f"{self.provider} holds no records of this type")
            return
        ttl = min(max(record.ttl, LEAST_TTL), GREATEST_TTL)
        try:
            fit = check_record(replace(record, ttl=ttl))
        except Invalid as error:
            self._leave_out(record, error.message.rstrip("."))
            return
        here = self.at(fit.name)
        known = next((one for one in here if same_value(fit, one.record)), None)
        if known is not None:
            sources = tuple(dict.fromkeys((*known.sources, source)))
            self.found[known.id] = replace(known, sources=sources)
            return
        if len(here) >= MOST_AT_A_NAME:
            self._leave_out(record, f"its name has more than {MOST_AT_A_NAME} records")
            return
        one = Found(fit, (source,))
        self.found[one.id] = one
        self._by_name.setdefault(fit.name, []).append(one.id)

    def at(self, name: str) -> list[Found]:
        """The records of a name."""
        return [self.found[key] for key in self._by_name.get(name, ())]

    @property
    def records(self) -> list[Found]:
        """All of them, the zone's own name first, then from the top down."""
        return sorted(self.found.values(), key=lambda one: rank(self.zone, one.record))

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    def __post_init__(self) -> None:
        self._by_name: dict[str, list[str]] = {}

    def _leave_out(self, record: RecordData, why: str) -> None:
        if len(self.left_out) < MOST_SENTENCES:
            name, kind = record.name[:100], record.type
            self.left_out.setdefault((name, kind), f"{kind} {name} is not taken over: {why}.")


def rank(zone: str, record: RecordData) -> tuple[bool, list[str], str, int, str]:
    """How records are ordered for a person."""
    labels = record.name.split(".")[::-1]
    return record.name != zone, labels, record.type, record.priority or 0, record.content


def shortened(sentences: Iterable[str]) -> list[str]:
    """The first of many sentences, and how many more there are."""
    found = list(sentences)
    more = len(found) - MOST_SENTENCES
    return found if more <= 0 else [*found[:MOST_SENTENCES], f"And {more:,} more."]
