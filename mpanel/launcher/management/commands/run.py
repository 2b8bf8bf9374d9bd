"""`manage.py run`: all of mPanel on this machine, on SQLite and the sandbox, with a demo account.

Keys and ports go to `var/env`, which every other `manage.py` of this folder reads too.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from mpanel.core import queues
from mpanel.core.secrets import new_key
from mpanel.operations.processes import process_called
from provisioning.models import Heartbeat

PATIENCE = 600.0  # seconds until all parts must answer; one that ends stops the rest at once
GRACE = 12.0  # seconds that parts have to end
DEMO = "demo@example.test"


class Command(BaseCommand):
    """Starts web, worker, clock, mail policy and sandbox, and stops them all together."""

    help = "Run everything on this machine, on SQLite and the sandbox. Ctrl-C stops it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="of the web pages")

    def handle(self, *args: Any, **options: Any) -> None:
        port: int = options["port"]
        if not 1024 <= port <= 65000:
            raise CommandError("Choose a port between 1024 and 65000.")
        refuse_taken_ports(port)
        self.env = {**os.environ, **write_env(settings.VAR_DIR / "env", port)}
        self.logs = settings.VAR_DIR / "log"
        self.logs.mkdir(parents=True, exist_ok=True)
        settings.STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise warns of a folder that is missing
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.prepare()
        try:
            self.run_parts(port, stop)
        finally:
            self.stop_all()

    def run_parts(self, port: int, stop: threading.Event) -> None:
        """Start all parts, say where they are, and watch them until told to stop."""
        started = timezone.now()
        policy = f"--mail-policy=127.0.0.1:{port + 6}"
        self.spawn("sandbox", ("manage.py", "sandbox", policy))
        for name in ("mailpolicy", "worker", "tick"):
            self.spawn(name, process_called(name).command)
        self.start_web(port)
        deadline = time.monotonic() + PATIENCE
        while not stop.is_set() and not all_answer(port, since=started):
            self.fail_if_one_died()
            if time.monotonic() > deadline:
                raise CommandError(f"Not all parts answered in time. Their logs: {self.logs}")
            stop.wait(0.3)
        if not stop.is_set():
            self.stdout.write(
                f"mPanel runs at http://localhost:{port} (sign in as {DEMO}; its e-mail and the "
                f"sandbox: http://localhost:{port + 1}). Ctrl-C stops it."
            )
            self.stdout.flush()
        while not stop.wait(1.0):
            self.fail_if_one_died()

    def prepare(self) -> None:
        """Database, keys and demo account, in a process that reads the settings written above."""
        done = subprocess.run(
            [sys.executable, "manage.py", "prepare"],
            cwd=settings.BASE_DIR,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"manage.py prepare failed:\n{done.stderr or done.stdout}")

    def start_web(self, port: int) -> None:
        bind = [f"--bind=127.0.0.1:{port}", *([f"--bind=[::1]:{port}"] if has_ipv6() else [])]
        options = [*bind, "--workers=2", "--log-level=warning"]
        self.spawn("web", [*process_called("web").command, *options])

    def spawn(self, name: str, command: Sequence[str]) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.parts[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=settings.BASE_DIR,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def fail_if_one_died(self) -> None:
        for name, part in self.parts.items():
            if part.poll() is not None:
                tail = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                raise CommandError(f"The part “{name}” ended by itself:\n" + "\n".join(tail))

    def stop_all(self) -> None:
        for part in self.parts.values():
            with contextlib.suppress(ProcessLookupError):
                part.terminate()
        deadline = time.monotonic() + GRACE
        for part in self.parts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                part.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGKILL)
            part.wait()


def write_env(path: Path, port: int) -> dict[str, str]:
    """Keep the keys that are there, make those that are not, and set the ports."""
    known: dict[str, str] = {}
    if path.exists():
        lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
        known = {name: value for name, _, value in lines}
    values = {
        "SECRET_KEY": known.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": known.get("ENCRYPTION_KEYS") or new_key(),
        "SANDBOX": "yes",
        "SANDBOX_PORT": str(port + 1),
        "MAILPOLICY_ADDRESS": f"127.0.0.1:{port + 6}",
        "ONBOARD_ACCOUNT": DEMO,
        "SITE_URL": f"http://localhost:{port}",
        "BANNER_TEXT": "Sandbox: nothing leaves this machine. Its e-mail and controls are here.",
        "BANNER_URL": f"http://localhost:{port + 1}/",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return values


def refuse_taken_ports(port: int) -> None:
    """Raise `CommandError` for a port that another program holds."""
    for number in range(port, port + 7):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                raise CommandError(
                    f"Port {number} is taken. mPanel needs {port} to {port + 6}; choose another "
                    f"range with `make run PORT={port + 100}`."
                ) from None


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def all_answer(port: int, *, since: datetime) -> bool:
    """Whether web, sandbox, mail policy, workers and clock have shown that they work."""
    for url in (f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port + 1}/control/health"):
        try:
            with urllib.request.urlopen(url, timeout=3):  # noqa: S310  (our own address)
                pass
        except (urllib.error.URLError, OSError):
            return False
    try:
        socket.create_connection(("127.0.0.1", port + 6), timeout=3).close()
    except OSError:
        return False
    try:
        # The clock takes from no queue.
        beats = set(Heartbeat.objects.filter(seen_at__gte=since).values_list("queue", flat=True))
    except Error:
        return False
    return "" in beats and beats.issuperset(queues.ALL)
