"""When Dovecot cannot tell who may log in, nobody hears that a password is wrong."""

import asyncio
import contextlib
import imaplib
import os
import signal
import smtplib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mailboxes.logins.readiness import PASS, LoginReadiness
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.processes import Process, eventually
from tests.programs import listens

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

# How a login ends.
type Way = Callable[[PrivateMailServer, str], str]


@contextlib.contextmanager
def mail_policy(server: PrivateMailServer) -> Iterator[Process]:
    """`manage.py mailpolicy` beside the servers."""
    port = int(server.policy_address.rpartition(":")[2])
    with (
        server.reconfigured(policy=True),
        Process(
            "mailpolicy",
            MAILPOLICY_ADDRESS=server.policy_address,
            MAILSERVER_RUN_DIR=server.folder / "run",
        ) as running,
    ):
        eventually(lambda: listens(port), why=lambda: running.output)
        yield running


def smtp(server: PrivateMailServer, login: str) -> str:
    """How a login with the right password ends over submission."""
    try:
        with server.submission(login, PASSWORD):
            return "in"
    except smtplib.SMTPResponseException as error:
        return str(error.smtp_code)
    except (smtplib.SMTPException, OSError):
        return "no connection"


def imap(server: PrivateMailServer, login: str) -> str:
    """How it ends over IMAP."""
    try:
        with server.imap(login, PASSWORD):
            return "in"
    except (imaplib.IMAP4.abort, OSError):
        return "no connection"
    except imaplib.IMAP4.error as error:
        return "UNAVAILABLE" if "[UNAVAILABLE]" in str(error) else str(error)


def auth_processes(server: PrivateMailServer) -> list[int]:
    rows = server.doveadm("process", "status", "auth").splitlines()[1:]
    return [int(row.split()[1]) for row in rows]


# Come again. 454 is Postfix' where Dovecot's socket is gone or silent (RFC 4954 §4.7).
LATER = {"451", "454", "UNAVAILABLE", "no connection"}


def test_right_passwords_are_never_wrong_while_the_database_is_away_and_when_it_is_back(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    box, answers = inbox(ada, "ada@ada.test"), set()
    with mail_policy(mail_server) as running:
        eventually(lambda: smtp(mail_server, box.address) == "in")
        # As long as Dovecot needs to fail so often that it would then wait for half a minute.
        with mail_server.locked_out():
            eventually(lambda: mail_server.complaints().count("is not permitted to log in") > 6)
            for _ in range(3):
                answers |= {smtp(mail_server, box.address), imap(mail_server, box.address)}
            assert answers <= LATER
        # Postfix would stay closed for a minute, and so hide what Dovecot does.
        mail_server.restart_postfix()

        def lets_in(way: Way) -> bool:
            answers.add(said := way(mail_server, box.address))
            return said == "in"

        for way in (smtp, imap):
            eventually(partial(lets_in, way), why=lambda: running.output)
        assert answers <= LATER | {"in"}
        for _ in range(5):
            assert smtp(mail_server, box.address) == imap(mail_server, box.address) == "in"


def test_a_dovecot_that_is_too_busy_to_answer_holds_submission_back(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    box = inbox(ada, "ada@ada.test")
    with mail_policy(mail_server):
        eventually(lambda: smtp(mail_server, box.address) == "in")
        (busy,) = auth_processes(mail_server)
        os.kill(busy, signal.SIGSTOP)
        try:
            eventually(lambda: smtp(mail_server, box.address) == "451")
        finally:
            os.kill(busy, signal.SIGCONT)
        answers: set[str] = set()

        def lets_in() -> bool:
            answers.add(said := smtp(mail_server, box.address))
            return said == "in"

        eventually(lets_in)
        assert answers <= LATER | {"in"}


def test_without_dovecots_sockets_nobody_is_held_back(tmp_path: Path) -> None:
    readiness = LoginReadiness(tmp_path)
    asyncio.run(readiness.step())
    assert readiness.action == PASS
