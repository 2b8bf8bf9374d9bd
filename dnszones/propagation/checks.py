"""Where a change to a zone is seen: one sweep over nameservers and resolvers, and what it means.

Nothing here reads or writes a database: watches go in, sightings come out, and `summarise` turns
the sightings of one record into its status.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from dnszones.propagation.verdicts import Expected, Verdict, judge
from mpanel.dns.client import Answer, DNSClient, Question, Server
from mpanel.dns.messages import is_within

Sight = Literal["matches", "missing", "conflicts", "unknown"]
Status = Literal["pending", "propagating", "propagated", "failed"]

# Caches cut longer TTLs (RFC 8767 §4); so nobody can have us say "cached until 2093".
LONGEST_CACHED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Watch:
    """A record that should be seen. `key` is the caller's and comes back with the result.

    `zone_nameservers`: the authoritative servers of its zone; empty if they are not to be asked.
    `zone_name`: the zone, so that a delegation within it is known from a server that is lame.
    """

    key: Hashable
    zone_nameservers: tuple[Server, ...]
    expected: Expected
    zone_name: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one server showed of one record.

    `found` holds the values that bear on the record's purpose. `ttl`, in seconds, is how long a
    cache may go on saying this. `why` is filled for "unknown", from which nothing follows.
    `is_elsewhere`: the zone's own nameserver says that this name is for others to answer: it is
    delegated, or an alias. `why` then tells what to do.
    """

    server_name: str
    verdict: Sight
    found: tuple[str, ...] = ()
    ttl: int | None = None
    why: str = ""
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What a sweep saw of one watch; servers in the order in which they were given."""

    key: Hashable
    nameservers: tuple[Sighting, ...]
    resolvers: tuple[Sighting, ...]

    @property
    def own(self) -> Sighting:
        """What the zone's own nameservers say together; the rule stands at `combine`.

        Where they send everybody elsewhere, what resolvers find there decides.
        """
        own = combine(self.nameservers)
        seen = [sighting.verdict for sighting in self.resolvers]
        if not own.is_elsewhere or "matches" not in seen:
            return own
        is_there = is_quorum(seen) and not {"missing", "conflicts"} & set(seen)
        return Sighting(own.server_name, "matches" if is_there else "unknown", why=own.why)


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """How far a record has got. `percentage` is `matching` of `answering`, rounded down, and below
    100 as long as that is not enough.

    `cached_until`: when the last resolver that still shows an old answer must have dropped it;
    `None` if none does, or if the zone's own nameservers do not have the new one yet.
    """

    status: Status
    percentage: int
    matching: int
    answering: int
    asked: int
    cached_until: datetime | None = None

    def __str__(self) -> str:
        """What is known, and of how many: "seen by 3 of 4"."""
        silent = self.asked - self.answering
        if not self.answering:
            return f"none of {self.asked} resolvers answered"
        if silent:
            return (
                f"seen by {self.matching} of {self.answering} that answered; "
                f"{silent} did not answer"
            )
        return f"seen by {self.matching} of {self.asked}"


def is_quorum(verdicts: Sequence[str]) -> bool:
    """Whether more than half of the resolvers answered, so that their word counts."""
    return 2 * sum(verdict != "unknown" for verdict in verdicts) > len(verdicts)


async def sweep(
    client: DNSClient, watches: Sequence[Watch], resolvers: Sequence[Server]
) -> list[Observed]:
    """Ask every resolver and every zone's own nameservers; the results in the watches' order.

    Each distinct question goes to each server once, however many watches share it. Nothing raises
    for a server that does not answer: that is a sighting of verdict "unknown".
    """
    questions: list[Question] = []
    places: dict[tuple[str, int, str, str, bool], int] = {}

    def place(server: Server, expected: Expected, *, recursive: bool) -> int:
        key = (server.address, server.port, expected.name, expected.type, recursive)
        if key not in places:
            places[key] = len(questions)
            questions.append(Question(server, expected.name, expected.type, recursive))
        return places[key]

    plan = [
        (
            [place(s, watch.expected, recursive=False) for s in watch.zone_nameservers],
            [place(s, watch.expected, recursive=True) for s in resolvers],
        )
        for watch in watches
    ]
    answers = await client.ask_many(questions)
    observed = []
    for watch, (own, others) in zip(watches, plan, strict=True):
        see = _Eye(watch.expected, watch.zone_name)
        observed.append(
            Observed(
                watch.key,
                tuple(
                    see.authoritative(server, answers[at])
                    for server, at in zip(watch.zone_nameservers, own, strict=True)
                ),
                tuple(
                    see.cached(server, answers[at])
                    for server, at in zip(resolvers, others, strict=True)
                ),
            )
        )
    return observed


class _Eye:
    """Judges answers about one record; servers that say the same are judged once."""

    def __init__(self, expected: Expected, zone_name: str) -> None:
        self._expected, self._zone_name = expected, zone_name
        self._verdicts: dict[tuple[str, ...], Verdict] = {}

    def authoritative(self, server: Server, answer: Answer) -> Sighting:
        """What a nameserver of the zone shows. One that only repeats others is of no use."""
        if elsewhere := self._elsewhere(server, answer):
            return elsewhere
        if answer.status != "unknown" and not answer.authoritative:
            return Sighting(str(server), "unknown", why="does not serve this zone")
        return self.cached(server, answer)

    def _elsewhere(self, server: Server, answer: Answer) -> Sighting | None:
        """The sighting of a name that the zone leaves to others by NS, CNAME or DNAME."""
        expected = self._expected
        if answer.status == "referral" and self._is_cut(answer.zone):
            hosts = ", ".join(answer.nameservers)
            found = f"NS {hosts} at {answer.zone}"
            why = f"{answer.zone} is delegated to {hosts}"
        elif answer.status == "unknown" and answer.aliases and answer.authoritative:
            found = f"alias of {answer.aliases[-1]}"
            why = f"{expected.name} is an alias of {answer.aliases[-1]} (CNAME or DNAME)"
        else:
            return None
        value = "; ".join(sorted(expected.values))
        why += f". Enter {expected.type} {expected.name} there, or remove that record: {value}"
        return Sighting(str(server), "conflicts", (found,), answer.ttl, why, is_elsewhere=True)

    def _is_cut(self, zone: str) -> bool:
        """Whether this is a zone below ours that has the name; a lame server refers upwards."""
        return (
            bool(self._zone_name)
            and zone != self._zone_name
            and is_within(zone, self._zone_name)
            and is_within(self._expected.name, zone)
        )

    def cached(self, server: Server, answer: Answer) -> Sighting:
        """What a resolver shows."""
        if answer.status in {"unknown", "referral"}:
            return Sighting(str(server), "unknown", why=answer.why or "does not resolve")
        verdict = self._verdicts.get(answer.values)
        if verdict is None:
            verdict = judge(self._expected, answer.values)
            self._verdicts[answer.values] = verdict
        return Sighting(str(server), verdict.result, verdict.found, answer.ttl)


def combine(sightings: Sequence[Sighting]) -> Sighting:
    """One sighting for all nameservers of a zone, the worst of those that answered.

    "conflicts" before "missing" before "matches"; "unknown" only if none answered. `why` names
    the servers if they do not agree.
    """
    for verdict in ("conflicts", "missing", "matches"):
        worst = [sighting for sighting in sightings if sighting.verdict == verdict]
        if worst:
            break
    else:
        why = "; ".join(f"{s.server_name}: {s.why}" for s in sightings) or "none was asked"
        return Sighting("own nameservers", "unknown", why=why)
    agree = all(sighting.verdict in {verdict, "unknown"} for sighting in sightings)
    if agree and worst[0].is_elsewhere:
        return replace(worst[0], server_name="own nameservers")
    return Sighting(
        "own nameservers",
        worst[0].verdict,
        found=tuple(sorted({value for sighting in worst for value in sighting.found})),
        ttl=max((s.ttl for s in worst if s.ttl is not None), default=None),
        why="" if agree else "; ".join(f"{s.server_name}: {s.verdict}" for s in sightings),
    )


def summarise(own: Sighting, resolvers: Sequence[Sighting], *, now: datetime) -> RecordStatus:
    """The status of one record; the first that fits (docs/decisions/0024):

    - failed: the zone's own nameservers have a conflicting value;
    - propagated: more than half of the resolvers answered, all that did match, and the own
      nameservers match or did not answer;
    - propagating: the own nameservers or some resolver match;
    - pending: nobody has it. A resolver's other value counts as old, not as a failure.
    """
    answering = [sighting for sighting in resolvers if sighting.verdict != "unknown"]
    stale = [sighting for sighting in answering if sighting.verdict != "matches"]
    matching = len(answering) - len(stale)
    status: Status
    if own.verdict == "conflicts":
        status = "failed"
    elif (
        is_quorum([sighting.verdict for sighting in resolvers])
        and not stale
        and own.verdict in {"matches", "unknown"}
    ):
        status = "propagated"
    elif matching or own.verdict == "matches":
        status = "propagating"
    else:
        status = "pending"
    ttls = [sighting.ttl for sighting in stale if sighting.ttl is not None]
    share = 100 * matching // len(answering) if answering else 0
    return RecordStatus(
        status,
        percentage=share if status == "propagated" else min(share, 99),
        matching=matching,
        answering=len(answering),
        asked=len(resolvers),
        cached_until=now + min(timedelta(seconds=max(ttls)), LONGEST_CACHED)
        if ttls and own.verdict == "matches"
        else None,
    )


def overall_percentage(statuses: Sequence[RecordStatus]) -> int:
    """The mean of the records' percentages, and 100 only if every record is propagated."""
    if not statuses:
        return 0
    mean = sum(status.percentage for status in statuses) // len(statuses)
    return mean if all(s.status == "propagated" for s in statuses) else min(mean, 99)


def estimated_completion(statuses: Iterable[RecordStatus], *, now: datetime) -> datetime | None:
    """When every cache must have let go of what is old.

    `None` if all is propagated already, if a record waits for something other than a cache, or if
    that moment has passed: then nobody knows.
    """
    waiting = [status for status in statuses if status.status != "propagated"]
    times = [status.cached_until for status in waiting if status.cached_until is not None]
    if not times or len(times) != len(waiting) or max(times) <= now:
        return None
    return max(times)
