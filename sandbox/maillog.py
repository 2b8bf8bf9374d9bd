"""What Postfix would have written to its log about the mail that was submitted here.

Mail to `bounce.test` bounces and mail to `defer.test` is deferred; all else arrives.
"""

import itertools
import os
import secrets
import time
from collections.abc import Collection, Mapping
from pathlib import Path

BOUNCES, DEFERS = "bounce.test", "defer.test"
RELAY = "mx.{domain}[192.0.2.25]:25"


class MailLog:
    """A file that only grows, in the form of Postfix's `maillog_file`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = itertools.count(secrets.randbelow(1 << 36))

    def message(self, login: str, sender: str, places: Mapping[str, Collection[str]]) -> None:
        """Note a message of a login to these recipients, and the mailboxes that each is here."""
        queue_id = f"{next(self._numbers):010X}"
        lines = [
            f"postfix/submission/smtpd[1]: {queue_id}: client=localhost[127.0.0.1], "
            f"sasl_method=PLAIN, sasl_username={login}",
            f"postfix/qmgr[1]: {queue_id}: from=<{sender}>, size=1, nrcpt={len(places)} "
            "(queue active)",
            *(_fate(queue_id, to, bool(here)) for to, here in places.items()),
            f"postfix/qmgr[1]: {queue_id}: removed",
        ]
        now = time.strftime("%b %d %H:%M:%S")
        text = "".join(f"{now} sandbox {line}\n" for line in lines)
        # One write, so that nobody reads half of it.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, text.encode("utf-8", "replace"))
        finally:
            os.close(file)


def _fate(queue_id: str, to: str, is_here: bool) -> str:
    domain = to.rpartition("@")[2].lower()
    relay, dsn, status, said = RELAY.format(domain=domain), "2.0.0", "sent", "250 2.0.0 Ok"
    service = "lmtp" if is_here else "smtp"
    if domain == BOUNCES:
        dsn, status, said = "5.1.1", "bounced", "host said: 550 5.1.1 User unknown"
    elif domain == DEFERS:
        relay, dsn, status, said = "none", "4.4.1", "deferred", "Connection timed out"
    elif is_here:
        relay = "localhost[private/lmtp]"
    return (
        f"postfix/{service}[1]: {queue_id}: to=<{to}>, relay={relay}, delay=0.1, "
        f"delays=0/0/0/0.1, dsn={dsn}, status={status} ({said})"
    )
