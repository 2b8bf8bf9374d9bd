"""Who may write as whom, on the real Postfix and Dovecot: refused at DATA, or delivered signed."""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dnszones.dkim.keys import dkim_key
from dnszones.models import DkimKey, Zone
from mailboxes.models import Alias, Mailbox, OutsideSender
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.milters import author_check
from tests.processes import Process, eventually
from tests.programs import run
from tests.signers import verifies, wait_for

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

OWN, TEAM = "ada@ada.test", "team@ada.test"
REST = b"To: bo@far.test\r\nSubject: Hi\r\n\r\nHello.\r\n"
LARGE = (b"x" * 76 + b"\r\n") * 250_000  # 19.5 MB


@pytest.fixture
def mailbox(ada: Person) -> Mailbox:
    """One whose domain has a key, with an alias."""
    found = inbox(ada, OWN, quota_mb=100)
    zone = Zone.objects.create(domain=found.domain, provider="cloudflare", remote_id="ada.test")
    dkim_key(zone, "mpanel")
    Alias.objects.create(
        tenant=ada.tenant, domain=found.domain, mailbox=found, local_part="team", address=TEAM
    )
    return found


@pytest.fixture
def server(mail_server: PrivateMailServer) -> Iterator[PrivateMailServer]:
    """The mail server as it is configured for real, with messages of 20 MB."""
    mail_server.message_size = 21_000_000
    with mail_server.reconfigured(signer=True):
        yield mail_server
    mail_server.message_size = PrivateMailServer.message_size


@contextmanager
def signer(server: PrivateMailServer) -> Iterator[Process]:
    where = {
        "MAILSIGNER_ADDRESS": server.signer_address,
        "MAILSIGNER_NEXT_HOP": server.next_hop,
        "MAILSIGNER_AUTHORS": server.authors_address,
        "MAIL_SIZE_LIMIT": server.message_size,
    }
    with Process("mailsigner", **where) as process:
        wait_for(int(server.signer_address.rpartition(":")[2]))
        yield process


def published() -> dict[str, str]:
    return {
        f"{key.selector}._domainkey.ada.test": key.public_value for key in DkimKey.objects.all()
    }


def send(client: smtplib.SMTP, message: bytes, *, sender: str = OWN) -> str:
    """What the server says to a message at its end, to a client that stays connected."""
    try:
        client.sendmail(sender, [OWN], message, ["BODY=8BITMIME"])
    except smtplib.SMTPDataError as refused:
        said = refused.smtp_error
        return f"{refused.smtp_code} {said.decode() if isinstance(said, bytes) else said}"
    return "250"


def send_in_chunks(client: smtplib.SMTP, message: bytes) -> str:
    """The same by BDAT (RFC 3030), in two chunks."""
    for command in (f"MAIL FROM:<{OWN}>", f"RCPT TO:<{OWN}>"):
        assert client.docmd(command)[0] == 250
    half = len(message) // 2
    client.send(b"BDAT %d\r\n" % half + message[:half])
    assert client.getreply()[0] == 250
    client.send(b"BDAT %d LAST\r\n" % (len(message) - half) + message[half:])
    code, said = client.getreply()
    return f"{code} {said.decode()}" if code != 250 else "250"


GOOD = {
    "own": b"From: Ada <ada@ada.test>\r\n",
    "an alias": b"From: team@ada.test\r\nSender: ada@ada.test\r\n",
    "an extension": b"From: ada+news@ada.test\r\n",
    "two of its own": b"From: ada@ada.test, team@ada.test\r\nSender: ada@ada.test\r\n",
    "encoded words": b"From: =?utf-8?q?ceo=40bank=2Etest?=\r\n =?utf-8?q?=C3?= <ada@ada.test>\r\n",
    "a group": b"From: Us: ada@ada.test, team@ada.test;\r\n",
    "resent": b"Resent-From: ada@ada.test\r\nFrom: ada@ada.test\r\nResent-To: x@far.test\r\n",
    "eight bits": "From: Äda <ada@ada.test>\r\nComments: Grüße\r\n".encode(),
}
BAD = {
    "another domain": b"From: ceo@bank.test\r\n",
    "another domain, encoded": b"From: =?utf-8?q?Ada?= <ceo@bank.test>\r\n",
    "one of two": b"From: ada@ada.test, ceo@bank.test\r\n",
    "in a group": b"From: Us: ada@ada.test, ceo@bank.test;\r\n",
    "another Sender": b"From: ada@ada.test\r\nSender: ceo@bank.test\r\n",
    "resent": b"Resent-From: ada@ada.test\r\nFrom: ceo@bank.test\r\n",
    "another mailbox": b"From: bo@ada.test\r\n",
    "nobody's": b"From: nobody@ada.test\r\n",
}
UNREADABLE = {
    "two": b"From: ada@ada.test\r\nFrom: ada@ada.test\r\n",
    "two, one with a space": b"From: ada@ada.test\r\nFrom : ceo@bank.test\r\n",
    "empty": b"From:\r\n",
    "an empty group": b"From: undisclosed:;\r\n",
    "two angles": b"From: <ada@ada.test> <ceo@bank.test>\r\n",
}


def test_who_may_write_as_whom_is_said_at_data(
    ada: Person, mailbox: Mailbox, server: PrivateMailServer
) -> None:
    friend = inbox(ada, "bo@ada.test")
    with signer(server), server.submission(OWN, PASSWORD) as client:
        for name, head in GOOD.items():
            assert send(client, head + REST) == "250", name
        assert send_in_chunks(client, GOOD["own"] + REST) == "250"
        assert send(client, GOOD["own"] + REST + LARGE) == "250"
        assert send(client, GOOD["own"] + REST, sender=TEAM) == "250"
        for name, head in BAD.items():
            assert send(client, head + REST).startswith("554 5.7.1 "), name
        for name, head in UNREADABLE.items():
            assert send(client, head + REST).startswith("554 5.6.0 "), name
        assert send_in_chunks(client, BAD["another domain"] + REST).startswith("554 5.7.1 ")
        assert send(client, BAD["another domain"] + REST + LARGE) == (
            f"554 5.7.1 ceo@bank.test is not an address of {OWN}. Send as {OWN} or as one of its "
            "aliases, or ask your provider to allow senders of other domains."
        )
        said = run("swaks", *swaks(server), "--header-From", "ceo@bank.test", ok=(26,))
        assert "* 554 5.7.1 ceo@bank.test is not an address" in said
        run("swaks", *swaks(server), "--header-From", OWN)

        OutsideSender.objects.create(tenant=ada.tenant, mailbox=mailbox)
        assert send(client, BAD["another domain"] + REST) == "250"
        assert send(client, BAD["another mailbox"] + REST).startswith("554 5.7.1 bo@ada.test")
        delivered = len(GOOD) + 5
        eventually(lambda: len(messages(server, mailbox)) == delivered)
    for message in messages(server, mailbox):
        assert verifies(message, published()), message[:2000]
    assert server.queue() == []
    assert server.inbox(friend) == []
    assert "status=bounced" not in server.said
    assert server.said.count("milter-reject: END-OF-MESSAGE") == len(BAD) + len(UNREADABLE) + 4


def test_while_nobody_can_say_who_may_write_as_whom_mail_comes_later(
    mailbox: Mailbox, server: PrivateMailServer
) -> None:
    good = GOOD["own"] + REST
    # Nobody is there: a client is held back before its message, and before its password.
    with pytest.raises(smtplib.SMTPException) as refused, server.submission(OWN, PASSWORD):
        pass
    assert "454" in str(refused.value)
    # It goes away in the middle of a session, and comes back.
    with signer(server) as process, server.submission(OWN, PASSWORD) as client:
        assert send(client, good) == "250"
        process.terminate()
        assert send(client, good).startswith("451 4.7.1 ")
    with signer(server), server.submission(OWN, PASSWORD) as client:
        assert send(client, good) == "250"
        server.flush()
        eventually(lambda: len(messages(server, mailbox)) == 2)
    # The author is known, but nobody signs: the message is taken, and waits unsigned for nobody.
    port = int(server.authors_address.rpartition(":")[2])
    with author_check(port), server.submission(OWN, PASSWORD) as client:
        assert send(client, good) == "250"
        eventually(lambda: [row for row in server.queue() if row["queue_name"] == "deferred"])
    with signer(server):
        server.flush()
        eventually(lambda: len(messages(server, mailbox)) == 3)
    assert all(verifies(message, published()) for message in messages(server, mailbox))


def swaks(server: PrivateMailServer) -> list[str]:
    where = ["--server", "localhost", "--port", str(server.submission_port), "--tls"]
    return [*where, "--auth", "PLAIN", "-au", OWN, "-ap", PASSWORD, "-f", OWN, "-t", OWN]


def messages(server: PrivateMailServer, mailbox: Mailbox) -> list[bytes]:
    """The messages in a mailbox's inbox."""
    return [text.encode() for text in server.inbox(mailbox)]
