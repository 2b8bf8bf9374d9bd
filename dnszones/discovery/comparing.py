"""Whether the old and the new nameservers of a zone answer alike."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dnszones.discovery.questions import Asker, Pair
from dnszones.records import RecordData, from_presentation, value_of
from mpanel.core.losses import digest_of
from mpanel.dns.client import Answer

MOST_DIFFERENCES = 200  # kept and shown


@dataclass(frozen=True)
class Difference:
    """A name and type about which the two say different things."""

    name: str
    type: str
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Counts of names and types. `planned`: those that differ because the customer wants that, or
    because the new provider cannot have them. `unknown`: what one of the two did not answer.
    `differences`: the first of them; `different` counts all, and `digest` stands for all.
    """

    equal: int
    planned: int
    unknown: int
    differences: tuple[Difference, ...]
    different: int = 0
    digest: str = ""

    @property
    def is_alike(self) -> bool:
        return not self.unknown and not self.differences

    @property
    def sentence(self) -> str:
        """As a person reads it."""
        are = "answer is" if self.equal == 1 else "answers are"
        parts = [f"{self.equal} {are} equal"]
        if self.planned:
            parts.append(f"{self.planned} changed on purpose")
        if self.differences:
            parts.append(f"{self.different} different")
        if self.unknown:
            parts.append(f"{self.unknown} could not be compared")
        return f"{', '.join(parts)}. We can only compare names that we know."

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Comparison":
        differences = tuple(
            Difference(one["name"], one["type"], tuple(one["old"]), tuple(one["new"]))
            for one in stored["differences"]
        )
        # Those of before counted what they kept.
        return cls(**({"different": len(differences)} | stored | {"differences": differences}))


def pairs_to_compare(zone: str, records: Iterable[RecordData]) -> list[Pair]:
    """The names and types of these records; where there is a wildcard, each name's also for the
    types of the wildcard, which must not answer there."""
    known = list(records)
    star = f"*.{zone}"
    of_wildcard = {one.type for one in known if one.name == star}
    pairs = [one.key for one in known]
    pairs += [(one.name, kind) for one in known for kind in of_wildcard if "*" not in one.name]
    return list(dict.fromkeys(pair for pair in pairs if pair != (zone, "NS")))


def compare(
    old: Asker, new: Asker, pairs: Sequence[Pair], *, planned: Collection[Pair]
) -> Comparison:
    """Ask both for all of these. A wildcard is asked below, at a name that nobody made."""
    asked = {pair: (pair[0].replace("*", f"{secrets.token_hex(8)}", 1), pair[1]) for pair in pairs}
    old.ask(asked.values())
    new.ask(asked.values())
    equal = on_purpose = unknown = 0
    differences: list[Difference] = []
    for (name, kind), question in asked.items():
        was, now = old.get(*question), new.get(*question)
        if "unknown" in {was.status, now.status}:
            unknown += 1
        elif said(kind, was) == said(kind, now):
            equal += 1
        elif (name, kind) in planned:
            on_purpose += 1
        else:
            differences.append(Difference(name, kind, said(kind, was), said(kind, now)))
    return Comparison(
        equal,
        on_purpose,
        unknown,
        tuple(differences[:MOST_DIFFERENCES]),
        len(differences),
        digest_of([asdict(one) for one in differences]),
    )


def said(kind: str, answer: Answer) -> tuple[str, ...]:
    """What a server said of a name and type, in normal form; nothing where it has nothing."""
    if answer.status == "referral":
        return tuple(f"delegated to {host}" for host in sorted(answer.nameservers))
    if answer.aliases:
        return (f"alias of {answer.aliases[0]}",)
    if kind == "TXT":
        return tuple(sorted(answer.values))
    if kind == "NS":
        return tuple(f"delegated to {host}" for host in sorted(answer.values))
    values = [value_of(from_presentation("", kind, value)) for value in answer.values]
    return tuple(sorted(values))
