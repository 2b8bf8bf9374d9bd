"""`/api/health` while clients leave requests unfinished and others ask for the API's schema.

Floor: the same panel in the same run, quiet. One gunicorn process, set up by `gunicorn.conf.py`.

    python -m benchmarks.health [--rounds 5] [--requests 30] [--idle 200] [--askers 10]
"""

import argparse
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.ground import database, fresh_database, report  # first: it sets Django up

from django.conf import settings  # isort: skip
from tests.sandboxes import find_free_port_block  # isort: skip

UNFINISHED = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)


def main() -> None:
    """Print the slowest answer of each round, beside that of a quiet round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--idle", type=int, default=200)
    parser.add_argument("--askers", type=int, default=10)
    chosen = parser.parse_args()
    quiet: list[float] = []
    busy: list[float] = []
    with fresh_database(), gunicorn() as port:
        slowest(port, chosen.requests)
        for _ in range(chosen.rounds):
            quiet.append(slowest(port, chosen.requests))
            with idle_bodies(port, chosen.idle), schema_askers(port, chosen.askers):
                busy.append(slowest(port, chosen.requests))
    what = f"/api/health, slowest of {chosen.requests}, under {chosen.idle} idle bodies"
    report(f"{what} and {chosen.askers} askers of the schema", ours=busy, floor=quiet, unit="ms")


def slowest(port: int, requests: int) -> float:
    """Milliseconds of the slowest answer, each over a connection of its own."""
    took = []
    for _ in range(requests):
        begun = time.perf_counter()
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        line.request("GET", "/api/health")
        answer = line.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        line.close()
        took.append((time.perf_counter() - begun) * 1000)
    return max(took)


@contextmanager
def idle_bodies(port: int, number: int) -> Iterator[None]:
    """So many requests that are never finished."""
    with ExitStack() as stack:
        for _ in range(number):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.sendall(UNFINISHED)
        yield


@contextmanager
def schema_askers(port: int, number: int) -> Iterator[None]:
    """So many who ask for the schema over and over, each time by another query string."""
    over = threading.Event()

    def ask(mine: int) -> None:
        line, count = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
        while not over.is_set():
            count += 1
            line.request("GET", f"/api/schema/?format=json&{mine}-{count}")
            line.getresponse().read()
        line.close()

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def gunicorn() -> Iterator[int]:
    """One process of the panel; its port."""
    port = find_free_port_block()
    command = [sys.executable, "-m", "gunicorn", "mpanel.wsgi", f"--bind=127.0.0.1:{port}"]
    environment = {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "BENCHMARK_FOLDER": str(settings.FOLDER),
        "BENCHMARK_PORT": str(settings.SANDBOX_PORT),
        "API_PUBLIC_RATE": "1000000000",
    }
    server = subprocess.Popen(
        [*command, "--workers=1", "--log-level=error"], env=os.environ | environment
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                slowest(port, 1)
                break
            except OSError:
                assert time.monotonic() < deadline, "gunicorn does not start"
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=60)


if __name__ == "__main__":
    print(f"Health on {database()}", flush=True)
    main()
