"""Servers for what mail servers ask us: connections, patience and limits, without any protocol.

Where several processes serve one address, the one that stops hands over (`drain`): Postfix defers a
message for minutes when the other side of it goes away.

A connection asks one request after the other. One that breaks its protocol, is silent for too long
or does not read its answers is closed; the mail server then does what it does when nobody answers.
"""

import asyncio
import logging
import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

logger = logging.getLogger(__name__)

LONGEST = 32 * 1024  # bytes of one request; real ones have one or two thousand
IDLE = 600.0  # seconds without a question; Postfix hangs up after 300
HALF = 10.0  # seconds within which a request that began must be whole
MOST_CONNECTIONS = 2_000
LAST_ANSWERS = 2.0  # seconds that answers under way have at the end
PATIENCE = 30.0  # seconds that sessions under way have at the end; a unit's TimeoutStopSec is 60
LOOKS_EVERY = 0.05  # seconds

LISTEN_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = "0A"


class ProtocolBroken(Exception):
    """This is no request of the protocol that is spoken here."""


class Service(Protocol):
    """What `drain` asks of a server."""

    @property
    def listener(self) -> asyncio.Server | None:
        """What takes new connections."""

    @property
    def is_busy(self) -> bool:
        """Whether a message is under way."""

    @property
    def is_in_use(self) -> bool:
        """Whether a session is open, in which a message may come."""

    async def stop_listening(self) -> None:
        """Take no new connections. Sessions go on."""


async def drain(services: Sequence[Service]) -> None:
    """Stop listening, and let what is under way end; at most `PATIENCE` seconds.

    Where other processes serve the same addresses, new connections go to them at once, and open
    sessions are waited for. One that is alone goes on taking connections until no message is under
    way, or half of the time is over: the shorter nobody listens, the fewer messages wait.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE

    def has_others() -> bool:
        return all(_is_shared(one.listener) for one in services)

    while not has_others() and any(one.is_busy for one in services):
        if loop.time() > deadline - PATIENCE / 2:
            break
        await asyncio.sleep(LOOKS_EVERY)
    is_handed_over = has_others()
    for one in services:
        await one.stop_listening()
    while any(one.is_in_use if is_handed_over else one.is_busy for one in services):
        if loop.time() > deadline:
            break
        await asyncio.sleep(LOOKS_EVERY)


async def stop_accepting(
    server: asyncio.Server, protocol: Callable[[], asyncio.BaseProtocol]
) -> None:
    """Close a listener, and take what the kernel has accepted for it: `close` would reset that.

    Of connections that asyncio itself has just taken, `close` (3.13) would lose some, too.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):
        await asyncio.sleep(0)  # those that were taken just now get their transports
    waiting: list[socket.socket] = []
    for listening in server.sockets:
        with socket.socket(fileno=os.dup(listening.fileno())) as same, suppress(OSError):
            while True:
                waiting.append(same.accept()[0])
    server.close()
    for connection in waiting:
        connection.setblocking(False)
        with suppress(OSError):
            await loop.connect_accepted_socket(protocol, connection)


def _is_shared(server: asyncio.Server | None) -> bool:
    """Whether another process listens there, too: as far as Linux says so, else no."""
    if server is None or not server.sockets:
        return False
    port = server.sockets[0].getsockname()[1]
    listening = 0
    for table in LISTEN_TABLES:
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                columns = line.split()
                is_here = columns[1].endswith(f":{port:04X}")
                listening += is_here and columns[3] == LISTENING
    return listening > len(server.sockets)


class RequestServer(ABC):
    """Answers requests until it is closed."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    @abstractmethod
    def connection(self) -> "Connection":
        """What speaks the protocol with a client that has just connected."""

    async def listen(self, host: str, port: int) -> None:
        """Serve here; several processes may share an address. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self.connection, host, port, reuse_port=True, backlog=512
        )
        self._watch = loop.create_task(self._hang_up_on_the_silent())

    @property
    def listener(self) -> asyncio.Server | None:
        return self._server

    @property
    def is_busy(self) -> bool:
        return any(one.is_busy for one in self.connections)

    @property
    def is_in_use(self) -> bool:
        return bool(self.connections)

    async def stop_listening(self) -> None:
        if self._server is not None:
            await stop_accepting(self._server, self.connection)

    async def close(self) -> None:
        """Listen no longer, give the answers under way, hang up."""
        await self.stop_listening()
        if self._watch is not None:
            self._watch.cancel()
        if tasks := [one.task for one in self.connections if one.task is not None]:
            await asyncio.wait(tasks, timeout=LAST_ANSWERS)
        for connection in list(self.connections):
            connection.hang_up()

    async def _hang_up_on_the_silent(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for connection in [one for one in self.connections if one.patience_ends < now]:
                connection.hang_up()


class Connection(asyncio.Protocol, ABC):
    """One client. A subclass takes requests out of the buffer, and answers them."""

    def __init__(self, server: RequestServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None
        self.patience_ends = time.monotonic() + IDLE

    @abstractmethod
    def take(self) -> object | None:
        """Take the next request out of the buffer; None if it is not whole.

        Raises `ProtocolBroken` with what the client did, for the log.
        """

    @abstractmethod
    async def answer(self, request: object) -> bytes:
        """What is sent back."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return self.task is not None or bool(self._buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= MOST_CONNECTIONS:
            logger.warning("%s connections are open; refused one more", MOST_CONNECTIONS)
            self.hang_up()
            return
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self.patience_ends = time.monotonic() + HALF
        self._buffer += data
        if self.task is None:
            self._go_on()
        elif len(self._buffer) > LONGEST:
            self._refuse("asked on and on without waiting for answers")

    def pause_writing(self) -> None:
        self._refuse("does not read its answers")

    def hang_up(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        """Begin to answer the next request, if one is whole."""
        try:
            request = self.take()
        except ProtocolBroken as broken:
            self._refuse(str(broken))
            return
        if request is not None:
            self.patience_ends = time.monotonic() + IDLE
            self.task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: object) -> None:
        try:
            answer = await self.answer(request)
        except Exception:
            logger.exception("a decision failed")
            self.hang_up()  # the mail server then does what it does when nobody answers
            return
        finally:
            self.task = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
            self.patience_ends = time.monotonic() + (HALF if self._buffer else IDLE)
            self._go_on()

    def _refuse(self, what: str) -> None:
        logger.warning("A client %s; hung up.", what)
        self._buffer.clear()
        self.hang_up()
