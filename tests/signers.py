"""The signer in a thread of the test, and the next hop that takes what it signed."""

import asyncio
import smtplib
import socket
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self

import dkim
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailservers.signing.server import Signer, serve


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def begin(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Any) -> None:
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)


@dataclass(frozen=True)
class Taken:
    """A message that the next hop took."""

    sender: str
    recipients: tuple[str, ...]
    options: tuple[str, ...]
    content: bytes


class _LikePostfix(SMTP):
    line_length_limit = 2051

    def connection_made(self, transport: Any) -> None:
        self.event_handler.transports.append(transport)
        super().connection_made(transport)


class NextHopServer:
    """Takes mail like the Postfix server behind the signer; `replies` changes its answers."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.taken: list[Taken] = []
        self.replies: dict[str, str] = {}  # a command, or an address in RCPT, to a reply
        self.transports: list[asyncio.Transport] = []
        self._loop = Loop()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._loop.close()

    def start(self) -> Self:
        self._server = self._loop.do(self._listen())
        return self

    def stop(self) -> None:
        """Hang up on everybody, and listen no more."""
        if self._server is not None:
            self._loop.do(self._close(self._server))
            self._server = None

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self.replies.get("MAIL"):
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self.replies.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if refusal := self.replies.get("DATA"):
            return refusal
        self.taken.append(
            Taken(
                str(envelope.mail_from),
                tuple(envelope.rcpt_tos),
                tuple(envelope.mail_options),
                bytes(envelope.original_content or b""),
            )
        )
        return "250 2.0.0 Ok: queued as 4aXb"

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: _LikePostfix(
                self, enable_SMTPUTF8=True, hostname="next", loop=loop, data_size_limit=None
            ),
            "127.0.0.1",
            self.port,
        )

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for transport in self.transports:
            transport.abort()


class RunningSigner:
    """The signer at work between a test and a next hop."""

    def __init__(self, next_hop: NextHopServer) -> None:
        self.port = free_port()
        self.signer = Signer(("127.0.0.1", next_hop.port))
        self._loop = Loop()
        self._stop = asyncio.Event()
        self._serving: Any = None

    def __enter__(self) -> Self:
        self._serving = self._loop.begin(serve("127.0.0.1", self.port, self.signer, self._stop))
        wait_for(self.port)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.join()
        self._loop.close()

    def stop(self) -> None:
        """Tell it to stop, as SIGTERM does."""
        self._loop.call(self._stop.set)

    def join(self) -> None:
        """Until it has stopped."""
        self._serving.result(timeout=900)  # bounds a hang, not the machine

    def connect(self) -> smtplib.SMTP:
        """A connection as Postfix makes it."""
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="mx.test", timeout=60)


def wait_for(port: int, *, seconds: float = 120) -> None:
    """Until somebody listens on a port of this machine."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.05)


def verifies(message: bytes, published: dict[str, str], *, which: int = 0) -> bool:
    """Whether a signature of a message verifies against the published texts, by name."""

    def ask(name: bytes, timeout: float = 5) -> bytes | None:
        text = published.get(name.decode().rstrip("."))
        return text.encode() if text else None

    try:
        return bool(dkim.DKIM(message).verify(which, dnsfunc=ask))
    except dkim.ValidationError:
        return False
