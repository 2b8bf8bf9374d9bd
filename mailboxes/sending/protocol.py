"""The server's side of Postfix's policy delegation, without any decision in it.

http://www.postfix.org/SMTPD_POLICY_README.html: a request is lines `name=value` and an empty line;
the answer is `action=...` and an empty line; a connection asks one request after the other. A
connection that breaks the protocol is closed, which Postfix meets with its `default_action`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import cast

logger = logging.getLogger(__name__)

LONGEST = 32 * 1024  # bytes of one request; Postfix's have one or two thousand
IDLE = 600.0  # seconds without a question; Postfix hangs up after 300
HALF = 10.0  # seconds within which a request that began must be whole
MOST_CONNECTIONS = 2_000
LAST_ANSWERS = 2.0  # seconds that answers under way have at the end

Request = dict[str, str]
Decide = Callable[[Request], Awaitable[str]]


class NotPolicy(Exception):
    """This is no request of Postfix's policy delegation."""


def parse(raw: bytes) -> Request:
    """The attributes of one request, without its empty line. Raises `NotPolicy`."""
    request: Request = {}
    for line in raw.decode(errors="replace").split("\n"):
        name, equals, value = line.partition("=")
        if not equals:
            raise NotPolicy
        request[name] = value
    if request.get("request") != "smtpd_access_policy":
        raise NotPolicy
    return request


class PolicyServer:
    """Answers each request by `decide`, until it is closed; a context manager."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> None:
        """Serve here; several processes may share an address. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, reuse_port=True, backlog=512
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


class Connection(asyncio.Protocol):
    """One smtpd process that asks."""

    def __init__(self, server: PolicyServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None
        self.patience_ends = time.monotonic() + IDLE

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
        end = self._buffer.find(b"\n\n", 0, LONGEST)
        if end < 0:
            if len(self._buffer) >= LONGEST:
                self._refuse("sent a request that is too long")
            return
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        try:
            request = parse(raw)
        except NotPolicy:
            self._refuse("sent what is no policy request")
            return
        self.patience_ends = time.monotonic() + IDLE
        self.task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            action = await self._server.decide(request)
        except Exception:
            logger.exception("a decision failed")
            self.hang_up()  # Postfix then does what it does when nobody answers
            return
        finally:
            self.task = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(f"action={action}\n\n".encode())
            self.patience_ends = time.monotonic() + (HALF if self._buffer else IDLE)
            self._go_on()

    def _refuse(self, what: str) -> None:
        logger.warning("A client %s; hung up.", what)
        self._buffer.clear()
        self.hang_up()
