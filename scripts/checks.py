"""`make test`: every check, in the order in which a mistake shows soonest.

Debian packages that a group needs are installed where that is allowed (root or sudo without a
password). A group that cannot run is named loudly at the end; with CI=true it fails the run.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import powerdns
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


def main() -> int:
    """Run everything; the number of checks that failed."""
    started = time.monotonic()
    missing = install_what_is_missing()
    failed: list[str] = []

    def check(name: str, *command: str, **environment: str) -> None:
        print(f"\n=== {name}", flush=True)
        begun = time.monotonic()
        inherited = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=ROOT,
            env={**inherited, **environment},
            check=False,
        )
        print(f"--- {name}: {time.monotonic() - begun:.0f} s", flush=True)
        if done.returncode:
            failed.append(name)

    check("lint", "ruff", "check", ".")
    check("format", "ruff", "format", "--check", ".")
    check("types", "mypy", ".")
    check("imports", "lint-imports")
    check("migrations", "python", "manage.py", "makemigrations", "--check", "--dry-run",
          DJANGO_SETTINGS_MODULE="tests.settings")  # fmt: skip
    left_out = [f"not {MARKERS[need.group]}" for need in missing if need.group in MARKERS]
    # Dovecot and Postfix read PostgreSQL only.
    chosen = " and ".join(dict.fromkeys([*left_out, "not mailserver"]))
    parallel = ("-n", str(os.cpu_count() or 1), "--dist", "loadfile")
    suite = ("python", "-m", "pytest", *parallel)
    check("suite on SQLite", *suite, "-m", chosen)
    if binaries() is not None:
        with PrivatePostgreSQL() as server:
            on_both = " and ".join(dict.fromkeys(["not browser", "not postgresql", *left_out]))
            # Shapes of answers do not differ by database, and it takes a minute and a half.
            check("suite on PostgreSQL", *suite, "-m", on_both, *DATABASE_TESTS,
                  "--ignore=tests/contract/test_schemathesis.py",
                  DATABASE_URL=server.url)  # fmt: skip
    print(f"\n=== {time.monotonic() - started:.0f} s in all")
    for need in missing:
        why = need.because or f"{need.package} is not installed"
        print(f"!!! NOT RUN: {need.group}, because {why}.")
        if CI:
            failed.append(need.group)
    print("FAILED: " + ", ".join(failed) if failed else "All checks passed.")
    return len(failed)


# What touches a database; the rest has no second one to run on.
DATABASE_TESTS = tuple(
    f"tests/{room}"
    for room in (
        "admin",
        "billing",
        "contract",
        "crash",
        "domains",
        "dnszones",
        "events",
        "mailboxes",
        "mailserver",
        "provisioning",
        "tenants",
        "wizard",
    )
    if (ROOT / "tests" / room).exists()
)


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
    sys.exit(main())
