"""The mail server's logins and recipients, read from the SQL views that Dovecot would read."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, unquote

import bcrypt

PASSWORD_QUERY = "SELECT password FROM mail_login WHERE email = ?"
REFUSAL_QUERY = "SELECT reason FROM mail_sender_refusal WHERE email = ?"
ALIAS_QUERY = "SELECT destination FROM mail_alias WHERE address = ? ORDER BY destination"
SENDER_QUERY = "SELECT login FROM mail_sender WHERE address = ?"
SQLITE_SCHEME = "sqlite:///"
BCRYPT_LENGTH = 72  # bytes that bcrypt looks at, here as in crypt(3)
REMEMBERED = 20_000
BUSY_TIMEOUT = 2.0  # seconds


# How a view is asked: a query with one placeholder, and its value; the first column of each row.
Select = Callable[[str, str], list[str]]


class LoginsUnavailable(Exception):
    """The database, a view or a stored password cannot be read at the moment."""


class Logins:
    """Who may log in and who has a mailbox, asked anew each time.

    `database_url`: `sqlite:////path` or anything that libpq takes (`postgres://...`).
    """

    def __init__(self, database_url: str) -> None:
        self._select = _sqlite(database_url) or _postgresql(database_url)
        # Hashing and the database wait here, not in the event loop.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="logins")
        self._agreed: set[tuple[str, bytes]] = set()
        self._key = secrets.token_bytes(32)

    async def accepts(self, email: str, password: bytes) -> bool:
        """Whether this password opens the mailbox now. Raises `LoginsUnavailable`."""
        return await self._run(self._accepts, email.lower(), password)

    async def refusal_of(self, email: str) -> str:
        """Why this sender may not send now, "" where it may. Raises `LoginsUnavailable`."""
        return await self._run(self._refusal_of, email.lower())

    async def mailboxes_of(self, address: str) -> list[str]:
        """The mailboxes that mail to this address is delivered to: its own, those that it is an
        alias of, else the catch-all's. Raises `LoginsUnavailable`."""
        return await self._run(self._mailboxes_of, address.lower())

    async def may_send_as(self, login: str, address: str) -> bool:
        """Whether a login may send as this address. Raises `LoginsUnavailable`."""
        return await self._run(lambda: login in self._select(SENDER_QUERY, address.lower()))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def _refusal_of(self, email: str) -> str:
        return next(iter(self._select(REFUSAL_QUERY, email)), "")

    def _mailboxes_of(self, address: str) -> list[str]:
        catch_all = f"@{address.rpartition('@')[2]}"
        return self._select(ALIAS_QUERY, address) or self._select(ALIAS_QUERY, catch_all)

    def _accepts(self, email: str, password: bytes) -> bool:
        found = self._select(PASSWORD_QUERY, email)
        if not found:
            return False
        stored = found[0]
        # A removed or changed password is gone from the view, so what agreed once may be
        # remembered by the stored value: the pair can only ever agree again.
        pair = (stored, hmac.digest(self._key, password, "sha256"))
        if pair in self._agreed:
            return True
        if not agrees(stored, password):
            return False
        if len(self._agreed) >= REMEMBERED:
            self._agreed.clear()
        self._agreed.add(pair)
        return True


def agrees(stored: str, password: bytes) -> bool:
    """Whether a password is the one behind a stored value with its Dovecot scheme prefix.

    https://doc.dovecot.org/2.3/configuration_manual/authentication/password_schemes/
    Raises `LoginsUnavailable` for a value that cannot be read.
    """
    scheme, _, value = stored.partition("}")
    try:
        match scheme:
            case "{BLF-CRYPT":
                return bcrypt.checkpw(password[:BCRYPT_LENGTH], value.encode())
            case "{SSHA512":
                decoded = base64.b64decode(value, validate=True)
                digest, salt = decoded[:64], decoded[64:]
                return hmac.compare_digest(digest, hashlib.sha512(password + salt).digest())
    except (ValueError, binascii.Error) as error:
        raise LoginsUnavailable("a stored password is damaged") from error
    raise LoginsUnavailable("a stored password has an unknown scheme")


def _sqlite(url: str) -> Select | None:
    """How to ask a SQLite file, if the address is one: read-only, one connection per thread."""
    if not url.startswith(SQLITE_SCHEME):
        return None
    path = Path(unquote(url.removeprefix(SQLITE_SCHEME)))
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    threads = threading.local()

    def connection() -> sqlite3.Connection:
        """This thread's connection, a new one when the file was replaced."""
        file = path.stat()
        if getattr(threads, "file", None) != (file.st_dev, file.st_ino):
            threads.connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT)
            threads.file = (file.st_dev, file.st_ino)
        opened: sqlite3.Connection = threads.connection
        return opened

    def select(query: str, value: str) -> list[str]:
        try:
            rows = connection().execute(query, (value,)).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise LoginsUnavailable(str(error)) from error
        return [str(row[0]) for row in rows]

    return select


def _postgresql(url: str) -> Select:
    """How to ask PostgreSQL: one connection per thread, replaced when it broke."""
    import psycopg  # a quarter of a second that a sandbox on SQLite does not wait

    threads = threading.local()

    def select(query: str, value: str) -> list[str]:
        for fresh in (False, True):
            try:
                connection: psycopg.Connection | None = getattr(threads, "connection", None)
                if fresh and connection is not None:
                    connection.close()
                if fresh or connection is None or connection.closed:
                    connection = psycopg.connect(url, autocommit=True, connect_timeout=3)
                    threads.connection = connection
                rows = connection.execute(query.replace("?", "%s"), (value,)).fetchall()
            except psycopg.OperationalError as error:
                if fresh:
                    raise LoginsUnavailable(str(error)) from error
            except psycopg.Error as error:
                raise LoginsUnavailable(str(error)) from error
            else:
                return [str(row[0]) for row in rows]
        raise LoginsUnavailable("no answer")

    return select
