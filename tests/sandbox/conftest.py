"""Sandboxes for the sandbox's own tests, and the two SQL views that its mail server reads."""

import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from cloudflare import Cloudflare

from tests.mailviews import STATEMENTS
from tests.sandboxes import RunningSandbox

DEMO_TOKEN = "sandbox-token"
BCRYPT_COST = 4  # the lowest there is; the tests are not about guessing


class MailDatabase:
    """The shape of mPanel's `mail_login` and `mail_recipient`, in a file that tests change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.execute("PRAGMA journal_mode = WAL")
        for statement in STATEMENTS:
            self.execute(statement)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def execute(self, sql: str, *values: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(sql, values)

    def add(self, email: str, stored: str) -> None:
        """A mailbox that logs in with the password behind `stored`."""
        self.execute("INSERT OR REPLACE INTO mail_login VALUES (?, ?)", email, stored)
        self.execute("INSERT OR REPLACE INTO mail_recipient VALUES (?)", email)


def blf_crypt(password: str) -> str:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST))
    return f"{{BLF-CRYPT}}{hashed.decode()}"


def ssha512(password: str, salt: bytes = b"salt") -> str:
    digest = hashlib.sha512(password.encode() + salt).digest()
    return f"{{SSHA512}}{base64.b64encode(digest + salt).decode()}"


@pytest.fixture(scope="session")
def mail_database(tmp_path_factory: pytest.TempPathFactory) -> MailDatabase:
    return MailDatabase(tmp_path_factory.mktemp("mail") / "mail.sqlite3")


@pytest.fixture(scope="session")
def running(
    tmp_path_factory: pytest.TempPathFactory, mail_database: MailDatabase
) -> Iterator[RunningSandbox]:
    sandbox = RunningSandbox(tmp_path_factory.mktemp("sandbox"), database_url=mail_database.url)
    with sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    """The shared sandbox, emptied."""
    running.reset()
    return running


@pytest.fixture
def mailboxes(mail_database: MailDatabase) -> MailDatabase:
    """Ada, with a hash that people use, and Bo, with one that is cheap to check."""
    mail_database.execute("DELETE FROM mail_login")
    mail_database.execute("DELETE FROM mail_recipient")
    mail_database.add("ada@example.test", blf_crypt("ada's password"))
    mail_database.add("bo@example.test", ssha512("bo's password"))
    return mail_database


@pytest.fixture
def cloudflare(sandbox: RunningSandbox) -> Any:
    return cloudflare_client(sandbox)


def cloudflare_client(sandbox: RunningSandbox, token: str = DEMO_TOKEN, timeout: float = 5) -> Any:
    """Cloudflare's own client; as `Any`, since its types let every answer be `None`."""
    client = Cloudflare(
        api_token=token, base_url=sandbox.cloudflare_url, timeout=timeout, max_retries=0
    )
    # A variable in the environment would otherwise replace the token.
    client.api_email = client.api_key = None
    return client


def account_id(client: Any) -> str:
    return str(next(iter(client.accounts.list())).id)


def make_zone(client: Any, name: str = "example.test") -> str:
    """A new zone's id."""
    zone = client.zones.create(account={"id": account_id(client)}, name=name, type="full")
    return str(zone.id)
