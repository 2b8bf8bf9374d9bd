"""A private Dovecot and Postfix for tests and benchmarks, configured by `mailserver configure`.

They read the mail views of this process's database, which must be PostgreSQL, listen on loopback at
free ports, and relay nothing. Postfix needs root.
"""

import contextlib
import io
import json
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from imaplib import IMAP4_SSL
from pathlib import Path
from typing import Any, Self

from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from mailboxes.models import Mailbox
from mailservers.purge import folder_of
from tests.certificates import make_certificates
from tests.mailclients import ImapFrom
from tests.processes import PATIENCE, eventually, is_alive
from tests.programs import answers, end, listens, run
from tests.sandboxes import find_free_port_block
from tests.spampatterns import kept_patterns

HOST = "localhost"
MAIL_USER = 5000
_NO_USER = 67  # sysexits.h: doveadm asked, and there is none


class PrivateMailServer:
    """Both servers in a folder of their own; a context manager that removes it."""

    message_size = 1_000_000  # the largest message, in bytes

    def __init__(self, *, slug: str = "house") -> None:
        if connection.vendor != "postgresql":
            raise RuntimeError("the mail server reads PostgreSQL only")
        self.slug = slug
        # Not pytest's folder, which the servers' users could not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="mpanel-mail-"))
        self.folder.chmod(0o755)
        self.vmail = self.folder / "vmail"
        self.log = self.folder / "log" / "postfix.log"
        first = find_free_port_block(13)
        self.smtp_port, self.submission_port, self.submissions_port = first, first + 1, first + 2
        self.imaps_port, self.admin_port = first + 3, first + 4
        self.policy_address, self.signer_address, self.next_hop, self.login_policy_address = (
            f"127.0.0.1:{first + step}" for step in (5, 6, 7, 8)
        )
        self.sieve_port, self.sieve_next_hop = first + 9, f"127.0.0.1:{first + 10}"
        self.authors_address = f"127.0.0.1:{first + 12}"
        self.failure_delay = 0  # seconds after a wrong password
        self.admin_key = "a-key-for-tests-of-sessions"
        self.role = f"mail_{connection.settings_dict['NAME']}"[:63]
        self.ca_file, self._certificate, self._key = make_certificates(self.folder)
        self._choices: dict[str, Any] = {}
        self._dovecot: subprocess.Popen[bytes] | None = None
        self._postfix: subprocess.Popen[bytes] | None = None
        self._rspamd: subprocess.Popen[bytes] | None = None

    # Settings

    @property
    def settings(self) -> dict[str, Any]:
        """Settings under which this is the house's mail server."""
        return {
            "MAILSERVER_HOST": HOST,
            "MAILSERVER_SUBMISSION_PORT": self.submission_port,
            "MAILSERVER_IMAPS_PORT": self.imaps_port,
            "MAILSERVER_CA_FILE": str(self.ca_file),
            "MAILSERVER_ADMIN_URL": f"http://127.0.0.1:{self.admin_port}",
            "MAILSERVER_ADMIN_KEY": self.admin_key,
            "MAILPOLICY_ADDRESS": self.policy_address,
            "LOGINPOLICY_ADDRESS": self.login_policy_address,
            "MAILSIGNER_ADDRESS": self.signer_address,
            "MAILSIGNER_NEXT_HOP": self.next_hop,
            "MAILSERVER_SIEVE_PORT": self.sieve_port,
            "MAILSIEVE_NEXT_HOP": self.sieve_next_hop,
            "MAILSIGNER_AUTHORS": self.authors_address,
            "MAIL_SIZE_LIMIT": self.message_size,
        }

    def make_role(self) -> None:
        """The role by which the servers read, as an operator makes it."""
        manage("role", f"--name={self.role}", "--password-stdin", given="a-password-of-the-tests")

    def configure(
        self,
        *,
        policy: bool = False,
        login_policy: bool = False,
        signer: bool = False,
        fails: str = "closed",
        spam: Sequence[str] = (),
        milters: Sequence[str] = (),
        postmaster: str = "",
    ) -> str:
        """Write the configuration, as an operator does; what the command said.

        `spam`: options that choose a spam filter, and how it works.
        """
        arguments = [
            f"--dir={self.folder}",
            f"--server={self.slug}",
            f"--certificate={self._certificate}",
            f"--private-key={self._key}",
            "--listen=127.0.0.1",
            f"--smtp-port={self.smtp_port}",
            f"--submissions-port={self.submissions_port}",
            f"--vmail={self.vmail}",
            f"--state={self.folder / 'state'}",
            f"--run={self.folder / 'run'}",
            f"--log={self.folder / 'log'}",
            f"--failure-delay={self.failure_delay}",
            "--login-processes=1",
            f"--role={self.role}",
            "--password-stdin",
            "--no-outside",
            *([] if policy else ["--no-policy"]),
            *([] if login_policy else ["--no-login-policy"]),
            *([] if signer else ["--no-signer"]),
            f"--postmaster={postmaster}",
            *spam,
        ]
        with override_settings(**self.settings, MAILPOLICY_FAILS=fails, MAIL_MILTERS=list(milters)):
            said = manage("configure", *arguments, given="a-password-of-the-tests")
        if spam:
            # Tests stand on loopback, where rspamd checks nobody: they say who they are.
            postfix = str(self.folder / "postfix")
            allowed = "smtpd_authorized_xclient_hosts = 127.0.0.1"
            run("/usr/sbin/postconf", "-c", postfix, "-e", allowed)
        return said

    @contextlib.contextmanager
    def reconfigured(self, **choices: Any) -> Iterator[None]:
        """Another configuration until the end of the block, taken over by a restart."""
        before, self._choices = self._choices, choices
        self._take_over(choices)
        try:
            yield
        finally:
            self._choices = before
            self._take_over(before)

    def _take_over(self, choices: dict[str, Any]) -> None:
        if "dovecot/dovecot.conf" in self.configure(**choices):
            self._stop_dovecot()
            self._start_dovecot()
        self._restart()

    def _restart(self) -> None:
        """Postfix anew. Not a reload, at which its master can wait for a log that nobody reads.

        That is when more lines come at once than net.unix.max_dgram_qlen (docs/operating.md).
        """
        self._stop_postfix()
        self.stop_spam_filter()
        (self.folder / "state/spool/quick-start").touch()  # without the checks of a first start
        self._start_postfix()
        if self._choices.get("spam"):
            self.start_spam_filter()

    restart_postfix = _restart

    @contextlib.contextmanager
    def locked_out(self) -> Iterator[None]:
        """Until the end of the block, the database lets neither Dovecot nor Postfix in."""
        self._sql(f'ALTER ROLE "{self.role}" NOLOGIN')
        self._sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", self.role
        )
        try:
            yield
        finally:
            self._sql(f'ALTER ROLE "{self.role}" LOGIN')

    @contextlib.contextmanager
    def blind(self) -> Iterator[None]:
        """`locked_out`, and at the end both have found the database again."""
        try:
            with self.locked_out():
                yield
        finally:
            # Dovecot tries again within 15 seconds, Postfix within a minute or after a restart.
            eventually(self._knows_nobody)
            self._restart()

    def _knows_nobody(self) -> bool:
        """Whether Dovecot can tell that an address is not one of its own."""
        asked = ["/usr/bin/doveadm", "-c", str(self._dovecot_conf), "user", "no@body.test"]
        return subprocess.run(asked, check=False, capture_output=True).returncode == _NO_USER

    @contextlib.contextmanager
    def tiny_disk(self, mailbox: Mailbox, *, size: str) -> Iterator[None]:
        """Until the end of the block, a mailbox's mail lies on a disk of so many bytes."""
        home = self.home(mailbox)
        home.mkdir(parents=True)
        owner = f"uid={MAIL_USER},gid={MAIL_USER},mode=0700,size={size}"
        run("mount", "-t", "tmpfs", "-o", owner, "tmpfs", str(home))
        try:
            yield
        finally:
            run("umount", "--lazy", str(home))
            for path in (home.parent, home):
                os.chown(path, MAIL_USER, MAIL_USER)

    # Processes

    @property
    def pids(self) -> list[int]:
        """The first process of each; the others are below them."""
        return [process.pid for process in (self._dovecot, self._postfix) if process is not None]

    @property
    def _dovecot_conf(self) -> Path:
        return self.folder / "dovecot" / "dovecot.conf"

    def start(self) -> None:
        """Start both, and come back when they answer."""
        self._start_dovecot()
        self._start_postfix()

    def start_spam_filter(self) -> None:
        """Start rspamd as its unit does, and come back when it takes messages."""
        conf, state = self.folder / "rspamd/rspamd.conf", self.folder / "state/rspamd"
        command = ("/usr/bin/rspamd", "-f", "-c", str(conf), "-u", "_rspamd", "-g", "_rspamd")
        with kept_patterns(state):
            self._rspamd = self._run(*command)
            eventually(lambda: answers(state / "milter.sock"), seconds=300, why=self.complaints)

    def stop_spam_filter(self) -> None:
        if self._rspamd is not None:
            end(self._rspamd.pid, self._rspamd)
            self._rspamd = None

    def stop(self) -> None:
        """Stop all by their process ids, and wait for them and their children."""
        self._stop_postfix()
        self._stop_dovecot()
        self.stop_spam_filter()

    def _start_dovecot(self) -> None:
        self._dovecot = self._run("/usr/sbin/dovecot", "-F", "-c", str(self._dovecot_conf))
        eventually(lambda: listens(self.imaps_port), why=self.complaints)

    def _stop_dovecot(self) -> None:
        if self._dovecot is not None:
            end(self._dovecot.pid, self._dovecot)
            self._dovecot = None

    def _start_postfix(self) -> None:
        postfix = str(self.folder / "postfix")
        self._postfix = self._run("/usr/sbin/postfix", "-c", postfix, "start-fg")
        ports = (self.submission_port, self.smtp_port)
        eventually(lambda: all(map(listens, ports)), why=self.complaints)
        assert is_alive(self._postfix_master()), self.complaints()

    def _postfix_master(self) -> int:
        return int((self.folder / "state/spool/pid/master.pid").read_text())

    def _stop_postfix(self) -> None:
        if self._postfix is not None:
            # A signal to the process that we started would end a script around the master only.
            end(self._postfix_master(), self._postfix)
            self._postfix = None

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "started.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def drop_role(self) -> None:
        """No trace of the role stays in the database's server."""
        self._sql(f'DROP OWNED BY "{self.role}"')
        self._sql(f'DROP ROLE "{self.role}"')

    def _sql(self, statement: str, *values: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    # What an operator does

    def doveadm(self, *arguments: str) -> str:
        return run("/usr/bin/doveadm", "-c", str(self._dovecot_conf), *arguments)

    def flush(self) -> None:
        """Have Postfix try what waits in its queue now."""
        run("/usr/sbin/postqueue", "-c", str(self.folder / "postfix"), "-f")

    def queue(self) -> list[dict[str, Any]]:
        """What waits in the queue."""
        said = run("/usr/sbin/postqueue", "-c", str(self.folder / "postfix"), "-j")
        return [json.loads(line) for line in said.splitlines()]

    def begin_test(self) -> None:
        """Empty the queue and all logs, so that a test finds only what is its own."""
        if self.queue():
            run("/usr/sbin/postsuper", "-c", str(self.folder / "postfix"), "-d", "ALL")
        for log in (self.folder / "log").iterdir():
            if ".log." in log.name:
                log.unlink()  # rotated
            else:
                os.truncate(log, 0)

    @property
    def said(self) -> str:
        """Postfix' log of this test so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def complaints(self) -> str:
        """All logs, for a test that failed."""
        named = (self.folder / "log" / name for name in ("dovecot.log", "rspamd.log"))
        logs = (self.folder / "started.log", *named, self.log)
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())

    # What customers do

    def home(self, mailbox: Mailbox) -> Path:
        """Where a mailbox's mail lies."""
        return self.vmail / folder_of(mailbox.pk)

    def inbox(self, mailbox: Mailbox) -> list[str]:
        """The messages in a mailbox's inbox as they lie there, oldest first."""
        found = [
            *(self.home(mailbox) / "Maildir").glob("new/*"),
            *(self.home(mailbox) / "Maildir").glob("cur/*"),
        ]
        return [path.read_bytes().decode() for path in sorted(found, key=_when_delivered)]

    def wait_for_mail(self, mailbox: Mailbox, number: int) -> list[str]:
        """The inbox when it has so many messages; what was put off is tried again meanwhile."""
        tried = time.monotonic()

        def there() -> bool:
            nonlocal tried
            if len(self.inbox(mailbox)) >= number:
                return True
            if time.monotonic() > tried + 1:
                self.flush()
                tried = time.monotonic()
            return False

        eventually(there, why=self.complaints)
        return self.inbox(mailbox)

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    @contextlib.contextmanager
    def submission(
        self, login: str = "", password: str = "", *, source: str = "127.0.0.1"
    ) -> Iterator[smtplib.SMTP]:
        """A session on the submission port after STARTTLS, logged in where a login is given."""
        with smtplib.SMTP(
            HOST, self.submission_port, "client.test", PATIENCE, source_address=(source, 0)
        ) as client:
            client.starttls(context=self.tls)
            client.ehlo()
            if login:
                client.login(login, password)
            yield client

    @contextlib.contextmanager
    def imap(self, login: str, password: str, *, source: str = "127.0.0.1") -> Iterator[IMAP4_SSL]:
        """A session over IMAPS."""
        client = ImapFrom(source, HOST, self.imaps_port, self.tls)
        try:
            client.login(login, password)
            yield client
        finally:
            with contextlib.suppress(IMAP4_SSL.error, OSError):  # it may have been ended
                client.logout()


def manage(*arguments: str, given: str = "") -> str:
    """`manage.py mailserver ...` with a line on standard input; what it said."""
    said, stdin = io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(given + "\n")
    try:
        call_command("mailserver", *arguments, stdout=said)
    finally:
        sys.stdin = stdin
    return said.getvalue()


def _when_delivered(path: Path) -> tuple[int, int]:
    """Seconds and microseconds, out of a file's name in a Maildir."""
    found = re.match(r"(\d+)\.M(\d+)", path.name)
    assert found is not None, path.name
    return int(found[1]), int(found[2])
