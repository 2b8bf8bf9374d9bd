"""A DNS client for many questions at once: UDP with EDNS (RFC 6891), TCP where an answer is cut.

Every server has one connected UDP socket on a random port for as long as questions to it are open;
an answer counts only if it comes from there with the random id and the very question that was
sent (RFC 5452). Trouble on the network is never an exception, but an `Answer` of status "unknown".
"""

import asyncio
import errno
import functools
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mpanel.core.errors import ProviderError
from mpanel.dns import messages as dnsmessages
from mpanel.dns.messages import Answer

__all__ = [
    "Answer",
    "DNSClient",
    "Question",
    "RecursiveResolver",
    "Server",
    "TemporaryFailure",
    "ask_now",
    "reason_of",
]

# A server that let this many questions in a row time out is not asked the ones still queued:
# else one dead resolver would hold a sweep of thousands of records for minutes.
SILENT_AFTER = 32
_TICK = 0.05  # seconds between two looks at who has timed out
_PAUSE = 0.1  # seconds before a server that could not be reached is tried again
_BURST = 64  # datagrams read from one socket before the loop may do something else
# What the system says where it has no IPv6, or no route for it.
_NO_WAY_OUT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENETUNREACH}
_READ = 4096  # bytes: far over what EDNS offers; what is longer is cut, and malformed


@dataclass(frozen=True, slots=True)
class Server:
    """A DNS server: an IPv4 or IPv6 address, its port, and how people call it."""

    address: str
    port: int = 53
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.address


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one server. `rdtype` is the type's name, such as "TXT".

    `recursive` is the RD bit: set for resolvers, clear for authoritative servers.
    """

    server: Server
    name: str
    rdtype: str
    recursive: bool = True


class TemporaryFailure(ProviderError):
    """No DNS resolver gave an answer."""

    def __init__(self, name: str, rdtype: str, why: str) -> None:
        super().__init__(
            "DNS_UNAVAILABLE",
            f"No resolver could say the {rdtype} of {name}: {why}",
            retryable=True,
        )


class _Lane:
    """What is under way to one server."""

    __slots__ = ("active", "is_ready", "queue", "server", "silence", "sock", "waiting")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sock: socket.socket | None = None
        self.queue: deque[_Query] = deque()
        self.waiting: dict[int, _Query] = {}  # by id: sent over UDP and not answered
        self.active = 0  # the waiting ones and those that went on to TCP
        self.is_ready = False  # stands in the client's line
        self.silence = 0  # time-outs since the server was last heard


class _Query:
    """A question on its way."""

    __slots__ = (
        "asked",
        "deadline",
        "done",
        "lane",
        "packet",
        "recursive",
        "sends_left",
        "trouble",
    )

    def __init__(
        self,
        asked: dnsmessages.Asked,
        lane: _Lane,
        recursive: bool,
        sends: int,
        done: Callable[[Answer], None],
    ) -> None:
        self.asked = asked
        self.lane = lane
        self.recursive = recursive
        self.sends_left = sends
        self.done: Callable[[Answer], None] | None = done  # None: nobody waits any more
        self.packet = b""
        self.deadline = 0.0
        self.trouble = ""


class DNSClient:
    """Asks DNS servers, thousands of questions at a time.

    `async with DNSClient() as client:` inside a running loop; at the end every socket is closed
    and whoever still waits gets "unknown". `timeout` is in seconds per try, `retries` the tries
    after the first, `in_flight` how many questions are open at once, `per_server` at one server.
    """

    def __init__(
        self,
        *,
        timeout: float = 3.0,
        retries: int = 1,
        in_flight: int = 500,
        per_server: int = 128,
    ) -> None:
        self._timeout = timeout
        self._sends = 1 + retries
        self._tick_length = min(_TICK, timeout / 10)
        self._limit = in_flight
        self._per_server = per_server
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._line: deque[_Lane] = deque()  # lanes that have a question and room to send it
        self._active = 0
        self._no_answer = f"did not answer within {timeout:g} s"
        self._timer: asyncio.TimerHandle | None = None
        self._tcp: dict[asyncio.Task[None], _Query] = {}
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ask(
        self, server: Server, name: str, rdtype: str, *, recursive: bool = True
    ) -> Answer:
        """What the server says. Never raises for what the server, the network or the name do."""
        [answer] = await self.ask_many([Question(server, name, rdtype, recursive)])
        return answer

    async def ask_many(self, questions: Iterable[Question]) -> list[Answer]:
        """The answers in the order of the questions; no task is made per question."""
        if not self._is_open:
            raise RuntimeError("the DNS client is not open")
        everything: asyncio.Future[None] = self._loop.create_future()
        answers: list[Answer | None] = []
        queries: list[_Query] = []
        open_questions = 1  # this call itself, until all are sent

        def settle(place: int, answer: Answer) -> None:
            nonlocal open_questions
            answers[place] = answer
            open_questions -= 1
            if not open_questions and not everything.done():
                everything.set_result(None)

        for place, question in enumerate(questions):
            answers.append(None)
            open_questions += 1
            done = functools.partial(settle, place)
            try:
                asked = dnsmessages.asked_for(question.name, question.rdtype)
            except ValueError:
                done(Answer("unknown", why=f"{question.name!r} {question.rdtype} cannot be asked"))
                continue
            query = _Query(
                asked, self._lane(question.server), question.recursive, self._sends, done
            )
            queries.append(query)
            query.lane.queue.append(query)
            self._enlist(query.lane)
            self._pump()
        open_questions -= 1
        try:
            if open_questions:
                await everything
        finally:
            for query in queries:
                query.done = None
        return [answer for answer in answers if answer is not None]

    async def close(self) -> None:
        """End every open question as "unknown" and close every socket. Harmless to run twice."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tasks, unanswered = list(self._tcp), list(self._tcp.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane in list(self._lanes.values()):
            unanswered += (*lane.waiting.values(), *lane.queue)
            self._drop(lane)
        for query in unanswered:
            if query.done is not None:
                query.done(Answer("unknown", why="the client was closed"))
        self._line.clear()
        self._active = 0

    # Which question is sent when.

    def _lane(self, server: Server) -> _Lane:
        place = (server.address, server.port)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(server)
        return lane

    def _enlist(self, lane: _Lane) -> None:
        if not lane.is_ready and lane.queue and lane.active < self._per_server:
            lane.is_ready = True
            self._line.append(lane)

    def _pump(self) -> None:
        """Send what the bounds allow, one question per server in turn."""
        while self._line and self._active < self._limit:
            lane = self._line.popleft()
            lane.is_ready = False
            query = lane.queue.popleft() if lane.queue else None
            if query is not None and query.done is not None:
                lane.active += 1
                self._active += 1
                self._start(query)
            self._enlist(lane)
            self._drop_idle(lane)

    def _finish(self, query: _Query, answer: Answer) -> None:
        lane = query.lane
        lane.active -= 1
        self._active -= 1
        if query.done is not None:
            query.done(answer)
        self._enlist(lane)
        self._pump()
        self._drop_idle(lane)

    def _drop_idle(self, lane: _Lane) -> None:
        if not lane.active and not lane.queue:
            self._drop(lane)

    def _drop(self, lane: _Lane) -> None:
        if lane.sock is not None:
            self._loop.remove_reader(lane.sock)
            lane.sock.close()
            lane.sock = None
        place = (lane.server.address, lane.server.port)
        if self._lanes.get(place) is lane:
            del self._lanes[place]

    # UDP.

    def _start(self, query: _Query) -> None:
        lane = query.lane
        ident = secrets.randbits(16)
        while ident in lane.waiting:
            ident = secrets.randbits(16)
        lane.waiting[ident] = query
        query.packet = dnsmessages.query(ident, query.asked, recursive=query.recursive)
        self._send(query)
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick_length, self._tick)

    def _send(self, query: _Query) -> None:
        """Send or resend. Trouble shows at the next tick, so that nothing here calls back."""
        query.sends_left -= 1
        query.trouble = ""
        query.deadline = self._loop.time() + self._timeout
        try:
            sock = query.lane.sock or self._call(query.lane)
            sock.send(query.packet)
        except BlockingIOError:
            pass  # as good as lost on its way: it is sent again after the time-out
        except OSError as error:
            self._note_trouble([query], error)

    def _call(self, lane: _Lane) -> socket.socket:
        address, port = lane.server.address, lane.server.port
        [(family, kind, protocol, _, sockaddr), *_] = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.connect(sockaddr)
        except OSError:
            sock.close()
            raise
        lane.sock = sock
        self._loop.add_reader(sock, self._receive, lane, sock)
        return sock

    def _receive(self, lane: _Lane, sock: socket.socket) -> None:
        for _ in range(_BURST):
            try:
                wire = sock.recv(_READ)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP message, about any of the questions
                self._note_trouble(lane.waiting.values(), error)
                return
            self._take(lane, wire)
            if lane.sock is not sock:  # closed: that was the last answer
                return

    def _take(self, lane: _Lane, wire: bytes) -> None:
        ident = int.from_bytes(wire[:2])
        query = lane.waiting.get(ident)
        if query is None or not dnsmessages.is_answer_to(query.asked, wire):
            return
        lane.silence = 0
        del lane.waiting[ident]
        if dnsmessages.is_truncated(wire):
            task = self._loop.create_task(self._ask_over_tcp(query))
            self._tcp[task] = query
            task.add_done_callback(self._tcp.pop)
        else:
            self._finish(query, dnsmessages.read_answer(query.asked, wire))

    def _note_trouble(self, queries: Iterable[_Query], error: OSError) -> None:
        soon = self._loop.time() + _PAUSE
        for query in queries:
            query.trouble = reason_of(error, query.lane.server)
            query.deadline = min(query.deadline, soon)

    def _tick(self) -> None:
        """Send again what has timed out once, give up what has timed out for good."""
        self._timer = None
        now = self._loop.time()
        for lane in list(self._lanes.values()):
            due = [item for item in lane.waiting.items() if item[1].deadline <= now]
            for ident, query in due:
                if query.sends_left:
                    self._send(query)
                else:
                    del lane.waiting[ident]
                    self._give_up(query)
        if self._active and self._timer is None:
            self._timer = self._loop.call_later(self._tick_length, self._tick)

    def _give_up(self, query: _Query) -> None:
        lane = query.lane
        answer = Answer("unknown", why=query.trouble or self._no_answer)
        lane.silence += 1
        if lane.silence >= SILENT_AFTER:
            while lane.queue:
                skipped = lane.queue.popleft()
                if skipped.done is not None:
                    skipped.done(answer)
        self._finish(query, answer)

    # TCP (RFC 7766).

    async def _ask_over_tcp(self, query: _Query) -> None:
        server = query.lane.server
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_connection(server.address, server.port)
                try:
                    writer.write(len(query.packet).to_bytes(2) + query.packet)
                    size = int.from_bytes(await reader.readexactly(2))
                    wire = await reader.readexactly(size)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            answer = Answer("unknown", why=f"{self._no_answer} over TCP")
        except asyncio.IncompleteReadError:
            answer = Answer("unknown", why="hung up over TCP")
        except OSError as error:
            answer = Answer("unknown", why=f"{reason_of(error, server)} over TCP")
        else:
            if wire[:2] == query.packet[:2] and dnsmessages.is_answer_to(query.asked, wire):
                answer = dnsmessages.read_answer(query.asked, wire)
            else:
                answer = Answer("unknown", why="malformed answer")
        self._finish(query, answer)


def reason_of(error: OSError, server: Server) -> str:
    """Why a server could not be asked, in words. Nothing follows from it about its records."""
    if ":" in server.address and error.errno in _NO_WAY_OUT:
        return f"cannot be reached: this machine has no IPv6, and {server.address} is IPv6"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, socket.gaierror):
        return "not an IP address"
    return f"cannot be reached: {error.strerror or error}"


def ask_now(questions: Iterable[Question], *, timeout: float = 3.0) -> list[Answer]:
    """`DNSClient.ask_many` for code outside a running loop."""

    async def ask() -> list[Answer]:
        async with DNSClient(timeout=timeout) as client:
            return await client.ask_many(questions)

    return asyncio.run(ask())


class RecursiveResolver:
    """Records of a name, from the first of some resolvers that knows.

    A name or type that does not exist is an empty list. `TemporaryFailure` is raised if no
    resolver answers, so that nobody takes a time-out for an absent record.
    """

    def __init__(self, client: DNSClient, servers: Sequence[Server]) -> None:
        self._client = client
        self._servers = tuple(servers)

    async def txt(self, name: str) -> list[str]:
        """The TXT records, each with its strings joined."""
        return list(await self._values(name, "TXT"))

    async def a(self, name: str) -> list[str]:
        """The IPv4 addresses."""
        return list(await self._values(name, "A"))

    async def aaaa(self, name: str) -> list[str]:
        """The IPv6 addresses."""
        return list(await self._values(name, "AAAA"))

    async def mx(self, name: str) -> list[str]:
        """The mail hosts, the preferred one first. A null MX (RFC 7505) is no host."""
        pairs = sorted((int(n), host) for n, host in map(str.split, await self._values(name, "MX")))
        return [host for _, host in pairs if host != "."]

    async def _values(self, name: str, rdtype: str) -> tuple[str, ...]:
        troubles = []
        for server in self._servers:
            answer = await self._client.ask(server, name, rdtype)
            if answer.status in {"answer", "nodata", "nxdomain"}:
                return answer.values
            troubles.append(f"{server}: {answer.why or 'does not resolve'}")
        raise TemporaryFailure(name, rdtype, "; ".join(troubles) or "none is configured")
