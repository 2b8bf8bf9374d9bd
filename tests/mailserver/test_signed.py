"""Submission, signer, mailbox: on the real Postfix and Dovecot, with the real command between."""

import smtplib
from collections.abc import Iterator

import pytest

from dnszones.dkim.keys import dkim_key
from dnszones.models import DkimKey, Zone
from mailboxes.models import Mailbox
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.milters import author_check
from tests.processes import Process, eventually
from tests.signers import verifies, wait_for

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

NAME = "ada.test"
HEAD = b"From: Ada <ada@ada.test>\r\nTo: bo@ada.test\r\n"


@pytest.fixture
def mailbox(ada: Person) -> Mailbox:
    """One whose domain has a key."""
    found = inbox(ada, f"ada@{NAME}")
    zone = Zone.objects.create(domain=found.domain, provider="cloudflare", remote_id=NAME)
    dkim_key(zone, "mpanel")
    return found


@pytest.fixture
def signing(mail_server: PrivateMailServer) -> Iterator[PrivateMailServer]:
    """The mail server, which has everything signed that is submitted."""
    with mail_server.reconfigured(signer=True):
        yield mail_server


def signer(server: PrivateMailServer) -> Process:
    return Process(
        "mailsigner",
        MAILSIGNER_ADDRESS=server.signer_address,
        MAILSIGNER_NEXT_HOP=server.next_hop,
        MAILSIGNER_AUTHORS=server.authors_address,
        MAIL_SIZE_LIMIT=1_000_000,
    )


def published() -> dict[str, str]:
    return {f"{key.selector}._domainkey.{NAME}": key.public_value for key in DkimKey.objects.all()}


def messages(server: PrivateMailServer, mailbox: Mailbox) -> list[bytes]:
    """The messages in a mailbox's inbox."""
    return [text.encode() for text in server.inbox(mailbox)]


MESSAGES = {
    "plain": HEAD + b"Subject: plain\r\n\r\nHello.\r\n",
    "names without a domain": HEAD + b"Cc: bo, cy\r\nSubject: bare\r\n\r\nHello.\r\n",
    "eight bits": HEAD + "Subject: ünïcode\r\n\r\nGrüße.\r\n".encode(),
    "long lines": HEAD + b"Subject: long\r\n\r\n" + b"word " * 2_000 + b"\r\n",
    "dots and spaces": HEAD + b"Subject: dots\r\n\r\n.\r\n..a \t b\t\r\n\r\n\r\n",
    "large": HEAD + b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 13_800,
}


def send_as_large_as_it_may_be(client: smtplib.SMTP, address: str) -> None:
    """With what is added on the way it is larger than a message may be."""
    for size in range(1_000_000, 990_000, -300):
        lines = (b"z" * 900 + b"\r\n") * (size // 902) + b"z" * (size % 902)
        try:
            client.sendmail(address, [address], HEAD + b"Subject: largest\r\n\r\n" + lines)
        except smtplib.SMTPException:
            continue
        return
    raise AssertionError("no size was small enough")


def test_what_is_submitted_arrives_signed(mailbox: Mailbox, signing: PrivateMailServer) -> None:
    with signer(signing):
        wait_for(int(signing.signer_address.rpartition(":")[2]))
        with signing.submission(mailbox.address, PASSWORD) as client:
            for message in MESSAGES.values():
                client.sendmail(mailbox.address, [mailbox.address], message, ["BODY=8BITMIME"])
            send_as_large_as_it_may_be(client, mailbox.address)
        eventually(
            lambda: len(messages(signing, mailbox)) == len(MESSAGES) + 1, why=signing.complaints
        )
    for message in messages(signing, mailbox):
        assert message.count(b"DKIM-Signature:") == 1
        assert verifies(message, published()), message[:3000]


def test_mail_waits_for_the_signer(mailbox: Mailbox, signing: PrivateMailServer) -> None:
    authors = int(signing.authors_address.rpartition(":")[2])
    with author_check(authors), signing.submission(mailbox.address, PASSWORD) as client:
        client.sendmail(mailbox.address, [mailbox.address], MESSAGES["plain"])
    eventually(lambda: [row for row in signing.queue() if row["queue_name"] == "deferred"])
    assert messages(signing, mailbox) == []
    with signer(signing):
        wait_for(int(signing.signer_address.rpartition(":")[2]))
        signing.flush()
        (message,) = eventually(lambda: messages(signing, mailbox), why=signing.complaints)
    assert verifies(message, published())
