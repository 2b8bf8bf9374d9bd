"""`make test`: every check, in the order in which a mistake shows soonest.

`make test-quick` leaves out what needs a server or a process, and every page with every input;
`make test FILES="tests/a tests/b"` runs only these, on both databases.

Debian packages that a group needs are installed where that is allowed (root or sudo without a
password). A group that cannot run is named loudly at the end; with CI=true it fails the run.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests import powerdns
from tests.placing import NEVER_ON_POSTGRESQL
from tests.postgresql import PrivatePostgreSQL, binaries

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
CI = os.environ.get("CI") == "true"


@dataclass(frozen=True)
class Need:
    """A Debian package, how to see that it is there, and the groups of tests that need it.

    `because` stands for what no package mends.
    """

    package: str
    is_there: Callable[[], bool]
    group: str
    because: str = ""


NEEDS = (
    Need("chromium", lambda: shutil.which("chromium") is not None, "browser"),
    Need("postgresql", lambda: binaries() is not None, "postgresql"),
    Need("pgbouncer", Path("/usr/sbin/pgbouncer").exists, "pgbouncer"),
    Need("pdns-server", powerdns.PROGRAM.exists, "PowerDNS"),
    Need("pdns-backend-sqlite3", powerdns.SCHEMA.exists, "PowerDNS"),
    Need("dovecot-core", Path("/usr/sbin/dovecot").exists, "mail server"),
    Need("dovecot-imapd", Path("/usr/lib/dovecot/imap").exists, "mail server"),
    Need("dovecot-lmtpd", Path("/usr/lib/dovecot/lmtp").exists, "mail server"),
    Need(
        "dovecot-pgsql",
        Path("/usr/lib/dovecot/modules/auth/libdriver_pgsql.so").exists,
        "mail server",
    ),
    Need("postfix", Path("/usr/lib/postfix/sbin/master").exists, "mail server"),
    Need("postfix-pgsql", Path("/usr/lib/postfix/postfix-pgsql.so").exists, "mail server"),
    Need(
        "dovecot-sieve",
        Path("/usr/lib/dovecot/modules/lib90_sieve_plugin.so").exists,
        "mail server",
    ),
    Need("dovecot-managesieved", Path("/usr/lib/dovecot/managesieve").exists, "mail server"),
    Need("rspamd", Path("/usr/bin/rspamd").exists, "mail server"),
    Need("curl", lambda: shutil.which("curl") is not None, "mail server"),
    Need("", lambda: binaries() is not None, "mail server", "it needs PostgreSQL"),
    Need("", lambda: os.getuid() == 0, "mail server", "Postfix needs root"),
    Need("swaks", lambda: shutil.which("swaks") is not None, "mail clients"),
    Need("libnet-ssleay-perl", lambda: _perl_has("Net::SSLeay"), "mail clients"),
    Need("bind9-dnsutils", lambda: shutil.which("dig") is not None, "dig"),
)

# The groups whose tests are left out by their marker; the others fail by themselves.
MARKERS = {
    "browser": "browser",
    "postgresql": "postgresql",
    "PowerDNS": "powerdns",
    "pgbouncer": "pgbouncer",
    "mail server": "mailserver",
}


# What `make test-quick` leaves out besides.
NOT_QUICK = (*MARKERS.values(), "servers", "matrix")
# A file's tests stay on one worker, those marked `matrix` are spread: see tests/placing.py.
PARALLEL = ("-n", str(os.cpu_count() or 1), "--dist", "loadgroup", "--no-loadscope-reorder")
SLOWEST = 20
NO_TESTS_CHOSEN = 5  # pytest's exit status


def main(arguments: Sequence[str]) -> int:
    """Run all checks, or with arguments fewer of them; the number of checks that failed."""
    parser = argparse.ArgumentParser(prog="scripts/test")
    parser.add_argument("--quick", action="store_true", help="what needs no server, on SQLite")
    parser.add_argument("files", nargs="*", help="only these tests, on both databases")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        return quick_checks()
    return checks_of(chosen.files) if chosen.files else all_checks()


def all_checks() -> int:
    """`make test`."""
    checks = Checks(missing=install_what_is_missing())
    checks.lint()
    checks.run("migrations", "python", "manage.py", "makemigrations", "--check", "--dry-run",
               DJANGO_SETTINGS_MODULE="tests.settings")  # fmt: skip
    with checks.types(), ThreadPoolExecutor(1) as beside:
        # At the same time: while a test of one waits for a server, one of the other works.
        never = [f"--ignore=tests/{path}" for path in NEVER_ON_POSTGRESQL]
        on_postgresql = beside.submit(checks.suite_on_postgresql, *PARALLEL, *never)
        checks.suite_on_sqlite(*PARALLEL)
        on_postgresql.result()
    return checks.finish()


def quick_checks() -> int:
    """`make test-quick`."""
    checks = Checks()
    checks.lint()
    with checks.types():
        checks.suite("SQLite", ["on_sqlite", *(f"not {mark}" for mark in NOT_QUICK)], *PARALLEL)
    return checks.finish()


def checks_of(files: Sequence[str]) -> int:
    """`make test FILES=...`."""
    checks = Checks(missing=install_what_is_missing(), may_be_empty=True)
    checks.suite_on_sqlite(*files)
    checks.suite_on_postgresql(*files)
    return checks.finish()


class Checks:
    """Runs checks, and keeps what failed and how long each test took.

    `may_be_empty`: a database for which no test is chosen is fine, as long as another has some.
    """

    def __init__(self, *, missing: Sequence[Need] = (), may_be_empty: bool = False) -> None:
        self._may_be_empty = may_be_empty
        self._has_chosen = False
        self._missing = missing
        self._started = time.monotonic()
        self._failed: list[str] = []
        self._seconds: list[tuple[float, str]] = []

    def run(self, name: str, *command: str, **environment: str) -> None:
        """Run a check to its end; one in another thread says what it said when it has ended."""
        begun = time.monotonic()
        with tempfile.TemporaryFile() as said:
            is_beside = threading.current_thread() is not threading.main_thread()
            if not is_beside:
                print(f"\n=== {name}", flush=True)
            done = subprocess.run(
                _in_full(command),
                cwd=ROOT,
                env=_environment(**environment),
                stdout=said if is_beside else None,
                stderr=subprocess.STDOUT if is_beside else None,
                check=False,
            )
            if is_beside:
                said.seek(0)
                print(f"\n=== {name}\n{said.read().decode(errors='replace').rstrip()}", flush=True)
        self._note(name, done.returncode, begun)

    def lint(self) -> None:
        """What takes seconds."""
        self.run("lint", "ruff", "check", ".")
        self.run("format", "ruff", "format", "--check", ".")
        self.run("imports", "lint-imports")

    @contextmanager
    def types(self) -> Iterator[None]:
        """Check the types beside the block: without its cache, that takes two minutes."""
        begun = time.monotonic()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                ["nice", *_in_full(("mypy", "."))],
                cwd=ROOT,
                env=_environment(),
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            try:
                yield
                process.wait()
            finally:
                process.kill()
                process.wait()
            said.seek(0)
            print(f"\n=== types\n{said.read().decode().rstrip()}", flush=True)
        self._note("types", process.returncode, begun)

    def suite_on_sqlite(self, *arguments: str) -> None:
        """What `tests/placing.py` has on SQLite: most tests."""
        self.suite("SQLite", ["on_sqlite", *self._left_out()], *arguments)

    def suite_on_postgresql(self, *arguments: str) -> None:
        """What `tests/placing.py` has on PostgreSQL: what may differ there."""
        if binaries() is None:
            return
        chosen = ["on_postgresql", *self._left_out()]
        with PrivatePostgreSQL() as server:
            self.suite("PostgreSQL", chosen, *arguments, DATABASE_URL=server.url)

    def suite(
        self, database: str, chosen: Sequence[str], *arguments: str, **environment: str
    ) -> None:
        """Run the tests that all these marker expressions choose."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            self.run(f"suite on {database}", "python", "-m", "pytest", "-m", " and ".join(chosen),
                     f"--junitxml={report}", *arguments, **environment)  # fmt: skip
            if report.exists():
                self._seconds += _seconds_in(report, database)

    def finish(self) -> int:
        """Print what was slow, what did not run and what failed; how many failed."""
        print(f"\nThe {SLOWEST} slowest tests:")
        for seconds, name in sorted(self._seconds, reverse=True)[:SLOWEST]:
            print(f"{seconds:7.1f} s  {name}")
        print(f"\n=== {time.monotonic() - self._started:.0f} s in all")
        for need in self._missing:
            why = need.because or f"{need.package} is not installed"
            print(f"!!! NOT RUN: {need.group}, because {why}.")
            if CI:
                self._failed.append(need.group)
        if self._may_be_empty and not self._has_chosen:
            print(
                "No test was run: check the paths in FILES, and what is said above to be missing."
            )
            self._failed.append("no test")
        print("FAILED: " + ", ".join(self._failed) if self._failed else "All checks passed.")
        return len(self._failed)

    def _left_out(self) -> list[str]:
        """Marker expressions for the groups that cannot run here."""
        groups = dict.fromkeys(need.group for need in self._missing if need.group in MARKERS)
        return [f"not {MARKERS[group]}" for group in groups]

    def _note(self, name: str, status: int, begun: float) -> None:
        print(f"--- {name}: {time.monotonic() - begun:.0f} s", flush=True)
        self._has_chosen = self._has_chosen or status != NO_TESTS_CHOSEN
        if status and not (self._may_be_empty and status == NO_TESTS_CHOSEN):
            self._failed.append(name)


def _in_full(command: Sequence[str]) -> list[str]:
    return [str(BIN / command[0]), *command[1:]]


def _environment(**changes: str) -> dict[str, str]:
    """Ours, with the database that a check names and no other.

    Compiled modules are kept: tests start hundreds of processes, which would compile all anew.
    """
    left_out = {"DATABASE_URL", "PYTHONDONTWRITEBYTECODE"}
    return {k: v for k, v in os.environ.items() if k not in left_out} | changes


def _seconds_in(report: Path, database: str) -> list[tuple[float, str]]:
    """How long each test of a JUnit report took, with its fixtures."""
    return [
        (float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')} on {database}")
        for case in ElementTree.parse(report).iter("testcase")  # noqa: S314  (we wrote it)
    ]


def install_what_is_missing() -> list[Need]:
    """Install packages where we may; what is still missing."""
    missing = [need for need in NEEDS if not need.is_there()]
    packages = sorted({need.package for need in missing if need.package})
    if not packages or shutil.which("apt-get") is None:
        return missing
    prefix: list[str] = []
    if os.getuid() != 0:
        if shutil.which("sudo") is None:
            return missing
        probe = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        if probe.returncode:
            return missing
        prefix = ["sudo", "-n"]
    print(f"Installing {', '.join(packages)}.", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            [*prefix, "apt-get", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stderr, file=sys.stderr)
    return [need for need in NEEDS if not need.is_there()]


def _perl_has(module: str) -> bool:
    if shutil.which("perl") is None:
        return False
    command = ["perl", f"-M{module}", "-e1"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
