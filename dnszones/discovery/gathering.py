"""Finding the records of a zone that does not show itself: guesses, and what follows from them."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dnszones import spf
from dnszones.discovery.found import Findings
from dnszones.discovery.names import (
    APEX_TYPES,
    HOST_TYPES,
    HOSTS,
    SELECTORS,
    SERVICES,
    WILDCARD_TYPES,
)
from dnszones.discovery.questions import Asker, Pair
from dnszones.discovery.transfer import transfer
from dnszones.record_types import split_target
from dnszones.records import HOST_TYPES as TYPES_OF_ONE_HOST
from dnszones.records import RecordData
from mpanel.dns.client import Answer, Server
from mpanel.dns.messages import is_within

ROUNDS = 4  # records name names, whose records name others
MOST_NAMES = 500  # of these; and of names below which a wildcard is looked for
PHASES = 6

# Called between the phases, with how many are done.
Progress = Callable[[int], None]


@dataclass
class Search:
    """One search. `findings` fills up; `notes` says what could not be seen.

    `is_answered`: whether the nameservers answered for the zone at all. Without that, nothing
    follows from what was not found.
    """

    findings: Findings
    asker: Asker
    notes: list[str] = field(default_factory=list)
    is_answered: bool = False
    is_transferred: bool = False
    # What any name gets that nobody made: the values of each type.
    wildcard: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(
        self,
        servers: Sequence[Server],
        *,
        named: Iterable[Pair],
        scanned: Iterable[Pair],
        progress: Progress,
    ) -> None:
        """Ask all there is to ask. `named` and `scanned`: names and types that the customer's zone
        file and the DNS provider's scan told of."""  # fmt: skip
        zone = self.findings.zone
        progress(0)
        self.asker.ask([(zone, "SOA")])
        self.is_answered = self.asker.get(zone, "SOA").status == "answer"
        if not self.is_answered:
            return
        self.asker.ask((zone, kind) for kind in APEX_TYPES)
        for kind in APEX_TYPES:
            for record in self.asker.records(zone, kind):
                self.findings.add(record, "apex")
        progress(1)
        self._transfer(servers)
        progress(2)
        if self.is_transferred:
            # What stands for addresses there (ALIAS, LUA) is asked for what it answers.
            odd = {name for name, _ in self.findings.left_out}
            self._guess(((name, kind) for name in odd for kind in ("A", "AAAA")), "asked")
        else:
            self._look_for_wildcard(zone)
            progress(3)
            self._guess(named, "asked")
            self._guess(scanned, "scan")
            self._guess(_common(zone), "common")
            self._guess(_selectors(zone), "selector")
            progress(4)
            self._follow()
            progress(5)
            self._look_for_wildcards_below()
        self._tell()
        progress(PHASES)

    def _transfer(self, servers: Sequence[Server]) -> None:
        given = transfer(self.findings.zone, servers)
        for record in given.records or ():
            self.findings.add(record, "transfer")
        self.is_transferred = given.records is not None
        if given.is_cut:
            self.notes.append(
                "The zone has more records than are taken over at once. Import its zone file on "
                "the page of the zone, and compare again."
            )

    # Wildcards.

    def _look_for_wildcard(self, parent: str) -> None:
        """Ask for two names that nobody can have made; what both get is a wildcard's."""
        one, other = (f"{secrets.token_hex(8)}.{parent}" for _ in range(2))
        self.asker.ask((name, kind) for name in (one, other) for kind in WILDCARD_TYPES)
        aliases = [name for name in (one, other) if self.asker.get(name, "A").aliases]
        self.asker.ask((name, "CNAME") for name in aliases)
        for kind in ("CNAME", *WILDCARD_TYPES):
            first, second = self.asker.records(one, kind), self.asker.records(other, kind)
            if [r.content for r in first] != [r.content for r in second]:
                self.notes.append(
                    f"Every name below {parent} gets a {kind} answer of its own. That cannot be "
                    "taken over; only the names that were found are."
                )
                continue
            for record in first:
                star = RecordData(f"*.{parent}", kind, record.content, record.ttl, record.priority)
                self.findings.add(star, "wildcard")
            if first and parent == self.findings.zone:
                self.wildcard[kind] = self.asker.get(one, kind).values

    def _look_for_wildcards_below(self) -> None:
        """The same below every host that was found."""
        parents = [
            name
            for name in self.findings.names
            if name != self.findings.zone
            and not any(mark in name for mark in "*_")
            and not any(one.record.type == "NS" for one in self.findings.at(name))
        ]
        probes = {name: f"{secrets.token_hex(8)}.{name}" for name in parents[:MOST_NAMES]}
        self.asker.ask((probe, "A") for probe in probes.values())
        for parent, probe in probes.items():
            if self.asker.get(probe, "A").status == "answer":
                self._look_for_wildcard(parent)

    def _is_made(self, name: str, kinds: Iterable[str]) -> bool:
        """Whether the name gets another answer than any random one: somebody made it.

        All records of such a name are taken over, as it gets nothing from the wildcard.
        """
        return any(
            answer.values != self.wildcard.get(kind, ())
            for kind in kinds
            if (answer := self.asker.get(name, kind)).status in {"answer", "nodata"}
            and not answer.aliases
        )

    # Guesses, and names that records name.

    def _guess(self, pairs: Iterable[Pair], source: str) -> None:
        """Ask for names and types; where a name exists, for all that it may have."""
        kinds: dict[str, list[str]] = {}
        for name, kind in pairs:
            if is_within(name, self.findings.zone) and name != self.findings.zone:
                kinds.setdefault(name, []).append(kind)
        self.asker.ask((name, kind) for name, some in kinds.items() for kind in some)
        for name, some in kinds.items():
            some.extend(self._follow_up(name, some))
        self.asker.ask((name, kind) for name, some in kinds.items() for kind in some)
        for name, some in kinds.items():
            for kind in some:
                self._take_delegation(self.asker.get(name, kind))
            if self._is_made(name, some):
                for kind in some:
                    for record in self.asker.records(name, kind):
                        self.findings.add(record, source)

    def _follow_up(self, name: str, kinds: Iterable[str]) -> list[str]:
        """What else to ask of a name, after the first answers about it."""
        answers = [self.asker.get(name, kind) for kind in kinds]
        if any(answer.status == "referral" and answer.zone == name for answer in answers):
            return ["DS"]
        if any(answer.aliases for answer in answers):
            return ["CNAME"]
        if any(answer.status in {"answer", "nodata"} for answer in answers):
            return ["A", *HOST_TYPES]
        return []

    def _take_delegation(self, answer: Answer) -> None:
        """The nameservers of a zone below this one, with the addresses that the parent has."""
        if answer.status != "referral":
            return
        ttl = answer.ttl or 0
        for host in answer.nameservers:
            self.findings.add(RecordData(answer.zone, "NS", host, ttl), "delegation")
        for host, address in answer.addresses:
            if host in answer.nameservers and is_within(host, self.findings.zone):
                kind = "AAAA" if ":" in address else "A"
                self.findings.add(RecordData(host, kind, address, ttl), "delegation")

    def _follow(self) -> None:
        seen = {name for name, _ in self.asker.answers}
        for _ in range(ROUNDS):
            named = {
                name: None
                for one in self.findings.records
                for name in _names_in(one.record)
                if is_within(name, self.findings.zone) and name not in seen
            }
            fresh = list(named)[:MOST_NAMES]
            if not fresh:
                return
            seen.update(fresh)
            self._guess(((name, kind) for name in fresh for kind in ("A", "TXT")), "named")

    def _tell(self) -> None:
        if missing := len(self.asker.unanswered):
            self.notes.append(
                f"{missing} of {len(self.asker.answers)} questions got no answer, so what they "
                "were about was not seen. Look again, or give a zone file."
            )
        if self.asker.is_exhausted:
            self.notes.append("There was more to ask than we ask one zone, so not all was asked.")


def _common(zone: str) -> list[Pair]:
    hosts = [(f"{host}.{zone}", "A") for host in HOSTS]
    return [*hosts, *((f"{name}.{zone}", kind) for name, kind in SERVICES)]


def _selectors(zone: str) -> list[Pair]:
    return [(f"{selector}._domainkey.{zone}", "TXT") for selector in SELECTORS]


def _names_in(record: RecordData) -> list[str]:
    """The host names that a record names."""
    if record.type in TYPES_OF_ONE_HOST:
        return [record.content]
    if record.type == "TXT":
        return _names_in_spf(record.content) if spf.is_spf(record.content) else []
    target = split_target(record.type, record.content)[1]
    return [target] if target not in {"", "."} else []


def _names_in_spf(text: str) -> list[str]:
    names = []
    for term in text.lower().split()[1:]:
        word = term.lstrip("+-~?")
        mechanism, mark, target = word.partition("=" if word.startswith("redirect=") else ":")
        if mark and mechanism in {"include", "a", "mx", "exists", "redirect", "ptr"}:
            names.append(target.partition("/")[0].rstrip("."))
    return [name for name in names if name and "%" not in name]
