"""How long customers' logins take while passwords are guessed from 50 addresses.

Floor: the same server in the same minute, with nobody guessing. The second line is what guessing
costs without the login policy; the third, what a login costs that is refused, beside one whose
wrong password is compared. On the real Dovecot, PostgreSQL only, and as root.

    python -m benchmarks.guessing [--rounds 3] [--logins 40] [--guessers 50]
"""

import argparse
import contextlib
import imaplib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from benchmarks.ground import fresh_database, report  # first: it sets Django up

from django.conf import settings  # isort: skip
from django.db import connection  # isort: skip
from django.test import override_settings  # isort: skip

from mailboxes.logins.gate import Attempt  # isort: skip
from mailboxes.logins.guesses import STRANGER  # isort: skip
from mailboxes.models import Mailbox  # isort: skip
from mailboxes.passwords import mail_hash  # isort: skip
from tests.cast import owner  # isort: skip
from tests.loginpolicy import RunningLoginPolicy, login_policy  # isort: skip
from tests.mailserver.rooms import PASSWORD, inbox  # isort: skip
from tests.dovecot_postfix import PrivateMailServer  # isort: skip

CUSTOMERS = 10


def main() -> None:
    """Print the ratios of customers' p95, and of the cost of a login."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--logins", type=int, default=40)
    parser.add_argument("--guessers", type=int, default=50)
    chosen = parser.parse_args()
    with fresh_database(), override_settings(LOGIN_TRUSTED_NETWORKS=[]):
        server = PrivateMailServer()
        server.failure_delay = 2  # as in production
        server.make_role()
        server.configure()
        try:
            with server, override_settings(**server.settings):
                measure(server, chosen)
        finally:
            server.drop_role()


def measure(server: PrivateMailServer, chosen: argparse.Namespace) -> None:
    """Quiet, guessed with the policy, guessed without: in turns."""
    person = owner("ada")
    boxes = [inbox(person, f"box{number}@ada.test").address for number in range(CUSTOMERS)]
    Mailbox.objects.update(password_hash=mail_hash(PASSWORD, settings.MAILBOX_BCRYPT_COST))
    quiet: list[float] = []
    guarded: list[float] = []
    bare: list[float] = []
    refused: list[float] = []
    compared: list[float] = []
    port = int(server.login_policy_address.rpartition(":")[2])
    for _ in range(chosen.rounds):
        with server.reconfigured(login_policy=True), login_policy(port) as policy:
            p95(server, boxes, CUSTOMERS)  # known from now on
            policy.step()
            quiet.append(p95(server, boxes, chosen.logins))
            spend_what_is_free(policy, boxes, chosen.guessers)
            with guessing(server, boxes, chosen.guessers, policy.step):
                guarded.append(p95(server, boxes, chosen.logins))
            before = cpu(server)
            guess(server, boxes[0], "127.0.1.1", 10)
            refused.append((cpu(server) - before) * 100)
        with guessing(server, boxes, chosen.guessers, lambda: None):
            bare.append(p95(server, boxes, chosen.logins))
        before = cpu(server)
        guess(server, boxes[0], "127.0.1.1", 10)
        compared.append((cpu(server) - before) * 100)
    what = f"logins while {chosen.guessers} addresses guess, p95"
    report(what, ours=guarded, floor=quiet, unit="ms")
    report(f"{what}, without the login policy", ours=bare, floor=quiet, unit="ms")
    report("processor time of a refused login", ours=refused, floor=compared, unit="ms")


def spend_what_is_free(policy: RunningLoginPolicy, boxes: list[str], guessers: int) -> None:
    """As after a minute of guessing: who guesses is refused from now on."""
    for number in range(guessers):
        box = boxes[number % len(boxes)]
        for word in range(3 * STRANGER.limit):
            attempt = Attempt(box, f"127.0.1.{number + 1}", f"spent {word}")
            policy.gate.report(attempt, is_right=False)
    policy.step()


def p95(server: PrivateMailServer, boxes: list[str], logins: int) -> float:
    """The 95th percentile of the milliseconds of customers' logins, one after the other."""
    took = []
    for number in range(logins):
        begun = time.perf_counter()
        # One that took longer than a client waits counts as that.
        with (
            contextlib.suppress(TimeoutError),
            server.imap(boxes[number % len(boxes)], PASSWORD, source="127.0.0.9"),
        ):
            pass
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.quantiles(took, n=20)[-1]


@contextlib.contextmanager
def guessing(
    server: PrivateMailServer, boxes: list[str], guessers: int, step: Callable[[], None]
) -> Iterator[None]:
    """Until the end of the block, each address tries one password after the other."""
    stop = threading.Event()

    def guesser(number: int) -> None:
        while not stop.is_set():
            guess(server, boxes[number % len(boxes)], f"127.0.1.{number + 1}", 3)

    def stepper() -> None:
        while not stop.wait(1):
            step()

    threads = [threading.Thread(target=guesser, args=(number,)) for number in range(guessers)]
    threads.append(threading.Thread(target=stepper))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


_words = count()


def guess(server: PrivateMailServer, login: str, source: str, times: int) -> None:
    """So many different wrong passwords."""
    for _ in range(times):
        with (
            contextlib.suppress(OSError, imaplib.IMAP4.error),
            server.imap(login, f"wrong {next(_words)}", source=source),
        ):
            pass


def cpu(server: PrivateMailServer) -> float:
    """Seconds of processor time that Dovecot's auth process has used."""
    rows = server.doveadm("process", "status", "auth").splitlines()[1:]
    ticks = 0
    for row in rows:
        stat = Path("/proc", row.split()[1], "stat").read_text()
        fields = stat.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if connection.vendor != "postgresql" or os.getuid() != 0:
        print("Guessing at mailboxes: only on PostgreSQL, and as root.")
    else:
        main()
