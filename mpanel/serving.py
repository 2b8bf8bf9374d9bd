"""gunicorn's worker with threads, in which no client holds a thread by being slow.

gunicorn gives a connection to a thread at its first byte, so that a few clients that send half a
request stop a panel. Here the worker's event loop takes a request in, whole and within a time that
follows from its size, before a thread sees it: waiting costs a connection and a little memory.
Reads and writes of threads have a time limit besides, and `/api/health` has threads of its own.

The real parser is gunicorn's; what is found here only decides when a request is whole.
"""

import contextlib
import json
import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

LARGEST_HEAD = 128 * 1024  # bytes of a request line with its headers
LARGEST_BODY = 4 * 1024 * 1024  # bytes; the application takes less, and says so better
MOST_HELD = 64 * 1024 * 1024  # bytes of unfinished requests, in one process
# Bytes of whole requests that wait for a thread, in one process; small ones are not refused, since
# connections bound their number.
MOST_QUEUED, SMALL = MOST_HELD, 64 * 1024
PATIENCE = 30.0  # seconds until a request must be whole, and more for a large one:
SLOWEST = 20_000  # bytes a second
READ_TIMEOUT, WRITE_TIMEOUT = 10, 30  # seconds of one read or write in a thread
LINGER = 3.0  # seconds in which a client that was refused may read why
HEALTH, HEALTH_THREADS = b"/api/health", 2

_LENGTH = re.compile(
    rb"^content-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_NUMBER = re.compile(rb"\d{1,15}")
_CHUNKED = re.compile(rb"^transfer-encoding[ \t]*:", re.IGNORECASE | re.MULTILINE)
_EXPECTS = re.compile(rb"^expect[ \t]*:[ \t]*100-continue", re.IGNORECASE | re.MULTILINE)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Refused(Exception):
    """A request that no thread needs to see. `status`: of the answer."""

    def __init__(self, status: HTTPStatus, message: str, path: bytes) -> None:
        super().__init__(message)
        self.status, self.message, self.path = status, message, path

    def answer(self) -> bytes:
        """The answer as it goes over the wire; to the API's callers with its error body."""
        if self.path.startswith(b"/api/"):
            code = {413: "TOO_LARGE", 503: "UNAVAILABLE"}.get(self.status, "MALFORMED_REQUEST")
            error = {"code": code, "message": self.message, "details": {}}
            body = json.dumps(
                {"error": error, "detail": self.message, "error_code": code, "status": self.status}
            )
            kind = "application/json"
        else:
            body, kind = self.message + "\n", "text/plain; charset=utf-8"
        is_busy = self.status == HTTPStatus.SERVICE_UNAVAILABLE
        later = "Retry-After: 5\r\n" if is_busy else ""
        return (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nContent-Type: {kind}\r\n"
            f"{later}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()


class Intake:
    """One request as it comes in."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray()
        self.deadline = time.monotonic() + PATIENCE
        self.path = b""
        self.wants_continue = False
        self._whole_at: int | None = None  # bytes; None until the headers are there
        if data:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take more in. Raises `Refused`."""
        begin = max(0, len(self.data) - 3)
        self.data += data
        if self._whole_at is not None:
            return
        end = self.data.find(b"\r\n\r\n", begin)
        if end >= 0:
            self._read_head(bytes(self.data[:end]), end + 4)
        elif len(self.data) > LARGEST_HEAD:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise Refused(status, "The headers are too large.", b"")

    def _read_head(self, head: bytes, size: int) -> None:
        words = head.partition(b"\r\n")[0].split(b" ")
        self.path = words[1].partition(b"?")[0] if len(words) > 1 else b""
        if _CHUNKED.search(head):
            # Django would take such a body for an empty one.
            message = "Send the body with its Content-Length."
            raise Refused(HTTPStatus.LENGTH_REQUIRED, message, self.path)
        lengths = _LENGTH.findall(head)
        # One that gunicorn would read and we do not: a thread would wait for the body.
        if len(lengths) > 1 or not all(_NUMBER.fullmatch(one) for one in lengths):
            message = "Send one Content-Length, a number of at most 15 digits."
            raise Refused(HTTPStatus.BAD_REQUEST, message, self.path)
        length = int(lengths[0]) if lengths else 0
        if length > LARGEST_BODY:
            message = f"The body is larger than {LARGEST_BODY} bytes."
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, self.path)
        self._whole_at = size + length
        self.deadline += length / SLOWEST
        self.wants_continue = bool(_EXPECTS.search(head)) and not self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether a thread can answer this without waiting for the client."""
        return self._whole_at is not None and len(self.data) >= self._whole_at


class Worker(ThreadWorker):
    """The worker class of `gunicorn.conf.py`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections whose request is not whole, the oldest first; None for one that was refused.
        self._waiting: dict[TConn, Intake | None] = {}
        self._refused_until: dict[TConn, float] = {}
        self._held = 0  # bytes
        self._queued = 0  # bytes that no thread has begun with
        self._for_health: ThreadPoolExecutor | None = None
        self._is_stopping = False

    def init_process(self) -> None:
        self._for_health = ThreadPoolExecutor(HEALTH_THREADS, thread_name_prefix="health")
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Take the next request of a connection in; gunicorn would give it to a thread here."""
        if self.cfg.is_ssl:  # a proxy does that for us
            super().enqueue_req(conn)
            return
        ahead = b""
        if conn.initialized:
            ahead = conn.parser.unreader.take_buffered()
        else:
            _limit_blocking(conn.sock)
        if self.nr_conns >= self.worker_connections:
            self._drop_oldest()
        conn.sock.setblocking(False)
        self._waiting[conn] = Intake()
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_readable, conn))
        if ahead:
            self._take_in(conn, ahead)

    def murder_pending(self) -> None:
        """Called every second: drop who was too slow."""
        super().murder_pending()
        now = time.monotonic()
        if not self.alive and not self._is_stopping:
            self._is_stopping = True
            for waiting in filter(None, self._waiting.values()):
                waiting.deadline = min(waiting.deadline, now + STOP_KEEPALIVE_LINGER)
        for conn, intake in list(self._waiting.items()):
            if (intake.deadline if intake else self._refused_until[conn]) < now:
                self._drop(conn)

    def handle(self, conn: TConn) -> Any:
        """In a thread: answer the request that was taken in."""
        self.method_queue.defer(self._begun, len(conn.taken_in))
        conn.init()
        conn.parser.unreader.unread(conn.taken_in)
        conn.taken_in = b""
        return super().handle(conn)

    def _begun(self, size: int) -> None:
        """A thread has so many bytes in hand."""
        self._queued -= size

    def _on_readable(self, conn: TConn, sock: socket.socket) -> None:
        if conn not in self._waiting:  # dropped since the poller reported it
            return
        try:
            data = sock.recv(256 * 1024)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
        elif self._waiting[conn] is not None:  # who was refused is not listened to
            self._take_in(conn, data)

    def _take_in(self, conn: TConn, data: bytes) -> None:
        intake = self._waiting[conn]
        assert intake is not None
        self._held += len(data)
        try:
            intake.feed(data)
        except Refused as refusal:
            self._refuse(conn, refusal)
            return
        size = len(intake.data)
        if intake.is_whole and size > SMALL and self._queued + size > MOST_QUEUED:
            message = "Too many large requests wait to be answered. Try again in a moment."
            self._refuse(conn, Refused(HTTPStatus.SERVICE_UNAVAILABLE, message, intake.path))
            return
        if intake.is_whole:
            self._hand_over(conn, intake)
            return
        if intake.wants_continue:
            intake.wants_continue = False
            with contextlib.suppress(OSError):
                conn.sock.send(CONTINUE)
        while self._held > MOST_HELD and self._waiting:
            self._drop_oldest()

    def _hand_over(self, conn: TConn, intake: Intake) -> None:
        self._forget(conn)
        conn.taken_in, conn.data_ready = bytes(intake.data), True
        self._queued += len(conn.taken_in)
        pool = self._for_health if intake.path == HEALTH else self.tpool
        assert pool is not None
        done = pool.submit(self.handle, conn)
        done.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def _refuse(self, conn: TConn, refusal: Refused) -> None:
        """Answer, and read on without listening for a while: closing at once would lose it."""
        intake = self._waiting[conn]
        self._held -= len(intake.data) if intake else 0
        self._waiting[conn] = None
        self._refused_until[conn] = time.monotonic() + LINGER
        with contextlib.suppress(OSError):
            conn.sock.send(refusal.answer())
            conn.sock.shutdown(socket.SHUT_WR)

    def _drop_oldest(self) -> None:
        if self._waiting:
            self._drop(next(iter(self._waiting)))

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: TConn) -> None:
        """Let go of a connection that waited."""
        self._refused_until.pop(conn, None)
        intake = self._waiting.pop(conn)
        self._held -= len(intake.data) if intake else 0
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)


def _limit_blocking(sock: socket.socket) -> None:
    """Bound each read and write of a thread, whatever gunicorn sets on the socket later."""
    for option, seconds in (
        (socket.SO_RCVTIMEO, READ_TIMEOUT),
        (socket.SO_SNDTIMEO, WRITE_TIMEOUT),
    ):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", seconds, 0))
