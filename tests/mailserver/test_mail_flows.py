"""Mailboxes on the real Dovecot and Postfix: a row is committed, and mail flows."""

import pytest

from tests.cast import Person
from tests.mailserver.rooms import PASSWORD, inbox
from tests.mailservers import PrivateMailServer, eventually

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]


def test_thin(ada: Person, mail_server: PrivateMailServer) -> None:
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    with mail_server.submission(first.address, PASSWORD) as client:
        client.sendmail(first.address, [second.address], "Subject: Hi\r\n\r\nHello.\r\n")
    (message,) = eventually(lambda: mail_server.inbox(second), why=mail_server.complaints)
    assert "Hello." in message
    with mail_server.imap(second.address, PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]
