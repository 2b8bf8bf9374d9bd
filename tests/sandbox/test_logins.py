"""Stored passwords, and the views in PostgreSQL; those in SQLite are driven by `test_mail.py`."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from sandbox.logins import Logins, LoginsUnavailable, agrees
from tests.mailviews import STATEMENTS
from tests.postgresql import PrivatePostgreSQL

from .conftest import blf_crypt, ssha512


def test_schemes_of_dovecot():
    for stored in (blf_crypt("pässword"), ssha512("pässword"), ssha512("pässword", salt=b"")):
        assert agrees(stored, "pässword".encode())
        assert not agrees(stored, b"password")


@pytest.mark.parametrize("stored", ["", "x", "{MD5}x", "{BLF-CRYPT}x", "{SSHA512}ä"])
def test_unreadable_values_are_neither_right_nor_wrong(stored):
    with pytest.raises(LoginsUnavailable):
        agrees(stored, b"x")


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgreSQL]:
    with PrivatePostgreSQL() as running:
        yield running


@pytest.mark.postgresql
def test_views_in_postgresql(server):
    with closing(Logins(server.url)) as logins:

        def accepts(email: str, password: bytes) -> bool:
            return asyncio.run(logins.accepts(email, password))

        with pytest.raises(LoginsUnavailable):
            accepts("ada@example.test", b"right")
        with psycopg.connect(server.url, autocommit=True) as connection:
            for statement in STATEMENTS:
                connection.execute(statement)
            connection.execute(
                "INSERT INTO mail_login VALUES ('ada@example.test', %s)", [ssha512("right")]
            )
            connection.execute("INSERT INTO mail_recipient VALUES ('ada@example.test')")
        assert accepts("Ada@example.test", b"right")
        assert not accepts("ada@example.test", b"wrong")
        assert not accepts("bo@example.test", b"right")
        assert asyncio.run(logins.mailboxes_of("ADA@example.test")) == ["ada@example.test"]

        server.stop()
        with pytest.raises(LoginsUnavailable):
            accepts("ada@example.test", b"right")
        server.start()
        assert accepts("ada@example.test", b"right")
