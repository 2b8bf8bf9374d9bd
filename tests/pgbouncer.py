"""A private pgbouncer in transaction mode before the suite's PostgreSQL, for tests."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from django.db import connection

from tests.postgresql import SERVER_USER
from tests.processes import eventually

PROGRAM = Path("/usr/sbin/pgbouncer")


class PrivatePgbouncer:
    """One server connection at a time for each of `size` clients' transactions; a context manager.

    With few connections, whatever one client leaves on one is met by the next.
    """

    def __init__(self, size: int = 2) -> None:
        database = connection.settings_dict
        self._folder = Path(tempfile.mkdtemp(prefix="mpanel-pgbouncer-"))
        self._folder.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        name = database["NAME"]
        self.url = f"postgres://{SERVER_USER}@127.0.0.1:{self._port}/{name}"
        where = f"host={database['HOST']} port={database['PORT']} user={database['USER']}"
        (self._folder / "users").write_text(f'"{SERVER_USER}" ""\n')
        (self._folder / "ini").write_text(
            f"[databases]\n{name} = {where}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self._port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {self._folder}/users\npool_mode = transaction\n"
            f"default_pool_size = {size}\nmax_client_conn = 200\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [PROGRAM, "-q", str(self._folder / "ini")],
            user=SERVER_USER if os.getuid() == 0 else None,
            cwd="/",
        )
        eventually(self._listens)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=5).close()
        except OSError:
            return False
        return True
