"""Servers for what mail servers ask us: connections, patience and limits, without any protocol.

A connection asks one request after the other. One that breaks its protocol, is silent for too long
or does not read its answers is closed; the mail server then does what it does when nobody answers.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from typing import cast

logger = logging.getLogger(__name__)

LONGEST = 32 * 1024  # bytes of one request; real ones have one or two thousand
IDLE = 600.0  # seconds without a question; Postfix hangs up after 300
HALF = 10.0  # seconds within which a request that began must be whole
MOST_CONNECTIONS = 2_000
LAST_ANSWERS = 2.0  # seconds that answers under way have at the end


class ProtocolBroken(Exception):
    """This is no request of the protocol that is spoken here."""


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

    async def close(self) -> None:
        """Listen no longer, give the answers under way, hang up."""
        if self._server is not None:
            self._server.close()
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
