"""All of mPanel in processes of its own, as `manage.py run` starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.sandboxes import RESOLVERS, ROOT, find_free_port_block

# What the suite's own settings put into the environment is not for this one.
SWIFT = {
    "DJANGO_SETTINGS_MODULE": "mpanel.settings",
    "MAILBOX_BCRYPT_COST": "4",
    "DNS_TIMEOUT": "0.5",
    "NAMESERVER_INTERVAL": "1",
    "PROPAGATION_INTERVAL": "1",
    "DNS_WATCH_INTERVAL": "1",
    "TICK_INTERVAL": "0.3",
    "CODES_PER_NETWORK": "1000",  # everybody signs in from here
    "LOOKUP_TIMEOUT": "60",  # a busy machine's sandbox takes its time
}
INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH")


@dataclass(frozen=True)
class Stack:
    """Where it is, and its sandbox's control room."""

    port: int
    process: subprocess.Popen[str]
    line: str

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the sandbox's control room."""
        answer = httpx.request(
            method, f"http://127.0.0.1:{self.port + 1}/control/{path}", json=body, trust_env=False
        )
        answer.raise_for_status()
        return answer.json()

    def calm_internet(self) -> None:
        """Delegate at once, and let every resolver see changes at once."""
        self.control("POST", "auto-delegate", {"seconds": 0})
        for address in RESOLVERS:
            self.control("POST", "dns/resolvers", {"address": address, "delay": 0})

    def code_for(self, email: str, *, known: int = 0) -> str:
        """The newest one-time code that was sent to an address after `known` mails."""
        return self.text_for(email, r"\b(\d{6})\b", known=known)

    def text_for(self, email: str, pattern: str, *, known: int = 0) -> str:
        """What the pattern's group finds in the newest of more than `known` mails to an address."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            mails = self.control("GET", f"mail?to={email}")
            if len(mails) > known and (found := re.search(pattern, mails[0]["text"])):
                return found[1]
            time.sleep(0.1)
        raise AssertionError(f"nothing like {pattern} came for {email}")

    def mail_count(self, email: str) -> int:
        return len(self.control("GET", f"mail?to={email}"))


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Start everything; afterwards stop it as Ctrl-C does and see that nothing is left."""
    port = find_free_port_block(6)
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run", f"--port={port}"],
        cwd=ROOT,
        env={**env, **SWIFT, "MPANEL_VAR_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        stack = Stack(port, process, process.stdout.readline())
        parts = children_of(process.pid)
        yield stack
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=600)
        rest = process.stdout.read()
        process.stdout.close()
    assert status == 0
    assert rest == ""
    assert len(parts) >= 4
    assert [pid for pid in parts if is_alive(pid)] == []


def children_of(pid: int) -> list[int]:
    """The processes below a process, all generations."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
