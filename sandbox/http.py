"""HTTP under all stand-ins: failures on purpose, the journal, and connections that just end."""

import asyncio
import contextlib
import re
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .faults import Fault, Faults
from .journal import Journal

_ID = re.compile(r"\b[0-9a-f]{32}\b")
_HELD = 3600.0  # seconds that a request without an answer is held open


class DroppableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which lets an application end a connection without an answer.

    ASGI has no word for that, so the application finds its transport by the client's address.
    """

    _open: dict[tuple[str, int], asyncio.Transport] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            self._open[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            self._open.pop(self.client, None)
        super().connection_lost(exc)

    @classmethod
    def abort(cls, client: tuple[str, int]) -> None:
        """End the connection of a client at once."""
        transport = cls._open.get(client)
        if transport is not None:
            transport.abort()


class Stage:
    """One service over HTTP, whose requests are counted and can be made to fail.

    `failing` words a failure as the service does: it answers the application that says it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        prefix: str,
        faults: Faults,
        journal: Journal,
        failing: Callable[[Fault], ASGIApp],
    ) -> None:
        self._app = app
        self._service = service
        self._prefix = prefix
        self._faults = faults
        self._journal = journal
        self._failing = failing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        path = scope["path"].removeprefix(self._prefix)
        statuses: list[int] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            fault = self._faults.take(self._service, method, path)
            await self._play(fault, scope, receive, noting)
        finally:
            status = statuses[0] if statuses else None
            self._journal.count(self._service, method, _ID.sub("{id}", path), status)
            self._journal.note(self._service, method, path, status)

    async def _play(self, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> None:
        match fault:
            case None:
                await self._app(scope, receive, send)
            case Fault(kind="delay"):
                await asyncio.sleep(fault.delay or 0)
                await self._app(scope, receive, send)
            case Fault(kind="stall_after_commit"):
                answer: list[Message] = []
                await self._app(scope, receive, _into(answer))
                await asyncio.sleep(fault.delay or 0)
                for message in answer:
                    await send(message)
            case Fault(kind="drop_before" | "timeout"):
                await self._silence(fault, scope, receive)
            case Fault(kind="drop_after_commit" | "timeout_after_commit"):
                await self._app(scope, receive, _into_nothing)
                await self._silence(fault, scope, receive)
            case _:
                await self._failing(fault)(scope, receive, send)

    async def _silence(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        """Give no answer; end the connection at once, or when the client has had enough."""
        if fault.kind.startswith("drop"):
            DroppableProtocol.abort(tuple(scope["client"]))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HELD):
                while (await receive())["type"] != "http.disconnect":
                    pass


def _into(kept: list[Message]) -> Send:
    """Keep an answer for later."""

    async def keep(message: Message) -> None:
        kept.append(message)

    return keep


async def _into_nothing(message: Message) -> None:
    """Swallow an answer."""
