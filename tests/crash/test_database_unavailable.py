"""The database is away, read-only or locked: 503 for who asks, and processes wait and go on."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import Error, connection, connections
from django.utils import timezone

from mpanel.core.database import is_unavailable
from provisioning.models import Heartbeat
from tests.api import Api
from tests.cast import Person
from tests.postgresql import PrivatePostgreSQL, binaries
from tests.processes import ROOT, Clock, Process, Worker, eventually, test_database_url

pytestmark = pytest.mark.django_db(transaction=True)

only_postgresql = pytest.mark.skipif(
    not os.environ.get("DATABASE_URL", "").startswith("postgres"),
    reason="only PostgreSQL has read-only standbys: the pass with DATABASE_URL runs this",
)
only_sqlite = pytest.mark.skipif(
    os.environ.get("DATABASE_URL", "").startswith("postgres"),
    reason="only SQLite has one lock for all writers",
)

AWAY = """
import django; django.setup()
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
client = Client(raise_request_exception=False, headers={"Host": "localhost"})
cookie = {"Cookie": "mpanel_session=" + "a" * 32}
bearer = {"Authorization": "Bearer mpk_" + "a" * 40}
for path, headers in (
    ("/api/health", {}), ("/api/v1/profile", bearer), ("/api/v1/domains", bearer),
    ("/api/status", bearer), ("/api/dns/zones", bearer), ("/api/none", {}),
    ("/overview/", cookie), ("/admin/", cookie),
    ("/mail/config-v1.1.xml?emailaddress=a@b.test", {}),
):
    answer = client.get(path, headers=headers)
    print(path, answer.status_code, answer.headers.get("Retry-After"), len(answer.content))
answer = client.post("/api/v1/auth/login", {}, content_type="application/json")
code = answer.json()["error"]["code"]
print("login", answer.status_code, answer.headers.get("Retry-After"), code)
"""


def test_while_the_database_is_away_everything_answers_503_with_retry_after() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", AWAY],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = [line.split() for line in ran.stdout.splitlines()]
    answers = {line[0]: line[1:3] for line in lines}
    # No row of the database is needed to say that an address of the API leads nowhere.
    assert answers.pop("/api/none")[0] == "404"
    assert set(map(tuple, answers.values())) == {("503", "5")}, ran.stdout
    assert lines[-1][3] == "UNAVAILABLE"
    assert "127.0.0.1" not in ran.stdout


HEALTH = """
import django; django.setup()
from django.test import Client
answer = Client(raise_request_exception=False, headers={"Host": "localhost"}).get("/api/health")
print(answer.status_code, answer.headers.get("Retry-After"))
"""


def test_a_database_that_takes_the_connection_and_never_answers_is_away() -> None:
    """As behind a firewall that drops packets. Who waits for an answer would wait for ever here."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as silent:
        url = f"postgres://nobody:x@127.0.0.1:{silent.getsockname()[1]}/none"
        with Clock(DATABASE_URL=url) as clock:
            ran = subprocess.run(
                [sys.executable, "-c", HEALTH],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": url},
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
            assert ran.stdout.split() == ["503", "5"]
            eventually(lambda: "cannot work now" in clock.output)
            assert clock.is_running


ASKED_AGAIN = """
import sys, django; django.setup()
from django.test import Client
client = Client(raise_request_exception=False, headers={"Host": "localhost"})
for line in sys.stdin:
    answer = client.get("/api/health")
    print(answer.status_code, answer.headers.get("Retry-After"), flush=True)
"""


@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed")
def test_a_database_that_freezes_with_an_open_connection_is_away_until_it_goes_on() -> None:
    with PrivatePostgreSQL() as server:
        asked = subprocess.Popen(
            [sys.executable, "-c", ASKED_AGAIN],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": server.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # What hangs is ended, and answers nothing.
        watchdog = threading.Timer(120, asked.kill)
        watchdog.start()

        def health() -> list[str]:
            assert asked.stdin and asked.stdout
            print("now", file=asked.stdin, flush=True)
            return asked.stdout.readline().split()

        try:
            assert health() == ["200", "None"]
            server.freeze()
            try:
                assert [health(), health()] == [["503", "5"]] * 2
            finally:
                server.thaw()
            assert health() == ["200", "None"]
            server.stop()
            server.start()  # what is open was cut, which is nothing to report
            assert health() == ["200", "None"]
        finally:
            watchdog.cancel()
            asked.kill()
            asked.wait()


@pytest.mark.parametrize("statement", ["SELECT * FROM no_such_table", "SELECT nonsense("])
def test_a_bug_in_a_statement_is_no_outage(statement: str) -> None:
    with pytest.raises(Error) as caught, connection.cursor() as cursor:
        cursor.execute(statement)
    assert not is_unavailable(caught.value)


# --- Read-only: a primary that was demoted -----------------------------------------------------


@contextmanager
def read_only() -> Iterator[None]:
    """As on a standby: no connection may write, neither new ones nor those that are open."""
    name = connection.settings_dict["NAME"]
    connection.close()
    url = test_database_url().replace("postgres://", "postgresql://")
    option = "-c default_transaction_read_only=off"
    with psycopg.connect(url, autocommit=True, options=option) as operator:
        operator.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        operator.execute(f"{others} WHERE datname = %s AND pid <> pg_backend_pid()", [name])
        try:
            yield
        finally:
            operator.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


@only_postgresql
def test_a_read_only_database_is_503_and_its_connection_is_not_kept(ada: Person) -> None:
    api, token = Api(), ada.token
    with read_only():
        health = api.get("/api/health")
        assert (health.status, health.error) == (503, "UNAVAILABLE")
        assert int(health.headers["Retry-After"]) > 0
        refused = Api(token).get("/api/v1/profile")  # counting a request is a write
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        page = ada.client.post("/sign-out/")
        assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
        assert b"is unavailable" in page.content
        toast = ada.client.post("/sign-out/", headers={"HX-Request": "true"})
        assert "toast" in toast.headers["HX-Trigger"]
        assert connections["default"].connection is None
    # The same process, on the server that is the primary now.
    assert api.get("/api/health").status == 200
    assert Api(token).get("/api/v1/profile").status == 200


@only_postgresql
def test_processes_wait_for_a_primary_and_go_on(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.touch()
    follow = Process("maillog", "--follow", f"--file={log}")
    with Worker() as worker, Clock() as clock, follow:
        eventually(lambda: beats_since(timezone.now()))
        with read_only():
            log.write_text("a line of Postfix that says nothing\n")
            for process in (worker, clock, follow):
                eventually(lambda: "cannot work now" in process.output)  # noqa: B023
            assert worker.is_running
            assert clock.is_running
            assert follow.is_running
        eventually(lambda: beats_since(timezone.now()))
        assert "hangs" not in worker.output
        assert follow.is_running
        assert clock.terminate() == 0


_asked: dict[str, datetime] = {}


def beats_since(now: datetime) -> bool:
    """Whether clock and worker have both beaten since this was first asked."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    since = _asked.setdefault(test, now)
    beats = set(Heartbeat.objects.filter(seen_at__gte=since).values_list("name", flat=True))
    if "clock" in beats and len(beats) > 1:
        del _asked[test]
        return True
    return False


@only_postgresql
def test_processes_that_start_without_a_database_wait_for_it(tmp_path: Path) -> None:
    away: dict[str, Any] = {"DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/none"}
    log = tmp_path / "mail.log"
    log.touch()
    follow = Process("maillog", "--follow", f"--file={log}", **away)
    with Worker(**away) as worker, Clock(**away) as clock, follow:
        for process in (worker, clock, follow):
            eventually(lambda: "cannot work now" in process.output)  # noqa: B023
            assert process.is_running
        assert clock.terminate() == 0


# --- Locked: SQLite's one writer is busy -------------------------------------------------------


@only_sqlite
def test_a_locked_database_is_503_and_never_500(ada: Person) -> None:
    token = ada.token
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")  # milliseconds
    path = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = Api(token).post("/api/v1/auth/session-token", key="once")
        assert (refused.error, refused.headers["Retry-After"]) == ("UNAVAILABLE", "5")
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
        page = ada.client.post("/sign-out/")
        assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert Api(token).post("/api/v1/auth/session-token", key="once").status == 200
