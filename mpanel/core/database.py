"""What it means that the database is unavailable, decided here and nowhere else.

A server that is down, too busy or read-only (a primary that was demoted), and a SQLite file whose
lock is held for too long, are no faults of the request that meets them: it is answered 503 and may
come again, a process waits and goes on. Everything else that a database refuses is a bug.

Codes: https://www.postgresql.org/docs/17/errcodes-appendix.html, https://www.sqlite.org/rescode.html
"""

import selectors
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import (
    Error,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Error as PostgreSQLError
from psycopg import OperationalError as PostgreSQLOperationalError
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from mpanel.core.errors import Unavailable

# How long a request of the web server waits for SQLite's one writer, in seconds. Workers wait
# longer: nobody looks at a page meanwhile.
WEB_LOCK_PATIENCE = 8.0

READ_ONLY = "25006"
# PostgreSQL's states and classes that say: not now. psycopg raises `OperationalError` for most, but
# `InternalError` for those of transactions.
_STATES = (READ_ONLY, "25P03", "25P04", "40", "53", "55", "57", "58", "08")
# SQLite's primary result codes that say: not now.
_RESULTS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


def is_unavailable(error: BaseException | None) -> bool:
    """Whether this error says that the database cannot work now, as opposed to a bug of ours."""
    if not isinstance(error, Error):
        return False
    if isinstance(error, InterfaceError):  # the connection is closed
        return True
    if not isinstance(error, OperationalError | InternalError):
        return False
    cause = error.__cause__ or error
    if (result := getattr(cause, "sqlite_errorcode", None)) is not None:
        return result & 0xFF in _RESULTS
    if state := getattr(cause, "sqlstate", None):
        return str(state).startswith(_STATES)
    # No code: the server could not be reached, or hung up.
    return isinstance(error, OperationalError)


def drop_connections() -> None:
    """Close this thread's connections, so that the next query opens new ones.

    Inside of a transaction nothing happens: its end closes them.
    """
    for one in connections.all(initialized_only=True):
        if not one.in_atomic_block:
            one.close()


@contextmanager
def outages(tell: Callable[[Exception], object]) -> Iterator[None]:
    """End the block early where the database is unavailable: `tell` is called, and connections are
    dropped. Other errors pass. For the loops of processes, which try again.
    """
    try:
        yield
    except (Error, Unavailable) as error:
        if not isinstance(error, Unavailable) and not is_unavailable(error):
            raise
        drop_connections()
        tell(error)


def once_available[T](work: Callable[[], T], *, tell: Callable[[Exception], object]) -> T:
    """What `work` returns, as soon as the database lets it; for the start of a process."""
    found: list[T] = []
    while not found:
        with outages(tell):
            found.append(work())
        if not found:
            time.sleep(1.0)
    return found[0]


def check_writable() -> None:
    """Raise `Unavailable`, or what Django raises, where nothing could be written now.

    A PostgreSQL that does not answer counts as unavailable after `DATABASE_CONNECT_TIMEOUT`.
    """
    if connection.vendor == "postgresql":
        # True on a standby, too.
        asked = "SELECT current_setting('transaction_read_only')::boolean"
        if _answer_within(settings.DATABASE_CONNECT_TIMEOUT, asked) != b"f":
            drop_connections()
            raise Unavailable
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def _answer_within(seconds: float, asked: str) -> bytes | None:
    """The one value that PostgreSQL answers, as text. Raises `Unavailable` where it takes longer.

    A server that has frozen leaves its connections open, and its kernel acknowledges what is sent:
    no time limit of TCP ends the wait of an ordinary query, and the server ends none itself.
    """
    deadline = time.monotonic() + seconds
    for is_kept in (True, False):
        if is_kept and (connection.connection is None or connection.connection.closed):
            continue
        if not is_kept:
            connection.close()
            with connection.wrap_database_errors:
                connection.connect()  # within `connect_timeout`
        line = connection.connection.pgconn
        try:
            return _answer_by(deadline, line, asked)
        except (PostgreSQLError, TimeoutError) as error:
            line.finish()  # an answer that comes later is nobody's
            drop_connections()
            # The server may have been started anew since this connection was used last.
            if is_kept and isinstance(error, PostgreSQLError) and not connection.in_atomic_block:
                continue
            raise Unavailable from error
    return None


def _answer_by(deadline: float, line: PGconn, asked: str) -> bytes | None:
    """Raises psycopg's errors, `TimeoutError`."""
    line.send_query(asked.encode())
    line.flush()
    value: bytes | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(line.socket, selectors.EVENT_READ)
        while True:
            while line.is_busy():
                if not selector.select(max(deadline - time.monotonic(), 0.0)):
                    raise TimeoutError
                line.consume_input()
            if (answer := line.get_result()) is None:
                return value
            if answer.status != ExecStatus.TUPLES_OK:  # such as: it shuts down
                raise PostgreSQLOperationalError(answer.get_error_message())
            value = answer.get_value(0, 0)


def watch(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """A receiver of `connection_created`: see to it that a broken connection is not kept.

    Django keeps a connection whose server still answers a SELECT, which a demoted primary does.
    This has it closed at the end of the request, of the task, or of a look at the queue.
    """
    if _close_after_outage not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _close_after_outage)


def _close_after_outage(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    try:
        return execute(sql, params, many, context)
    except Error as error:
        if is_unavailable(error):
            context["connection"].close_at = 0.0  # of `time.monotonic()`: its time is over
        raise


def limit_waits_for_web() -> None:
    """Let a request wait shorter for SQLite's lock than a worker does, and end as a 503."""
    for one in connections.all():
        if one.vendor == "sqlite":
            one.settings_dict["OPTIONS"]["timeout"] = WEB_LOCK_PATIENCE
