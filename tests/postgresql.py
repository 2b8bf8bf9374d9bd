"""A private PostgreSQL server, for tests and benchmarks: free port, own folder, gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

SERVER_USER = "postgres"


def binaries() -> Path | None:
    """Where the newest installed server's programs are; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class PrivatePostgreSQL:
    """A server on loopback, run by a user who is not root; a context manager that removes it."""

    def __init__(self) -> None:
        programs = binaries()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed")
        self._programs = programs
        # Not pytest's folder, which the server's user could not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="mpanel-postgresql-"))
        self._folder.chmod(0o755)
        self._data = self._folder / "data"
        self._data.mkdir()
        if os.getuid() == 0:
            shutil.chown(self._data, SERVER_USER)
        self._run("initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C",
                  f"--username={SERVER_USER}")  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgres://{SERVER_USER}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start, and come back when it answers."""
        options = (
            f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
            "-c fsync=off -c max_connections=200"
        )
        self._run("pg_ctl", "--wait", f"--log={self._data}/log", f"--options={options}", "start")

    def stop(self) -> None:
        """Stop at once; connections are cut."""
        self._run("pg_ctl", "--wait", "--mode=fast", "stop")

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        server = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in (server, *map(int, children)):
            os.kill(process, number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), f"--pgdata={self._data}", *arguments],
            user=SERVER_USER if os.getuid() == 0 else None,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
        )
