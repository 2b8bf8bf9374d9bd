"""A service that stops finishes what is under way, and leaves new connections to its successor."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mailservers import serving
from mailservers.serving import drain
from mailservers.signing.milter import MilterServer, Submitted
from mailservers.signing.server import Signer, serve
from tests.milters import PostfixMilter, message, packet
from tests.processes import eventually
from tests.signers import Loop, NextHopServer, RunningSigner, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database("no query differs")]

FROM, TO, TEXT = "ada@else.test", "cy@else.test", b"From: ada@else.test\r\n\r\nHi\r\n"


@pytest.fixture(autouse=True)
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes as long as it needs."""
    monkeypatch.setattr(serving, "PATIENCE", 600.0)


@contextmanager
def stopping(signer: RunningSigner) -> Iterator[None]:
    """The signer was told to stop, and has begun to."""
    signer.stop()
    yield
    signer.join()


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("begun", ["a connection", "a message"])
def test_what_is_under_way_is_signed_and_only_then_is_hung_up(begun: str) -> None:
    with NextHopServer() as hop, RunningSigner(hop) as signer:
        smtp, idle = signer.connect(), signer.connect()
        idle.sendmail(FROM, [TO], TEXT)
        smtp.ehlo()
        if begun == "a message":
            assert smtp.mail(FROM)[0] == 250
            assert smtp.rcpt(TO)[0] == 250
        with stopping(signer):
            if begun == "a connection":
                assert smtp.mail(FROM)[0] == 250
                assert smtp.rcpt(TO)[0] == 250
            assert smtp.data(TEXT)[0] == 250
            assert smtp.file is not None
            assert smtp.file.readline() == b"", "then it hangs up"
        assert is_refused(signer.port)
        assert len(hop.taken) == 2


def test_it_is_ready_when_it_listens() -> None:
    loop, port, stop = Loop(), free_port(), asyncio.Event()
    reached: list[bool] = []

    async def run() -> None:
        signer = Signer(("127.0.0.1", 9))
        await serve(
            "127.0.0.1", port, signer, stop, ready=lambda: reached.append(not is_refused(port))
        )

    running = loop.begin(run())
    eventually(lambda: bool(reached))
    loop.call(stop.set)
    running.result(timeout=60)
    loop.close()
    assert reached == [True]


class Milters:
    """Two processes' milters at one address."""

    def __init__(self) -> None:
        self.loop, self.port = Loop(), free_port()
        self.old, self.new = MilterServer(self._pass), MilterServer(self._refuse)
        self.loop.do(self.old.listen("127.0.0.1", self.port))

    async def _pass(self, found: Submitted) -> str:
        return ""

    async def _refuse(self, found: Submitted) -> str:
        return "554 5.7.1 by the new one"

    def drain(self) -> Any:
        return self.loop.begin(drain([self.old]))

    def close(self) -> None:
        for one in (self.old, self.new):
            self.loop.do(one.close())
        self.loop.close()


@pytest.fixture
def milters() -> Iterator[Milters]:
    made = Milters()
    yield made
    made.close()


def test_an_open_session_goes_on_beside_a_successor(milters: Milters) -> None:
    with PostfixMilter(milters.port) as session:
        milters.loop.do(milters.new.listen("127.0.0.1", milters.port))
        draining = milters.drain()
        eventually(lambda: milters.old.listener is None or not milters.old.listener.sockets)
        with PostfixMilter(milters.port) as another:
            assert another.ask("ada@else.test", []).endswith("by the new one")
        assert session.ask("ada@else.test", []) == ""
        assert session.ask("ada@else.test", []) == "", "a client may send more than one"
        assert not draining.done()
    draining.result(timeout=60)


def test_one_that_is_alone_takes_connections_until_no_message_is_under_way(
    milters: Milters,
) -> None:
    whole = message("ada@else.test", [("From", b"ada@else.test")])
    end = packet(b"E")
    with PostfixMilter(milters.port) as session, PostfixMilter(milters.port):
        session.raw(whole.removesuffix(end))
        eventually(lambda: milters.old.is_busy)
        draining = milters.drain()
        with PostfixMilter(milters.port) as another:
            assert another.ask("ada@else.test", []) == ""
        assert not draining.done()
        session.raw(end)
        assert session.answer() == b"c"
        draining.result(timeout=60)
        assert is_refused(milters.port)


def test_connections_that_the_kernel_has_made_are_taken_before_the_listener_closes(
    milters: Milters,
) -> None:
    """They wait there while the process is busy; closing the listener would reset them."""

    async def hold_and_drain() -> list[socket.socket]:
        waiting = [socket.create_connection(("127.0.0.1", milters.port)) for _ in range(20)]
        await drain([milters.old])
        return waiting

    draining = milters.loop.begin(hold_and_drain())
    eventually(lambda: len(milters.old.connections) == 20)
    milters.loop.do(milters.old.close())
    for one in draining.result(timeout=60):
        one.close()


def test_a_session_without_end_holds_nothing_up_for_ever(
    milters: Milters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 0.1)
    with PostfixMilter(milters.port) as session:
        session.raw(message("ada@else.test", []).removesuffix(packet(b"E")))
        eventually(lambda: milters.old.is_busy)
        milters.loop.do(drain([milters.old]))
        assert is_refused(milters.port)
