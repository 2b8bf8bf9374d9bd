"""Slow clients hold no thread of the web server (a real gunicorn with our worker)."""

import contextlib
import json
import os
import select
import selectors
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from http import HTTPStatus
from typing import Any

import pytest
from django.db import connection
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from mpanel.serving import LARGEST_BODY, LARGEST_HEAD, MOST_QUEUED, SMALL, Intake, Refused, Worker
from tests.processes import ROOT, eventually, suite_environment
from tests.sandboxes import find_free_port_block

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4
only_sqlite = pytest.mark.skipif(
    os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="one story is enough"
)
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def port(django_db_setup: None) -> Iterator[int]:
    """Of a gunicorn with one process and four threads, set up by our `gunicorn.conf.py`."""
    number = find_free_port_block()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "mpanel.wsgi", f"--bind=127.0.0.1:{number}"),
            *("--workers=1", f"--threads={THREADS}", "--log-level=error"),
        ],
        cwd=ROOT,
        env=suite_environment(API_PUBLIC_RATE=1_000_000, API_ADDRESS_RATE=1_000_000),
    )
    try:
        eventually(lambda: answers(number), seconds=90)
        yield number
    finally:
        process.terminate()
        process.wait(60)


def answers(port: int) -> bool:
    try:
        return ask(port, b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200
    except OSError:
        return False


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def ask(port: int, *parts: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request that is sent in these parts."""
    with opened(port) as line:
        for part in parts:
            line.sendall(part)
        return answer_on(line)


def answer_on(line: socket.socket) -> tuple[int, bytes]:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += received(line)
    head, _, body = raw.partition(b"\r\n\r\n")
    headers = dict(one.lower().split(b": ", 1) for one in head.split(b"\r\n")[1:])
    while len(body) < int(headers.get(b"content-length", b"0")):
        body += received(line)
    return int(head.split()[1]), body


def received(line: socket.socket) -> bytes:
    data = line.recv(65536)
    if not data:
        raise ConnectionResetError
    return data


def test_requests_that_are_never_finished_hold_no_thread(port: int) -> None:
    with ExitStack() as slow:
        for number in range(10 * THREADS):
            line = slow.enter_context(opened(port))
            whole_head = LOGIN + b"Content-Length: 1000\r\n\r\n" + b"{" * 10
            line.sendall(whole_head[: 30 if number % 2 else None])
        health = ask(port, b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (health[0], json.loads(health[1])["status"]) == (200, "ok")
        assert ask(port, b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200
        status, body = ask(port, LOGIN + b"Content-Length: 2\r\n\r\n", b"{}")
        assert (status, json.loads(body)["error_code"]) == (400, "VALIDATION_ERROR")


def test_a_request_in_pieces_arrives_whole_and_its_connection_is_kept(port: int) -> None:
    body = json.dumps({"email": "x@people.test", "password": "wrong"}).encode()
    request = LOGIN + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with opened(port) as line:
        for position in range(0, len(request), 40):
            line.sendall(request[position : position + 40])
        assert answer_on(line)[0] == 401
        line.sendall(request[:70])
        line.sendall(request[70:])
        assert answer_on(line)[0] == 401
        # The next request may come on the heels of the last, and in part.
        line.sendall(request + request[:50])
        assert answer_on(line)[0] == 401
        line.sendall(request[50:])
        assert answer_on(line)[0] == 401


def test_a_client_that_asks_first_is_told_to_go_on(port: int) -> None:
    with opened(port) as line:
        line.sendall(LOGIN + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        said = b""
        while b"\r\n\r\n" not in said:
            said += received(line)
        assert said.startswith(b"HTTP/1.1 100 ")
        line.sendall(b"{}")
        while b"HTTP/1.1 400 " not in said:  # it may come together with another 100
            said += received(line)


def test_what_is_too_large_or_has_no_length_is_refused_with_a_reason(port: int) -> None:
    status, body = ask(port, LOGIN + f"Content-Length: {LARGEST_BODY + 1}\r\n\r\n".encode())
    assert (status, json.loads(body)["error"]["code"]) == (413, "TOO_LARGE")
    status, body = ask(port, LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert (status, json.loads(body)["status"]) == (411, 411)
    status, body = ask(port, b"GET / HTTP/1.1\r\nX: " + b"x" * (LARGEST_HEAD + 1))
    assert (status, body) == (431, b"The headers are too large.\n")


@only_sqlite
def test_health_answers_while_every_thread_is_busy(port: int) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # whoever writes waits for it, and ends with a 503
        with ExitStack() as stack:
            waiting = [stack.enter_context(opened(port)) for _ in range(5 * THREADS)]
            for number, line in enumerate(waiting):
                body = b'{"email": "w%d@people.test", "password": "wrong"}' % number
                line.sendall(LOGIN + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            health = ask(port, b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answered, _, _ = select.select(waiting, [], [], 0)
            assert health[0] == 200
            assert len(answered) < len(waiting)
            status, body = answer_on(waiting[0])
            assert (status, json.loads(body)["error_code"]) == (503, "UNAVAILABLE")


# --- Taking in, without a network ----------------------------------------------------------------

REQUEST = b"POST /api/x?y HTTP/1.1\r\nHost: a\r\nContent-length: 3\r\n\r\nabc"


@pytest.mark.parametrize("cut", range(1, len(REQUEST)))
def test_a_request_is_whole_with_its_last_byte(cut: int) -> None:
    intake = Intake(REQUEST[:cut])
    seen = [intake.is_whole]
    intake.feed(REQUEST[cut:])
    assert [*seen, intake.is_whole] == [False, True]
    assert (intake.path, bytes(intake.data)) == (b"/api/x", REQUEST)


def test_a_large_request_has_more_time() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    small, large = Intake(head % 10), Intake(head % 1_000_000)
    assert large.deadline > small.deadline + 40


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", HTTPStatus.LENGTH_REQUIRED),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
        # gunicorn reads the first, and a thread would wait for the body.
        (b"POST / HTTP/1.1\r\nContent-Length: 0000000000000009\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length: +9\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 9\r\n\r\n",
            HTTPStatus.BAD_REQUEST,
        ),
    ],
)
def test_a_body_that_cannot_be_taken_in_is_refused(request_: bytes, status: HTTPStatus) -> None:
    with pytest.raises(Refused) as caught:
        Intake(request_)
    assert caught.value.status == status


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker without a server around it."""
    config = Config()
    config.set("worker_connections", 8)
    found = Worker(1, os.getppid(), [], None, 30, config, None)
    found.poller = selectors.DefaultSelector()
    yield found
    found.poller.close()


def connected(worker: Worker) -> socket.socket:
    """The client's end of a new connection."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    worker.nr_conns += 1
    worker.enqueue_req(TConn(worker.cfg, ours, "", ""))
    return theirs


def is_closed(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:  # with what it had sent unread
        return True


def test_who_does_not_finish_in_time_is_hung_up_on(worker: Worker) -> None:
    with connected(worker) as slow, connected(worker) as fresh:
        first = next(iter(worker._waiting.values()))
        assert first is not None
        first.deadline = 0.0
        worker.murder_pending()
        assert is_closed(slow)
        assert not is_closed(fresh)
        assert worker.nr_conns == 1


def test_a_full_worker_hangs_up_on_who_waits_longest(worker: Worker) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(worker)) for _ in range(20)]
        assert [is_closed(line) for line in lines] == [True] * 13 + [False] * 7
        assert worker.nr_conns == 7


def test_a_client_dropped_for_another_is_not_read_after_all(worker: Worker) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(worker)) for _ in range(7)]
        for line in lines:
            line.send(b"G")
        reported = worker.poller.select(0)  # as gunicorn does: all of them, then one by one
        newer = [stack.enter_context(connected(worker)) for _ in range(3)]
        for key, _ in reported:
            key.data(key.fileobj)
        assert [is_closed(line) for line in lines + newer] == [True] * 3 + [False] * 7
        assert worker.nr_conns == 7


class Threads:
    """Threads that are all busy: what is given to them waits."""

    def __init__(self, waiting: list[TConn]) -> None:
        self.waiting = waiting

    def submit(self, handle: Callable[[TConn], Any], conn: TConn) -> Future[Any]:
        self.waiting.append(conn)
        return Future()


def test_large_requests_that_wait_for_a_thread_are_counted(worker: Worker) -> None:
    """Small ones are taken all the same, and a thread that begins makes room."""
    begun: list[TConn] = []
    worker.tpool = Threads(begun)
    head = b"POST /api/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    large = head % SMALL + b"x" * SMALL
    worker._queued = MOST_QUEUED - len(large)

    def send(data: bytes) -> bytes:
        line = stack.enter_context(connected(worker))
        line.setblocking(True)
        sender = threading.Thread(target=line.sendall, args=[data])
        sender.start()
        while sender.is_alive() or worker.poller.select(0):
            for key, _ in worker.poller.select(0):
                key.data(key.fileobj)
        line.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return line.recv(1000)
        return b""

    with ExitStack() as stack:
        assert send(large) == b""
        refused = send(large)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5\r\n" in refused
        assert send(b"GET / HTTP/1.1\r\n\r\n") == b""
        assert len(begun) == 2
        for conn in begun:
            worker._begun(len(conn.taken_in))
        assert send(large) == b""
