"""Asking the present nameservers of a zone: many questions, each to as many servers as it takes."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import batched

from dnszones.records import RecordData, from_presentation
from mpanel.dns.client import Answer, DNSClient, Question, Server

MOST_QUESTIONS = 6_000  # for one zone, all rounds together
MOST_SERVERS = 4
PATIENCE = 120.0  # seconds, however slow they answer
AT_ONE_SERVER = 24  # open questions: many servers answer a stranger only so fast
AT_A_TIME = 240  # questions between two looks at the clock: half a minute where all are slow

TOO_SLOW = f"its nameservers took longer than {PATIENCE:.0f} s"

Pair = tuple[str, str]  # name and type


class Asker:
    """Asks the nameservers of one zone, and remembers what they said.

    `beat` is called after some questions: what waits for slow servers shows that it lives.
    """

    def __init__(
        self,
        zone: str,
        servers: Sequence[Server],
        *,
        timeout: float,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.zone = zone
        self.answers: dict[Pair, Answer] = {}
        self.is_exhausted = False
        self._servers = tuple(servers[:MOST_SERVERS])
        self._mute: set[Server] = set()  # those that answered nothing when they were asked last
        self._timeout = timeout
        self._beat = beat
        self._until = time.monotonic() + PATIENCE

    @property
    def unanswered(self) -> list[Pair]:
        """What no server answered."""
        return [pair for pair, answer in self.answers.items() if answer.status == "unknown"]

    def ask(self, pairs: Iterable[Pair]) -> None:
        """Ask what was not asked before. A server that does not answer is followed by the next."""
        todo = [pair for pair in dict.fromkeys(pairs) if pair not in self.answers]
        room = MOST_QUESTIONS - len(self.answers) if time.monotonic() < self._until else 0
        self.is_exhausted = self.is_exhausted or len(todo) > room
        todo = todo[: max(room, 0)]
        order = {pair: self._order(place) for place, pair in enumerate(todo)}
        for turn in range(len(self._servers)):
            for some in batched(todo, AT_A_TIME):
                self._ask_some(some, [order[pair][turn] for pair in some])
            todo = [pair for pair in todo if self.answers[pair].status == "unknown"]

    def _ask_some(self, pairs: Sequence[Pair], servers: Sequence[Server]) -> None:
        if time.monotonic() >= self._until:
            self.is_exhausted = True
            for pair in pairs:
                self.answers.setdefault(pair, Answer("unknown", why=TOO_SLOW))
            return
        asked = [
            Question(server, *pair, recursive=False)
            for pair, server in zip(pairs, servers, strict=True)
        ]
        given = asyncio.run(self._round(asked))
        for pair, answer in zip(pairs, given, strict=True):
            self.answers[pair] = self._usable(pair[0], answer)
        self._note_mute(servers, pairs)
        self._beat()

    def _order(self, place: int) -> list[Server]:
        """The servers for one question: they share the questions, and mute ones come last."""
        heard = [server for server in self._servers if server not in self._mute]
        first = place % len(heard) if heard else 0
        return [
            *heard[first:],
            *heard[:first],
            *(one for one in self._servers if one in self._mute),
        ]

    def _note_mute(self, asked: Sequence[Server], pairs: Sequence[Pair]) -> None:
        answered = {
            server
            for server, pair in zip(asked, pairs, strict=True)
            if self.answers[pair].status != "unknown"
        }
        self._mute = (self._mute | set(asked)) - answered

    async def _round(self, questions: Sequence[Question]) -> list[Answer]:
        async with DNSClient(timeout=self._timeout, retries=0, per_server=AT_ONE_SERVER) as client:
            return await client.ask_many(questions)

    def _usable(self, name: str, answer: Answer) -> Answer:
        """The answer, or "unknown" where the server does not serve the zone."""
        if answer.status == "unknown" and answer.aliases:
            # An alias that leaves the zone: all that is of interest is that there is one.
            return replace(answer, status="answer", values=())
        if answer.status == "referral":
            below = answer.zone != self.zone and answer.zone.endswith(f".{self.zone}")
            is_above = name == answer.zone or name.endswith(f".{answer.zone}")
            return answer if below and is_above else Answer("unknown", why="does not serve it")
        if answer.status != "unknown" and not (answer.authoritative or answer.aliases):
            return Answer("unknown", why="does not serve it")
        return answer

    def get(self, name: str, kind: str) -> Answer:
        """What was said; "unknown" for what was never asked."""
        return self.answers.get((name, kind)) or Answer("unknown", why="not asked")

    def records(self, name: str, kind: str) -> list[RecordData]:
        """The records of exactly this name and type; an alias gives none."""
        return records_of(name, kind, self.get(name, kind))


def records_of(name: str, kind: str, answer: Answer) -> list[RecordData]:
    """The records in an answer that stand at the name itself."""
    if answer.status != "answer" or answer.aliases:
        return []
    ttl = answer.ttl or 0
    if kind == "TXT":
        return [RecordData(name, kind, value, ttl) for value in answer.values]
    return [from_presentation(name, kind, value, ttl) for value in answer.values]
