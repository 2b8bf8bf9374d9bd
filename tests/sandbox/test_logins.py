"""Stored passwords, and the views in PostgreSQL; those in SQLite are driven by `test_mail.py`."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from sandbox.logins import Logins, LoginsUnavailable, agrees

from .conftest import blf_crypt, ssha512

SERVER_USER = "postgres"


def test_schemes_of_dovecot():
    for stored in (blf_crypt("pässword"), ssha512("pässword"), ssha512("pässword", salt=b"")):
        assert agrees(stored, "pässword".encode())
        assert not agrees(stored, b"password")


@pytest.mark.parametrize("stored", ["", "x", "{MD5}x", "{BLF-CRYPT}x", "{SSHA512}ä"])
def test_unreadable_values_are_neither_right_nor_wrong(stored):
    with pytest.raises(LoginsUnavailable):
        agrees(stored, b"x")


class Server:
    """A private PostgreSQL server on a free port, run by a user who is not root."""

    def __init__(self, directory: Path) -> None:
        self._data = directory / "data"
        directory.chmod(0o755)
        self._data.mkdir()
        if os.getuid() == 0:
            shutil.chown(self._data, SERVER_USER)
        (binaries,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self._binaries = binaries
        self._run("initdb", "--auth=trust", "--no-sync", f"--username={SERVER_USER}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgres://{SERVER_USER}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._run("pg_ctl", "--wait", f"--log={self._data}/log", f"--options={options}", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--mode=fast", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), f"--pgdata={self._data}", *arguments]
        user = SERVER_USER if os.getuid() == 0 else None
        subprocess.run(
            command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is not installed")
    # Not pytest's directory, which its other user could not enter.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        server = Server(Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.mark.postgresql
def test_views_in_postgresql(server):
    with closing(Logins(server.url)) as logins:

        def accepts(email: str, password: bytes) -> bool:
            return asyncio.run(logins.accepts(email, password))

        with pytest.raises(LoginsUnavailable):
            accepts("ada@example.test", b"right")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE mail_login (email text, password text)")
            connection.execute("CREATE TABLE mail_recipient (email text)")
            connection.execute(
                "INSERT INTO mail_login VALUES ('ada@example.test', %s)", [ssha512("right")]
            )
            connection.execute("INSERT INTO mail_recipient VALUES ('ada@example.test')")
        assert accepts("Ada@example.test", b"right")
        assert not accepts("ada@example.test", b"wrong")
        assert not accepts("bo@example.test", b"right")
        assert asyncio.run(logins.is_recipient("ADA@example.test"))

        server.stop()
        with pytest.raises(LoginsUnavailable):
            accepts("ada@example.test", b"right")
        server.start()
        assert accepts("ada@example.test", b"right")
