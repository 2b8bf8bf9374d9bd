"""The JSON API over HTTP: a list of 500 inboxes and one inbox, under gunicorn.

Floor: a bare view with hand-written SQL in the same gunicorn process (benchmarks/bare.py), called
in turns with ours over the same kept connection. Runs on PostgreSQL only, as an installation does.

    python -m benchmarks.api [--rounds 5] [--requests 100]
"""

import argparse
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.ground import database, fresh_database, report  # first: it sets Django up

from django.conf import settings  # isort: skip
from django.db import connection  # isort: skip

from billing.models import Account  # isort: skip
from tenants.services import create_api_key  # isort: skip
from tests.cast import owner  # isort: skip
from tests.sandboxes import find_free_port_block  # isort: skip
from tests.wizard.rows import Estate, estate  # isort: skip

INBOXES = 500


def main() -> None:
    """Print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100)
    chosen = parser.parse_args()
    if connection.vendor != "postgresql":
        print("API: runs on PostgreSQL only; set DATABASE_URL, or use make bench.")
        return
    with fresh_database():
        person = owner("ada")
        Account.objects.create(tenant=person.tenant, plan="enterprise")
        theirs = estate(person, inboxes=INBOXES)
        key = create_api_key(person.actor, name="benchmark", scopes=["mailboxes:read"]).plain
        with gunicorn() as port:
            measure(port, key, theirs, rounds=chosen.rounds, requests=chosen.requests)


def measure(port: int, key: str, theirs: Estate, *, rounds: int, requests: int) -> None:
    """Take turns: so many requests to the floor, so many to us."""
    line = http.client.HTTPConnection("127.0.0.1", port)
    mailbox = theirs.mailboxes[0].pk
    for what, ours, bare, count in (
        (
            f"API, list of {INBOXES} inboxes",
            "/api/v1/infrastructure/inboxes",
            f"/bare/inboxes?{theirs.domain.tenant_id}",
            INBOXES,
        ),
        ("API, one inbox", f"/api/v1/email-accounts/{mailbox}", f"/bare/inbox?{mailbox}", 1),
    ):
        took: dict[str, list[float]] = {ours: [], bare: []}
        for path in (ours, bare):
            ask(line, path, key, times=20, count=count)
        for _ in range(rounds):
            for path in (bare, ours):
                seconds = ask(line, path, key, times=requests, count=count)
                took[path].append(seconds / requests * 1000)
        report(what, ours=took[ours], floor=took[bare], unit="ms")
    line.close()


def ask(line: http.client.HTTPConnection, path: str, key: str, *, times: int, count: int) -> float:
    """Seconds that so many requests took, one after the other."""
    begun = time.perf_counter()
    for _ in range(times):
        line.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = line.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:300]
        assert body.count(b"@") == count, f"{path}: {body[:200]!r}"
    return time.perf_counter() - begun


@contextmanager
def gunicorn() -> Iterator[int]:
    """One worker with four threads, as many processes as a fair comparison needs; its port."""
    port = find_free_port_block()
    command = [
        *(sys.executable, "-m", "gunicorn", "benchmarks.bare:application"),
        *(f"--bind=127.0.0.1:{port}", "--workers=1", "--threads=4", "--log-level=error"),
        *("--keep-alive=30",),
    ]
    environment = {
        "BENCHMARK_FOLDER": str(settings.FOLDER),
        "BENCHMARK_PORT": str(settings.SANDBOX_PORT),
        "API_PLAN_RATE_FACTOR": "1000",
        "API_ADDRESS_RATE": "1000000",
    }
    server = subprocess.Popen(command, env=os.environ | environment)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", port).connect()
                break
            except OSError:
                assert time.monotonic() < deadline, "gunicorn does not start"
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    print(f"API on {database()}", flush=True)
    main()
