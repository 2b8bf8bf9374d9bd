"""A private PowerDNS server, for tests: free ports, own folder, gone afterwards."""

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.message
import dns.query
import dns.rdatatype
import httpx

from tests.sandboxes import find_free_port_block

PROGRAM = Path("/usr/sbin/pdns_server")
SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
# What the sandbox's DNS says about these names, so that they are found as nameservers are.
NAMESERVERS = ("ns1.powerdns-sandbox.test", "ns2.powerdns-sandbox.test")
ADDRESS = "127.0.0.5"
KEY = "secret-of-powerdns"


def is_installed() -> bool:
    """Whether Debian's pdns-server and pdns-backend-sqlite3 are there."""
    return PROGRAM.exists() and SCHEMA.exists()


class PrivatePowerDNS:
    """An authoritative server with its HTTP API, on loopback; a context manager that removes it.

    It answers DNS on `ADDRESS` and `dns_port`: where the sandbox says that `NAMESERVERS` are, if
    that is the sandbox's DNS port.
    """

    def __init__(self, *, dns_port: int | None = None) -> None:
        if not is_installed():
            raise RuntimeError("PowerDNS is not installed")
        block = find_free_port_block(2)
        self.dns_port = dns_port or block
        self._http_port = block + 1
        self.url = f"http://127.0.0.1:{self._http_port}/api/v1/servers/localhost"
        # Its socket's path must stay short, so this is not pytest's folder.
        self._folder = Path(tempfile.mkdtemp(prefix="mpanel-powerdns-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, and come back when it answers."""
        database = self._folder / "zones.sqlite3"
        if not database.exists():
            with sqlite3.connect(database) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(SCHEMA.read_text())
            connection.close()
        (self._folder / "pdns.conf").write_text(self._configuration(database))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), f"--config-dir={self._folder}"], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Stop it, by its process id; the zones stay until the context ends."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            process.wait(timeout=120)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing, as long as the context lasts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @property
    def credentials(self) -> dict[str, str]:
        """What a credential for this server holds."""
        return {"api_key": KEY, "nameservers": ", ".join(NAMESERVERS)}

    @property
    def settings(self) -> dict[str, str]:
        """Settings under which this is the server of the host, who includes it."""
        return {
            "POWERDNS_BASE_URL": self.url,
            "HOUSE_POWERDNS_KEY": KEY,
            "HOUSE_POWERDNS_NAMESERVERS": ", ".join(NAMESERVERS),
        }

    def log(self) -> str:
        """What the server wrote so far."""
        return (self._folder / "log").read_text()

    def reset(self) -> None:
        """Delete every zone."""
        for zone in self.request("GET", "/zones").json():
            self.request("DELETE", f"/zones/{zone['id']}")

    def request(self, method: str, path: str, body: object = None) -> httpx.Response:
        """A call of its API, behind mPanel's back. Raises `httpx.HTTPStatusError`."""
        headers = {"X-API-Key": KEY}
        answer = httpx.request(
            method, f"{self.url}{path}", json=body, headers=headers, trust_env=False
        )
        return answer.raise_for_status()

    def ask(self, name: str, kind: str, *, dnssec: bool = False) -> dns.message.Message:
        """One DNS query; over TCP, so that no answer is cut."""
        query = dns.message.make_query(name, dns.rdatatype.from_text(kind), want_dnssec=dnssec)
        return dns.query.tcp(query, ADDRESS, port=self.dns_port, timeout=2)

    def texts(self, name: str, kind: str) -> list[str]:
        """The records in an answer as text, sorted; empty for a negative answer."""
        answer = self.ask(name, kind).answer
        return sorted(rdata.to_text() for rrset in answer for rdata in rrset)

    def _answers(self) -> bool:
        try:
            self.request("GET", "")
        except httpx.HTTPError:
            return False
        return True

    def _configuration(self, database: Path) -> str:
        return f"""
daemon=no
guardian=no
setuid=
setgid=
socket-dir={self._folder}
local-address={ADDRESS}
local-port={self.dns_port}
reuseport=no
receiver-threads=1
distributor-threads=1
launch=gsqlite3
gsqlite3-database={database}
gsqlite3-pragma-synchronous=0
gsqlite3-dnssec=yes
api=yes
api-key={KEY}
webserver=yes
webserver-address=127.0.0.1
webserver-port={self._http_port}
webserver-allow-from=127.0.0.1/32
default-soa-content={NAMESERVERS[0]}. hostmaster.powerdns-sandbox.test. 0 10800 3600 604800 3600
security-poll-suffix=
disable-axfr=yes
loglevel=3
"""
