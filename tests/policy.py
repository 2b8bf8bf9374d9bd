"""The policy service for tests: inside the test's process or beside it, and a client that asks."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from deliverability.policy import Policy
from deliverability.protocol import Decide, PolicyServer
from tests.sandboxes import find_free_port_block


class Postfix:
    """One smtpd process that asks a policy service, over one connection; a context manager."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._socket.close()

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def answer(self) -> str:
        """The next action; "" when the service hung up."""
        try:
            line = self._answers.readline()
            self._answers.readline()
        except ConnectionResetError:
            return ""
        return line.decode().removeprefix("action=").strip()

    def ask(self, login: str, **attributes: object) -> str:
        """Ask as at DATA, unless the attributes say otherwise."""
        self.send(request(login, **attributes))
        return self.answer()


def request(login: str, **attributes: object) -> bytes:
    """What Postfix sends."""
    lines = {
        "request": "smtpd_access_policy",
        "protocol_state": "DATA",
        "protocol_name": "ESMTP",
        "client_address": "192.0.2.7",
        "client_name": "unknown",
        "helo_name": "laptop",
        "queue_id": "",
        "sender": login,
        "recipient": "someone@example.net",
        "recipient_count": 1,
        "size": 0,
        "sasl_method": "plain" if login else "",
        "sasl_username": login,
        "encryption_protocol": "TLSv1.3",
        "stress": "",
        **attributes,
    }
    return ("".join(f"{name}={value}\n" for name, value in lines.items()) + "\n").encode()


@contextlib.contextmanager
def serving(decide: Decide, port: int = 0) -> Iterator[int]:
    """A policy service in a thread of this process; its port, a free one if none is given."""
    port = port or find_free_port_block(1)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = PolicyServer(decide)
    asyncio.run_coroutine_threadsafe(server.listen("127.0.0.1", port), loop).result(5)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@contextlib.contextmanager
def policy_service(*, fails_open: bool = False, port: int = 0) -> Iterator[int]:
    """The real decisions, on the test's database; the port, a free one if none is given."""
    policy = Policy(fails_open=fails_open)
    try:
        with serving(policy.decide, port) as chosen:
            yield chosen
    finally:
        policy.close()
