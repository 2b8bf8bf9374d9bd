"""Every process behind a real pgbouncer in transaction mode, which hands connections around."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from django.db import connection

from deliverability.models import SendingDay
from domains.models import Domain
from mailboxes.services import place_domain
from provisioning.models import Job
from tests.cast import Person
from tests.deliverability.test_policy import sent
from tests.pgbouncer import PrivatePgbouncer
from tests.policy import Postfix
from tests.processes import ROOT, Process, eventually, suite_environment, working
from tests.sandboxes import RunningSandbox, find_free_port_block
from tests.wizard.rows import estate

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.pgbouncer,
    pytest.mark.skipif(
        not os.environ.get("DATABASE_URL", "").startswith("postgres"),
        reason="pgbouncer stands before PostgreSQL: the pass with DATABASE_URL runs this",
    ),
]
SETTINGS = ("synchronous_commit", "statement_timeout", "lock_timeout", "timezone")


@pytest.fixture
def pooler() -> Iterator[PrivatePgbouncer]:
    connection.close()
    with PrivatePgbouncer() as running:
        yield running


@contextlib.contextmanager
def web(**environment: object) -> Iterator[httpx.Client]:
    port = find_free_port_block(1)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "mpanel.wsgi", f"--bind=127.0.0.1:{port}"),
            *("--workers=1", "--log-level=error"),
        ],
        cwd=ROOT,
        env=suite_environment(**environment),
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60)
    try:
        eventually(lambda: _is_well(client), seconds=90)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(60)


def _is_well(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_domain_is_connected_with_every_process_behind_a_pooler(
    ada: Person, sandbox: RunningSandbox, pooler: PrivatePgbouncer
) -> None:
    bearer = {"Authorization": f"Bearer {ada.token}"}
    behind = {"DATABASE_URL": pooler.url, "DATABASE_POOLED": "yes"}
    with working(**behind), web(**behind) as client:
        made = client.post(
            "/api/v1/domains/connect",
            json={"domain": "example.test"},
            headers=bearer | {"Idempotency-Key": "one"},
        )
        assert made.status_code in {200, 201, 202}, made.text
        eventually(lambda: Domain.objects.get().status == Domain.PENDING_NAMESERVERS, seconds=90)
        sandbox.set_nameservers("example.test")
        eventually(lambda: Domain.objects.get().verified_at, seconds=90)
        cookie = {"Cookie": f"mpanel_session={ada.client.cookies['mpanel_session'].value}"}
        exported = client.get("/settings/audit/csv/", headers=cookie)  # read through a cursor
        assert exported.status_code == 200, exported.text
        assert "example.test" in exported.text
    assert not Job.objects.filter(status="failed").exists()


def test_the_policy_leaves_no_setting_for_who_comes_next(
    ada: Person, pooler: PrivatePgbouncer
) -> None:
    theirs = estate(ada, "ada.test")
    place_domain(theirs.domain)
    box, port = theirs.mailboxes[0], find_free_port_block(1)
    behind = {"DATABASE_URL": pooler.url, "DATABASE_POOLED": "yes"}
    with Process("mailpolicy", MAILPOLICY_ADDRESS=f"127.0.0.1:{port}", **behind) as service:
        eventually(lambda: "Mail policy:" in service.output, seconds=60)
        with contextlib.ExitStack() as stack:
            url = pooler.url.replace("postgres://", "postgresql://")
            others = [
                stack.enter_context(psycopg.connect(url, autocommit=True, prepare_threshold=None))
                for _ in range(4)
            ]
            before = [_settings(one) for one in others]
            with Postfix(port) as smtpd:
                for _ in range(8):
                    assert smtpd.ask(box.address) == "DUNNO"
                    assert [_settings(one) for one in others] == before
    assert sent(box.pk) == 8
    assert SendingDay.objects.exists()


def _settings(opened: psycopg.Connection) -> list[str]:
    with opened.transaction():
        return [opened.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS]  # type: ignore[index]
