"""Guessing passwords of mailboxes on the real Dovecot and Postfix."""

import contextlib
import imaplib
import smtplib
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.db import connection

from events.models import Event
from mailboxes.logins.guesses import STRANGER
from mailboxes.models import LoginGuesses, LoginNetwork
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.loginpolicy import RunningLoginPolicy, login_policy
from tests.mailserver.rooms import PASSWORD, inbox

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

OWNER, GUESSER, ELSEWHERE, TOOL = "127.0.0.9", "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture
def policy(mail_server: PrivateMailServer, settings: LazySettings) -> Iterator[RunningLoginPolicy]:
    settings.LOGIN_TRUSTED_NETWORKS = [f"{TOOL}/32"]
    port = int(mail_server.login_policy_address.rpartition(":")[2])
    with mail_server.reconfigured(login_policy=True), login_policy(port) as running:
        yield running


def smtp(server: PrivateMailServer, login: str, password: str, source: str) -> str:
    """How a login over submission ends."""
    try:
        with server.submission(login, password, source=source):
            return "in"
    except smtplib.SMTPAuthenticationError as error:
        return f"{error.smtp_code} {bytes(error.smtp_error).decode()}"  # type: ignore[arg-type]


def imap(server: PrivateMailServer, login: str, password: str, source: str) -> str:
    """How a login over IMAP ends."""
    try:
        with server.imap(login, password, source=source):
            return "in"
    except imaplib.IMAP4.error as error:
        return str(error)


def last_query() -> object:
    """When Dovecot's auth process asked the database last."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(query_start) FROM pg_stat_activity"
            " WHERE application_name = 'dovecot' AND datname = current_database()"
        )
        return cursor.fetchone()[0]


def test_who_guesses_is_refused_and_the_owner_logs_in(
    ada: Person, mail_server: PrivateMailServer, policy: RunningLoginPolicy
) -> None:
    box, login = inbox(ada, "ada@ada.test"), "ada@ada.test"
    assert imap(mail_server, login, PASSWORD, OWNER) == "in"
    policy.step()
    assert LoginNetwork.objects.get().network == OWNER

    for number in range(STRANGER.limit):
        way = (imap, smtp)[number % 2]
        said = way(mail_server, login, f"guess {number}", GUESSER)
        assert "Too many" not in said
        assert said.startswith("535 5.7.8") or "AUTHENTICATIONFAILED" in said, said
    policy.step()
    row = LoginGuesses.objects.get(mailbox=box, network=GUESSER)
    assert row.wrong == STRANGER.limit  # over both protocols
    # Refused with the right password too, and the database hears nothing of it.
    before = last_query()
    assert "Too many wrong passwords" in imap(mail_server, login, PASSWORD, GUESSER)
    assert smtp(mail_server, login, PASSWORD, GUESSER).startswith("535 5.7.8")
    assert last_query() == before is not None
    policy.step()
    row.refresh_from_db()
    assert row.wrong == STRANGER.limit  # what was refused was no guess

    for source in (OWNER, ELSEWHERE, TOOL):
        assert imap(mail_server, login, PASSWORD, source) == "in", source
        assert smtp(mail_server, login, PASSWORD, source) == "in", source
    [event] = Event.objects.filter(action="mailbox.guessed")
    assert event.tenant_id == ada.actor.tenant_id
    assert event.sentence.startswith("10 wrong passwords were tried for ada@ada.test since ")


def test_an_old_password_that_a_program_repeats_is_one_guess(
    ada: Person, mail_server: PrivateMailServer, policy: RunningLoginPolicy
) -> None:
    box = inbox(ada, "ada@ada.test")
    for _ in range(STRANGER.limit + 2):
        said = imap(mail_server, box.address, "an old one", OWNER)
    assert "This password was wrong several times." in said
    policy.step()
    assert LoginGuesses.objects.get(mailbox=box, network=OWNER).wrong == 1
    assert imap(mail_server, box.address, PASSWORD, OWNER) == "in"
    assert not Event.objects.filter(action="mailbox.guessed").exists()


def test_without_the_service_people_log_in(ada: Person, mail_server: PrivateMailServer) -> None:
    box = inbox(ada, "ada@ada.test")
    with mail_server.reconfigured(login_policy=True):
        assert imap(mail_server, box.address, PASSWORD, OWNER) == "in"
        assert smtp(mail_server, box.address, PASSWORD, OWNER) == "in"
        with contextlib.suppress(smtplib.SMTPException):
            assert smtp(mail_server, box.address, "wrong", OWNER).startswith("535 5.7.8")
