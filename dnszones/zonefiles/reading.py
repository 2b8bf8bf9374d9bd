"""Reading a zone file: its records, what was left out and why, and what must be asked about."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import dns.exception

from dnszones.providers.base import Capabilities
from dnszones.record_types import TYPES
from dnszones.records import (
    AUTOMATIC_TTL,
    DEFAULT_TTL,
    GREATEST_TTL,
    LEAST_TTL,
    PROXIABLE_TYPES,
    RecordData,
    from_presentation,
    normal_name,
    target_of,
    with_target,
)
from dnszones.validation import RecordRefused, Surroundings, checked_record, text_warnings
from domains.names import is_in_a_public_domain
from mpanel.core.errors import Invalid

from .entries import Entry, Word, entries
from .lines import Line, Lines, UnreadableLine, bytes_of, type_of
from .writing import PROXIED

MOST_RECORDS: Final = 10_000
MOST_AT_A_NAME: Final = 500
MOST_SHOWN: Final = 50  # sentences about lines
MOST_QUESTIONS: Final = 200
ANYWHERE: Final = Capabilities(record_types=frozenset(TYPES), batch_size=1, atomic_batches=True)

# Which word of the content is a host name.
_TARGET: Final = {
    **dict.fromkeys(("CNAME", "DNAME", "NS", "PTR"), 0),
    **dict.fromkeys(("MX", "HTTPS", "SVCB"), 1),
    "SRV": 3,
    "NAPTR": 5,
}
_ALIASES: Final = frozenset({"ALIAS", "ANAME"})  # what some providers have instead of flattening
# Texts that are lists of tags, parted by what begins a comment in a zone file.
_TAGGED = re.compile(r"(v=(DMARC1|DKIM1|STSv1|TLSRPTv1|BIMI1)|k=(rsa|ed25519));?$", re.IGNORECASE)
_TAG = re.compile(r"\s*[a-z][a-z0-9_]*\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A line that looks wrong; it is left out until somebody says what is meant.

    `written`: the record as the file has it, None where it cannot be published. `proposal`: the
    record that was probably meant, if that is clear. `answer`: one of `ANSWERS`.
    """

    line: int
    sentence: str
    written: RecordData | None = None
    proposal: RecordData | None = None
    answer: str = "left_out"

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Question":
        """The question that `dataclasses.asdict` wrote."""
        records = {
            name: stored[name] and RecordData(**stored[name]) for name in ("written", "proposal")
        }
        return cls(**{**stored, **records})

    @property
    def answers(self) -> tuple[str, ...]:
        """Those that there are, the safe one first."""
        told = {"proposal": self.proposal, "written": self.written}
        return ("left_out", *(name for name, record in told.items() if record))

    @property
    def chosen(self) -> RecordData | None:
        """The record that the answer names."""
        return {"proposal": self.proposal, "written": self.written}.get(self.answer)


@dataclass(frozen=True)
class ZoneFile:
    """What a file holds: its records in normal form, and what must be said about it.

    `warnings`: sentences about lines that are left out, and about records that are doubtful.
    """

    records: tuple[RecordData, ...]
    warnings: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


def read(
    text: str, zone_name: str, *, capabilities: Capabilities = ANYWHERE, provider: str = ""
) -> ZoneFile:
    """The records of a zone file for a provider with these capabilities.

    Left out, with a sentence, is every line that cannot be read or written, that is of another
    zone, or that belongs to the provider (SOA, and the nameservers of the zone itself). Raises
    `TooLarge`; and `Invalid` for `zone_file` where no line is left, where there are too many, or
    where it cannot be told where one ends.
    """
    reader = _Reader(zone_name, capabilities, provider)
    counts: Counter[bool] = Counter()
    for entry in entries(text):
        counts[entry.is_directive] += 1
        if max(counts.values()) > MOST_RECORDS:
            raise Invalid.field("zone_file", f"The file has more than {MOST_RECORDS:,} records.")
        reader.take(entry)
    reader.finish()
    if not reader.records and not reader.questions:
        message = "There is no record for this zone in the file."
        raise Invalid.field("zone_file", message, *shortened(reader.said))
    questions = sorted(reader.questions, key=lambda question: question.line)
    return ZoneFile(tuple(reader.records), tuple(shortened(reader.said)), tuple(questions))


def with_one_ttl(records: Iterable[RecordData]) -> tuple[RecordData, ...]:
    """The records, those of one name and type with the lowest of their TTLs (RFC 2181 §5.2)."""
    found = list(records)
    lowest: dict[tuple[str, str], int] = {}
    for record in found:
        lowest[record.key] = min(record.ttl, lowest.get(record.key, record.ttl))
    return tuple(replace(record, ttl=lowest[record.key]) for record in found)


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first of many sentences, and how many more there are."""
    if len(sentences) <= MOST_SHOWN:
        return list(sentences)
    return [*sentences[:MOST_SHOWN], f"And {len(sentences) - MOST_SHOWN:,} more."]


@dataclass
class _Reader:
    """Takes entry after entry, and sorts them into records, questions and sentences."""

    zone_name: str
    capabilities: Capabilities
    provider: str
    automatic_ttls: int = 0
    other_ttls: int = 0
    records: dict[RecordData, int] = field(default_factory=dict)  # and the lines they are from
    questions: list[Question] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    values: set[RecordData] = field(default_factory=set)
    # Records whose target looks like one of another domain, and what it then is.
    outsiders: list[tuple[RecordData, RecordData]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = Lines(self.zone_name)

    def take(self, entry: Entry) -> None:
        """Read one entry; what is wrong with it is kept as a sentence or a question."""
        try:
            line = self.lines.record(entry)
        except UnreadableLine as error:
            self._tell(entry, str(error))
            return
        try:
            if line is not None:
                self._add(entry, line)
        except UnreadableLine as error:
            self._tell(entry, str(error))
        except Invalid as error:
            self._tell(entry, error.message)

    def finish(self) -> None:
        """What only shows when all is read: names with too many records, CNAMEs beside others,
        targets that are names of the file after all; and what is doubtful."""
        for record, meant in self.outsiders:
            if record in self.records and target_of(record) not in self.names:
                line = self.records.pop(record)
                sentence = (
                    f"The host name has no dot at its end, so it is {target_of(record)}. "
                    f"Did you mean {target_of(meant)}?"
                )
                self._ask(Question(line, sentence, record, meant))
        at: dict[str, list[RecordData]] = defaultdict(list)
        for record in self.records:
            at[record.name].append(record)
        for name, found in at.items():
            for record in found[MOST_AT_A_NAME:]:
                self._leave_out(record, f"{name} has more than {MOST_AT_A_NAME} records.")
            self._check_aliases(found[:MOST_AT_A_NAME])
        around = Surroundings(self.zone_name, self.records)
        for record, line in self.records.items():
            doubts = [*text_warnings(record), *around.warnings(record)]
            self.said += [f"Line {line}: {doubt}" for doubt in doubts]
        if self.automatic_ttls:
            self.said.append(
                f"{_ttls(self.automatic_ttls)} of 1 second, which stands for “automatic”, became "
                f"{DEFAULT_TTL} seconds."
            )
        if self.other_ttls:
            self.said.append(
                f"{_ttls(self.other_ttls)} outside of {LEAST_TTL} to {GREATEST_TTL} seconds became "
                "the nearest of these."
            )
        if len(self.questions) > MOST_QUESTIONS:
            more = self.questions[MOST_QUESTIONS:]
            del self.questions[MOST_QUESTIONS:]
            self.said += [f"Line {one.line}: left out. {one.sentence}" for one in more]

    def _check_aliases(self, found: Sequence[RecordData]) -> None:
        aliases = [record for record in found if record.type == "CNAME"]
        others = [
            record
            for record in found
            if record.type != "CNAME"
            and (self.capabilities.lone_cname or record.type in PROXIABLE_TYPES)
        ]
        for record in aliases if others else aliases[1:]:
            beside = f"it has {others[0].type}" if others else "it has another CNAME"
            self._leave_out(record, f"{record.name} cannot have this CNAME, because {beside}.")

    def _leave_out(self, record: RecordData, why: str) -> None:
        self.said.append(f"Line {self.records.pop(record)}: {why}")

    def _tell(self, entry: Entry, sentence: str) -> None:
        self.said.append(f"Line {entry.line}: {sentence}")

    def _ask(self, question: Question) -> None:
        self.questions.append(question)

    def _add(self, entry: Entry, line: Line) -> None:
        name, kind, words = line.name, line.type, line.words
        if name != self.zone_name and not name.endswith(f".{self.zone_name}"):
            raise UnreadableLine(f"{name or 'The root'} is not in this zone.")
        if kind == "SOA" or (kind == "NS" and name == self.zone_name):
            raise UnreadableLine(f"{kind} of the zone itself is the provider's.")
        if kind in _ALIASES:
            self._ask_for_cname(entry, kind, name, words)
            return
        kind = type_of(kind)
        if kind not in TYPES or kind not in self.capabilities.record_types:
            raise UnreadableLine(f"{self.provider or 'mPanel'} writes no records of type {kind}.")
        rdata = self._text(entry, words) if kind == "TXT" else self.lines.rdata(kind, words)
        given = (
            RecordData(name, kind, rdata) if kind == "TXT" else from_presentation(name, kind, rdata)
        )
        given = replace(given, ttl=self._fit(line.ttl), proxied=self._is_proxied(entry, kind))
        meant_target = self._meant_target(kind, words)
        try:
            record = self._checked(given)
        except RecordRefused as error:
            if not error.proposal and not error.written:
                raise
            meant = error.proposal or error.written
            if meant and line.meant_name:
                meant = replace(meant, name=line.meant_name)
            proposal = self._proposal(meant) if meant else None
            self._ask(Question(entry.line, error.message, error.written, proposal))
            return
        self._keep(entry, record, line.meant_name, meant_target)

    def _keep(self, entry: Entry, record: RecordData, meant_name: str, meant_target: str) -> None:
        """Take the record, or ask where its name or its target probably lacks the last dot."""
        value = replace(record, ttl=0)
        if value in self.values:
            return  # the same line twice
        self.values.add(value)
        meant = replace(record, name=meant_name or record.name)
        if meant_target:
            meant = with_target(meant, meant_target)
        is_doubled = meant_name or f".{meant_target}".endswith(f".{self.zone_name}")
        if meant != record and is_doubled:
            sentence = (
                f"A name without a dot at its end gets {self.lines.origin}. added, so this is "
                f"{record}. Did you mean {meant}?"
            )
            self._ask(Question(entry.line, sentence, record, self._proposal(meant)))
            return
        self.names.add(record.name)
        self.records[record] = entry.line
        if meant != record and (proposal := self._proposal(meant)):
            self.outsiders.append((record, proposal))

    def _checked(self, record: RecordData) -> RecordData:
        return checked_record(record, zone_name=self.zone_name, capabilities=self.capabilities)

    def _proposal(self, record: RecordData) -> RecordData | None:
        try:
            return self._checked(record)
        except Invalid:
            return None

    def _ask_for_cname(self, entry: Entry, kind: str, name: str, words: Sequence[Word]) -> None:
        """ALIAS and ANAME are no records of DNS; a CNAME may do the same here."""
        sentence = f"{kind} is not a DNS record but a feature of some providers."
        alias = RecordData(name, "CNAME", self.lines.absolute(words[0].text) if words else "")
        proposal = self._proposal(alias)
        if proposal is None:
            raise UnreadableLine(f"{sentence} Write A and AAAA records instead.")
        self._ask(Question(entry.line, f"{sentence} A CNAME may do the same.", None, proposal))

    def _meant_target(self, kind: str, words: Sequence[Word]) -> str:
        """The host name that was probably meant, where its last dot seems to be missing."""
        place = _TARGET.get(kind)
        if place is None or len(words) <= place or words[place].is_quoted:
            return ""
        text = words[place].text
        if text.endswith(".") or not self.lines.origin:
            return ""
        if name := self.lines.unfinished(text):
            return name
        name = normal_name(text)
        return name if "." in name and is_in_a_public_domain(name) else ""

    def _text(self, entry: Entry, words: Sequence[Word]) -> str:
        """The text of a TXT. Without quotes, words are one text, as people mean it."""
        is_quoted = {word.is_quoted for word in words}
        if len(is_quoted) > 1:
            raise UnreadableLine("The text is partly in quotes. Put all of it in quotes.")
        try:
            strings = [bytes_of(word) for word in words]
            text = (b"" if True in is_quoted else b" ").join(strings).decode()
        except UnicodeDecodeError:
            raise UnreadableLine("The text is not UTF-8.") from None
        except dns.exception.DNSException:
            raise UnreadableLine(
                "A “\\” in the text is not followed by a number up to 255."
            ) from None
        if True not in is_quoted and _TAGGED.match(text) and _TAG.match(entry.comment):
            text = f"{text.rstrip(';')};{entry.comment.rstrip()}"
            words = (*words, Word(entry.comment))
        if not text:
            raise UnreadableLine("The text is empty.")
        if True not in is_quoted and len(words) > 1:
            self._tell(entry, f"The text has no quotes; it is read as “{text[:200]}”.")
        return text

    def _fit(self, ttl: int) -> int:
        """The TTL within the bounds of every provider."""
        if ttl == AUTOMATIC_TTL:
            self.automatic_ttls += 1
            return DEFAULT_TTL
        fit = min(max(ttl, LEAST_TTL), GREATEST_TTL)
        self.other_ttls += fit != ttl
        return fit

    def _is_proxied(self, entry: Entry, kind: str) -> bool:
        """Whether Cloudflare's export says that the record is behind its proxy."""
        if kind not in PROXIABLE_TYPES or PROXIED not in entry.comment.replace(" ", ""):
            return False
        if not self.capabilities.proxies:
            who = self.provider or "The provider"
            self._tell(entry, f"Cloudflare proxied this name; {who} shows the address itself.")
        return self.capabilities.proxies


def _ttls(count: int) -> str:
    return f"{count} TTL{'' if count == 1 else 's'}"
