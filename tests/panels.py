"""All of mPanel as `make run` starts it, for tests that look from outside."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.sandboxes import ROOT, RunningSandbox, find_free_port_block

PARTS = 7  # ports: the pages, the sandbox's five, the mail policy
PATIENCE = 600  # seconds to start; bounds a hang, not the machine


class RunningPanel:
    """`manage.py run` with its own state; a context manager that ends it as Ctrl-C does."""

    def __init__(self, state: Path) -> None:
        self.port = find_free_port_block(PARTS)
        self.url = f"http://localhost:{self.port}"
        self.state = state
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DJANGO_", "MAILBOX_", "SANDBOX", "DATABASE"))
            and name not in {"SECRET_KEY", "ENCRYPTION_KEYS", "JOB_LEASE", "VENDOR_TIMEOUT"}
        }
        self.environment = {
            **inherited,
            "MPANEL_VAR_DIR": str(state),
            "MAILBOX_BCRYPT_COST": "5",
            "PROPAGATION_INTERVAL": "2",
            "DNS_WATCH_INTERVAL": "2",
            "NAMESERVER_INTERVAL": "1",
            "TICK_INTERVAL": "0.5",
            "CONFIRMATION_LASTS": "86400",  # one browser goes through all tests
        }
        self._process: subprocess.Popen[str] | None = None
        # Never started: it only speaks to the one that runs.
        self.sandbox = RunningSandbox(state / "sandbox", port=self.port + 1)

    def start(self) -> str:
        """Start, and come back with the line it prints when all parts answer."""
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "run", f"--port={self.port}"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line.startswith("mPanel runs at"):
            raise RuntimeError(line + self._process.stdout.read())
        for address in ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14"):
            self.sandbox.set_resolver_delay(address, 0.5)
        return line

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(signal.SIGINT)
        status = process.wait(120)
        if process.stdout:
            process.stdout.close()
        return status

    def __enter__(self) -> "RunningPanel":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def manage(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command beside it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `manage.py` command beside it, as a terminal does: Ctrl-C reaches it.

        A suite that runs in the background ignores SIGINT, and its children would inherit that.
        """
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
