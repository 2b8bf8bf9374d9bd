"""A sandbox of its own for a test: started on free ports, driven through its control room."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import httpx

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "127.0.0.2"
NAMESERVERS = ("127.0.0.3", "127.0.0.4")
RESOLVERS = ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14")
OTHER_NAMESERVER = "127.0.0.6"
DNS_ADDRESSES = (REGISTRY, *NAMESERVERS, OTHER_NAMESERVER, *RESOLVERS)


_BLOCK = 10
# Names that this process holds for its blocks of ports, until it ends.
_reserved: list[socket.socket] = []


def find_free_port_block(n: int = 6) -> int:
    """The first of `n` consecutive ports that are free, for TCP and for DNS over UDP.

    The block is this process's until it ends, also while nothing listens there yet: no other test
    process of this machine is given it.
    """
    first = 20_000 + os.getpid() % 100 * 100
    starts: tuple[int, ...] = (*range(first, 32_000, _BLOCK), *range(20_000, first, _BLOCK))
    for start in starts:
        names = range(start, start + n, _BLOCK)
        if all(map(_reserve, names)) and all(_is_free(start + step) for step in range(n)):
            return start
    raise RuntimeError("no free ports")


def _reserve(start: int) -> bool:
    """Hold a name for a block; the kernel forgets it when the process ends (unix(7), abstract)."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0mpanel-test-ports-{start}")
    except OSError:
        name.close()
        return False
    _reserved.append(name)
    return True


def _is_free(port: int) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            for address in ("127.0.0.1", *DNS_ADDRESSES):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
                    if kind == socket.SOCK_STREAM:
                        # As servers do: connections that just ended do not count.
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, port))
        except OSError:
            return False
    return True


class RunningSandbox:
    """A sandbox in a process of its own; its state stays in `state_dir` between starts.

    Resolvers see changes at once and nothing is delegated or rate limited by itself, unless asked.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        database_url: str = "",
        auto_delegate: float = 0,
        resolver_delays: tuple[float, float, float, float] = (0, 0, 0, 0),
        rate_limit: int = 0,
        port: int | None = None,
    ) -> None:
        self.state_dir = state_dir
        self.port = port or find_free_port_block()
        self.database_url = database_url or f"sqlite:///{state_dir / 'nothing.sqlite3'}"
        self._options = [
            f"--auto-delegate={auto_delegate}",
            f"--resolver-delays={','.join(map(str, resolver_delays))}",
            f"--rate-limit={rate_limit}",
        ]
        self._process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(base_url=self.base_url, timeout=60, trust_env=False)

    # Process

    def start(self) -> "RunningSandbox":
        """Start, and come back when every part listens."""
        command = [
            sys.executable,
            "-m",
            "sandbox",
            f"--port={self.port}",
            f"--state-dir={self.state_dir}",
            f"--database-url={self.database_url}",
            *self._options,
        ]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("Sandbox:"):
            raise RuntimeError(f"the sandbox ended with {self._process.wait(120)}")
        return self

    def stop(self) -> int:
        """End it as an operator does (SIGTERM); answers its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a chance to tidy up (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        status = process.wait(timeout=120)
        if process.stdout:
            process.stdout.close()
        return status

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> "RunningSandbox":
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._http.close()

    # Addresses

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cloudflare_url(self) -> str:
        return f"{self.base_url}/client/v4"

    @property
    def namecheap_url(self) -> str:
        return f"{self.base_url}/xml.response"

    @property
    def dns_port(self) -> int:
        return self.port + 1

    @property
    def submission_port(self) -> int:
        return self.port + 2

    @property
    def system_mail_port(self) -> int:
        return self.port + 3

    @property
    def imaps_port(self) -> int:
        return self.port + 4

    @property
    def ca_file(self) -> Path:
        return self.state_dir / "ca.pem"

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which another process of mPanel uses this sandbox."""
        return {
            "SANDBOX": "1",
            "SANDBOX_PORT": str(self.port),
            "MAILSERVER_CA_FILE": str(self.ca_file),
        }

    # Control room

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the control room; raises `httpx.HTTPStatusError` for a refusal."""
        response = self._http.request(method, f"/control/{path}", json=body)
        response.raise_for_status()
        return response.json()

    def reset(self) -> None:
        self.control("POST", "reset")

    def mails(self, to: str = "") -> list[dict[str, Any]]:
        """Kept mail, newest first."""
        response = self._http.get("/control/mail", params={"to": to})
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()
        return found

    def set_nameservers(self, domain: str, nameservers: list[str] | None = None) -> None:
        """Delegate a domain; without names to those that its zone was assigned."""
        self.control("POST", "registrar", {"domain": domain, "nameservers": nameservers})

    def host_elsewhere(self, domain: str, zone_file: str, *, transfer: bool = False) -> None:
        """Have another DNS host serve a domain, and delegate it there."""
        self.control(
            "POST",
            "registrar/elsewhere",
            {"domain": domain, "zone_file": zone_file, "transfer": transfer},
        )

    def set_ds_records(self, domain: str, records: list[str]) -> None:
        """Give the registry the DS records of a domain; none takes them away."""
        self.control("POST", "registrar/ds", {"domain": domain, "records": records})

    def delegations(self) -> dict[str, list[str]]:
        """The nameservers of every registered domain."""
        return {row["domain"]: row["nameservers"] for row in self.control("GET", "registrar")}

    def set_mail_policy(self, address: str) -> None:
        """Whom submission asks before it takes a message: "host:port", "" for nobody."""
        self.control("POST", "mail-policy", {"address": address})

    def set_auto_delegate(self, seconds: float | None) -> None:
        self.control("POST", "auto-delegate", {"seconds": seconds})

    def namecheap(self, **settings: Any) -> dict[str, Any]:
        """What was bought and the balance, after setting `balance`, or `ending` and `price`."""
        method = "POST" if settings else "GET"
        shown: dict[str, Any] = self.control(method, "namecheap", settings or None)
        return shown

    def fault(self, service: str, kind: str, **fields: Any) -> dict[str, Any]:
        """Plan a failure; see `sandbox.faults.Fault` for the fields."""
        planned: dict[str, Any] = self.control(
            "POST", "faults", {"service": service, "kind": kind, **fields}
        )
        return planned

    def faults(self) -> list[dict[str, Any]]:
        planned: list[dict[str, Any]] = self.control("GET", "faults")
        return planned

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def set_server(self, address: str, state: str, delay: float = 2.0) -> None:
        """Put a DNS server into the state "up", "down", "servfail" or "slow"."""
        self.control("POST", "dns/servers", {"address": address, "state": state, "delay": delay})

    def set_resolver_delay(self, address: str, delay: float) -> None:
        self.control("POST", "dns/resolvers", {"address": address, "delay": delay})

    def records(self, zone: str, *, with_proof: bool = False) -> list[dict[str, Any]]:
        """The records of a zone as Cloudflare's API shows them, by default but for our proof."""
        response = self._http.get("/control/dns/records", params={"zone": zone})
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()
        proof = f"_mpanel.{zone}"
        return [record for record in found if with_proof or record["name"] != proof]

    def change_record(self, zone: str, action: str, **fields: Any) -> list[dict[str, Any]]:
        """ "add", "replace" or "delete" a record behind mPanel's back."""
        changed: list[dict[str, Any]] = self.control(
            "POST", "dns/records", {"zone": zone, "action": action, **fields}
        )
        return changed

    def request_count(
        self, service: str, method: str, path: str | None = None, status: int | None = None
    ) -> int:
        """How often something was asked, e.g. `("cloudflare", "POST", "/zones", 200)`.

        Ids in the path are written `{id}`; a path or status of `None` stands for any.
        """
        return sum(
            row["count"]
            for row in self.control("GET", "requests")["counts"]
            if (row["service"], row["method"]) == (service, method)
            and path in (None, row["path"])
            and status in (None, row["status"])
        )

    def forget_requests(self) -> None:
        self.control("DELETE", "requests")

    # DNS

    def ask(
        self, address: str, name: str, kind: str, *, tcp: bool = False, timeout: float = 2.0
    ) -> dns.message.Message:
        """One query to one of the servers."""
        query = dns.message.make_query(name, dns.rdatatype.from_text(kind), use_edns=0)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, address, port=self.dns_port, timeout=timeout)

    def texts(self, address: str, name: str, kind: str) -> list[str]:
        """The records in an answer as text, sorted; empty for a negative answer."""
        answer = self.ask(address, name, kind).answer
        return sorted(rdata.to_text() for rrset in answer for rdata in rrset)


def wait_until(condition: Any, *, seconds: float = 120.0) -> None:
    """Come back as soon as the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
