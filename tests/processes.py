"""Real processes of mPanel for a test: worker and clock on the suite's database and sandbox."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0  # seconds; bounds a hang, not the machine


def suite_environment(**changes: object) -> dict[str, str]:
    """The environment under which another process is this suite's mPanel.

    `tests.settings` put keys, ports and short times into this process's environment; what is
    added is the test database. `changes` are further variables, e.g. `JOB_LEASE=2`.
    """
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mpanel.settings",
        "DATABASE_URL": test_database_url(),
        "PYTHONUNBUFFERED": "1",
        **{name: str(value) for name, value in changes.items()},
    }


def test_database_url() -> str:
    """The test database as `DATABASE_URL` names it."""
    database = connection.settings_dict
    name = str(database["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    user, password = (quote(str(database.get(key) or ""), safe="") for key in ("USER", "PASSWORD"))
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    host = quote(str(database.get("HOST") or ""), safe="")
    port = f":{database['PORT']}" if database.get("PORT") else ""
    return f"postgres://{login}{host}{port}/{quote(name, safe='')}"


test_database_url.__test__ = False  # type: ignore[attr-defined]  # no test, in spite of its name


class Process:
    """One `manage.py` command, run beside the test; its output is kept."""

    def __init__(self, *command: str, **environment: object) -> None:
        self.command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `close`)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.kill()
        if error[0] is not None:
            print(f"--- {' '.join(self.command)} said:\n{self.output}")  # pytest shows it
        self._log.close()

    def start(self) -> Self:
        """Start it; in a process group of its own, so that a kill meets nothing else."""
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", *self.command],
            cwd=ROOT,
            env=suite_environment(**self._environment),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """All it said so far."""
        # Not `seek`: the child writes at the same place of the same open file.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    @property
    def tree(self) -> list[int]:
        """Its process id and those of all that descend from it."""
        return [self.pid, *descendants(self.pid)] if self.is_running else []

    def terminate(self, *, within: float = 120.0) -> int:
        """End it as an operator does (SIGTERM); its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(within)

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself; its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL for it and all that descend from it, at once; none can tidy up."""
        if self._process is None:
            return
        kill_all(self.tree)
        self._process.wait()


class Worker(Process):
    """`manage.py worker`: the watchdog, and below it the clusters that do the work.

    `queues`: only these.
    """

    def __init__(self, *queues: str, **environment: object) -> None:
        super().__init__("worker", *(f"--queue={queue}" for queue in queues), **environment)

    @property
    def cluster(self) -> list[int]:
        """The processes that work, without the watchdog."""
        return descendants(self.pid) if self.is_running else []

    def kill_cluster(self) -> None:
        """SIGKILL for every process that works; the watchdog starts them again."""
        kill_all(self.cluster)


class Clock(Process):
    """`manage.py tick`."""

    def __init__(self, **environment: object) -> None:
        super().__init__("tick", **environment)


@contextlib.contextmanager
def working(**environment: object) -> Iterator[Worker]:
    """A worker and a clock, until the end of the block."""
    with Worker(**environment) as worker, Clock(**environment):
        yield worker


def descendants(pid: int) -> list[int]:
    """The processes below this one, children before grandchildren."""
    found: list[int] = []
    for child in filter(is_alive, _children(pid)):
        found += [child, *descendants(child)]
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return children


def kill_all(pids: list[int]) -> None:
    """SIGKILL for each of these processes, stopped first so that none sees another die."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def is_idle(pids: list[int], *, seconds: float = 0.5) -> bool:
    """Whether these processes used no processor time for so long: they wait for something."""

    def used() -> list[str]:
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return [field for stat in stats for field in stat[11:13]]

    before = used()
    time.sleep(seconds)
    return used() == before


def eventually[T](
    look: Callable[[], T], *, seconds: float = PATIENCE, why: Callable[[], str] | None = None
) -> T:
    """What `look` finds, as soon as it is something; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail("it did not come true in time\n" + (why() if why else ""))
        time.sleep(0.02)
    return found


def at_once[T](*functions: Callable[[], T]) -> list[T | Exception]:
    """Run all of these at the same moment, each in a thread with a database connection of its own.

    What each returned or raised, in order.
    """
    gate = threading.Barrier(len(functions))

    def run(function: Callable[[], T]) -> T | Exception:
        gate.wait(10)
        try:
            return function()
        except Exception as error:  # noqa: BLE001  (the caller looks at it)
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))
