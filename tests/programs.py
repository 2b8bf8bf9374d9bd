"""Programs that tests run and servers that they watch: by process ids, ports and sockets."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.processes import PATIENCE, descendants, is_alive, kill_all


def run(*command: str, ok: tuple[int, ...] = (0,)) -> str:
    """A program's standard output; fails the test where the program ends otherwise."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode in ok, f"{command} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def end(pid: int, started: subprocess.Popen[bytes]) -> None:
    """Have a server end with all its children (SIGTERM), and if need be without its doing."""
    family = [started.pid, *descendants(started.pid)]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, family)) and time.monotonic() < deadline:
        started.poll()
        time.sleep(0.02)
    kill_all(list(filter(is_alive, family)))
    started.wait(PATIENCE)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(path: Path) -> bool:
    """Whether somebody listens on a socket in the file system."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
