"""What is asked for each message and each login: a million mailboxes beside a thousand.

Two databases on one PostgreSQL server, asked in turns, so that a slow machine is slow for both. The
floor is the small one: a ratio near 1 says that the time does not grow. Measured are the policy
service, the check of authors and the signer as processes of their own, each asked over one
connection, and the statements of Postfix' maps and of Dovecot as they stand in their files.

    DATABASE_URL=postgres://... python -m benchmarks.lookups [--rounds 5] [--mailboxes 1000000]
"""

import argparse
import random
import re
import smtplib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ground import database, fresh_database, report  # first: it sets Django up
from benchmarks.policy import serving

import psycopg  # isort: skip
from django.db import connection  # isort: skip

from mailservers import files  # isort: skip
from mailservers.configuration import Configuration, Database  # isort: skip
from mailservers.role import make_role  # isort: skip
from tests.crowds import REAL, Crowd  # isort: skip
from tests.milters import PostfixMilter  # isort: skip
from tests.policy import Postfix  # isort: skip
from tests.processes import test_database_url  # isort: skip
from tests.sandboxes import find_free_port_block  # isort: skip
from tests.signers import NextHopServer, wait_for  # isort: skip

SMALL = 1_000
READER = "mail_lookups"
TIMES = 60  # questions of one kind in a round
Ask = Callable[[str], object]


def main() -> None:
    """Print a line for each kind of question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mailboxes", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with fresh_database(), reader_role():
        small = Crowd(SMALL)
        with copied(test_database_url()) as floor:
            begun = time.monotonic()
            large = Crowd(chosen.mailboxes, beside=small)
            took = time.monotonic() - begun
            print(f"{chosen.mailboxes} mailboxes, made in {took:.0f} s", flush=True)
            with asking(test_database_url()) as ours, asking(floor) as bare:
                for what in ours:
                    measure(what, (large, ours[what]), (small, bare[what]), chosen.rounds)


def measure(what: str, ours: tuple[Crowd, Ask], bare: tuple[Crowd, Ask], rounds: int) -> None:
    """Ask both in turns, each time for another mailbox; the first round does not count."""
    took: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for which, (crowd, ask) in enumerate((bare, ours)):
            milliseconds = []
            for _ in range(TIMES):
                address = crowd.address(random.randrange(crowd.number))  # noqa: S311
                begun = time.perf_counter()
                ask(address)
                milliseconds.append((time.perf_counter() - begun) * 1000)
            if number:
                took[which].append(statistics.median(milliseconds))
    report(what, ours=took[1], floor=took[0], unit="ms")


@contextmanager
def reader_role() -> Iterator[None]:
    """The role by which Dovecot and Postfix read."""
    make_role(READER, "a-password-of-the-benchmark")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {READER}")
            cursor.execute(f"DROP ROLE {READER}")


@contextmanager
def copied(url: str) -> Iterator[str]:
    """A copy of this process's database, under another name; its URL."""
    name = f"{connection.settings_dict['NAME']}_small"
    connection.close()
    with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as other:
        other.execute(f'CREATE DATABASE "{name}" TEMPLATE "{connection.settings_dict["NAME"]}"')
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            other.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def asking(url: str) -> Iterator[dict[str, Ask]]:
    """Services and statements on a database, by what they are."""
    port = find_free_port_block(4)
    with ExitStack() as stack:
        hop = stack.enter_context(NextHopServer())
        where = {
            "DATABASE_URL": url,
            "BENCHMARK_DATABASE": url.rpartition("/")[2],
            "MAILPOLICY_ADDRESS": f"127.0.0.1:{port}",
            "MAILSIGNER_ADDRESS": f"127.0.0.1:{port + 1}",
            "MAILSIGNER_AUTHORS": f"127.0.0.1:{port + 2}",
            "MAILSIGNER_NEXT_HOP": f"127.0.0.1:{hop.port}",
        }
        for command, listens in (("mailpolicy", port), ("mailsigner", port + 1)):
            stack.enter_context(serving([sys.executable, "manage.py", command], listens, **where))
        wait_for(port + 2)
        policy = stack.enter_context(Postfix(port))
        milter = stack.enter_context(PostfixMilter(port + 2))
        signer = stack.enter_context(smtplib.SMTP("127.0.0.1", port + 1, "mx.test"))
        reader = stack.enter_context(psycopg.connect(url, autocommit=True))
        reader.execute(f"SET ROLE {READER}")

        def sign(address: str) -> None:
            # The owner of an alias is looked up. Only the real mailbox has a key that opens.
            message = f"From: team@pattern.test\r\nX-For: {address}\r\n\r\nHi.\r\n"
            signer.sendmail(REAL, ["bo@far.test"], message)

        services: dict[str, Ask] = {
            "policy": lambda address: _granted(policy.ask(address, instance=f"{time.time_ns()}")),
            "author, own": lambda address: milter.ask(address, [("From", address.encode())]),
            "author, another": lambda address: milter.ask(address, [("From", b" a@bank.test")]),
            "signer, an alias": sign,
        }
        yield services | {name: partial(_read, reader, query) for name, query in statements()}


def statements() -> Iterator[tuple[str, str]]:
    """What Postfix and Dovecot ask, by their files."""
    configuration = Configuration(
        server="house",
        host="mail.test",
        folder=Path("/etc/mpanel-mail"),
        certificate=Path("/etc/mail.pem"),
        private_key=Path("/etc/mail.key"),
        database=Database(
            host="localhost", port=5432, name="mpanel", user="mail", password="a-password-of-tests"
        ),
        dovecot="2.3",
    )
    for file in files.files_of(configuration):
        text = files.render(configuration, file.path)
        for found in re.finditer(r"(?m)^((?:password_|user_)?query) = (.*)$", text):
            kind = "" if found[1] == "query" else f" {found[1]}"
            yield f"{Path(file.path).stem}{kind}", found[2]


def _read(reader: psycopg.Connection[Any], query: str, address: str) -> object:
    return reader.execute(re.sub(r"%Lu|%s", address, query).encode()).fetchall()


def _granted(action: str) -> None:
    assert action == "DUNNO", action


if __name__ == "__main__":
    if connection.vendor == "postgresql":
        print(f"Look-ups on {database()}", flush=True)
        main()
    else:
        print("Look-ups are measured on PostgreSQL only: set DATABASE_URL.")
