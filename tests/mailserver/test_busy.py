"""A busy hour: what the servers' defaults would refuse or hold up is taken."""

import contextlib

import pytest

from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

SESSIONS = 55  # Postfix lets 50 in from one address, unless it is told otherwise


def test_an_outreach_tool_sends_for_many_mailboxes_from_one_address(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    box = inbox(ada, "ada@ada.test")
    with contextlib.ExitStack() as sessions:
        clients = [
            sessions.enter_context(mail_server.submission(box.address, PASSWORD))
            for _ in range(SESSIONS)
        ]
        for client in clients:
            client.sendmail(box.address, [box.address], "Subject: Hi\r\n\r\nHello.\r\n")
    assert len(mail_server.wait_for_mail(box, SESSIONS)) == SESSIONS
    assert "too many connections" not in mail_server.said
    # Nobody waited for a process that tells whether the mailbox is full.
    assert "problem talking to server" not in mail_server.said
