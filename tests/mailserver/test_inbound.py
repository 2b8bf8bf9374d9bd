"""Mail from outside on the real Postfix, Dovecot and rspamd: who it is from."""

import itertools
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import Message

import dkim
import pytest

from dnszones.dkim.records import make_key
from mailboxes.models import Mailbox
from mailservers.owndomains import write_own_domains
from tests.cast import Person
from tests.dnsservers import FakeServer, dns_servers
from tests.dovecot_postfix import HOST, PrivateMailServer
from tests.mailserver.rooms import domain_of, inbox
from tests.processes import eventually

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

GOOD, BAD = "192.0.2.1", "192.0.2.9"  # who may send for these domains by SPF, and who may not
KEY = make_key()
NUMBERS = itertools.count(1)
FORGED = f"Authentication-Results: {HOST}; dmarc=pass header.from=bank.test\r\n"


@dataclass(frozen=True)
class Outside:
    """The world: its DNS, and a way to bring mail from any of its addresses."""

    dns: FakeServer
    server: PrivateMailServer

    def publish(self, domain: str, policy: str) -> None:
        self.dns.add(domain, "TXT", f'"v=spf1 ip4:{GOOD} -all"')
        self.dns.add(f"_dmarc.{domain}", "TXT", f'"v=DMARC1; p={policy}"')

    def bring(
        self, address: str, author: str, to: str, *, sender: str = "", signed: bool = False
    ) -> str:
        """What the server says at the end of a message."""
        text = (
            f"{FORGED}From: Somebody <{author}>\r\nTo: {to}\r\nSubject: {next(NUMBERS)}\r\n"
            "Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@outside.test>\r\n\r\n"
            "Shall we meet on Tuesday?\r\n"
        ).encode()
        if signed:
            domain = author.rpartition("@")[2].encode()
            text = (
                dkim.sign(text, b"s1", domain, KEY.private_pem.encode(), include_headers=[b"from"])
                + text
            )
        port = self.server.smtp_port
        with smtplib.SMTP("127.0.0.1", port, "mx.outside.test", timeout=30) as client:
            client.ehlo()
            assert client.docmd("XCLIENT", f"ADDR={address} NAME=mx.outside.test")[0] == 220
            client.ehlo()
            code, said = client.mail(sender or author)
            if code == 250:
                code, said = client.rcpt(to)
            if code == 250:
                code, said = client.data(text)
            return f"{code} {said.decode()}"


@pytest.fixture
def mailbox(ada: Person) -> Mailbox:
    return inbox(ada, "ada@ada.test")


@pytest.fixture
def world() -> Iterator[FakeServer]:
    """DNS for everybody: a resolver that knows all names there are."""
    with dns_servers("127.0.0.1") as (server,):
        server.is_resolver = True
        server.serve(".")
        value = KEY.value
        server.add("s1._domainkey.signed.test", "TXT", f'"{value[:200]}" "{value[200:]}"')
        yield server


def filtering(server: PrivateMailServer, world: FakeServer, *more: str) -> list[str]:
    return ["--spam=rspamd", f"--resolver={world.address}:{world.port}", *more]


def arrived(server: PrivateMailServer, mailbox: Mailbox, number: int) -> Message:
    """The newest message in a mailbox's inbox, when it has so many there."""
    found = server.wait_for_mail(mailbox, number)
    assert len(found) == number
    messages = map(message_from_string, found)
    return max(messages, key=lambda message: int(message["Subject"]))


def filed(server: PrivateMailServer, mailbox: Mailbox, number: int) -> bool:
    """Whether there come to be so many messages in Junk."""
    junk = server.home(mailbox) / "Maildir/.Junk"
    found = eventually(lambda: len(list(junk.glob("new/*"))) == number, why=server.complaints)
    return bool(found)


def verdicts(message: Message) -> str:
    """What we say of who it is from, and nobody else."""
    (header,) = message.get_all("Authentication-Results", [])
    assert header.startswith(f"{HOST};"), header
    return " ".join(header.split())


def test_mail_from_outside_is_authenticated_and_forged_mail_is_not_believed(
    ada: Person, mail_server: PrivateMailServer, mailbox: Mailbox, world: FakeServer
) -> None:
    outside = Outside(world, mail_server)
    for domain, policy in (
        *(("strict.test", "reject"), ("signed.test", "reject"), ("lax.test", "none")),
        *(("wary.test", "quarantine"), ("ada.test", "none")),
    ):
        outside.publish(domain, policy)
    to = mailbox.address
    with mail_server.reconfigured(spam=filtering(mail_server, world)):
        assert outside.bring(GOOD, "x@strict.test", to).startswith("250")
        said = verdicts(arrived(mail_server, mailbox, 1))
        assert "spf=pass" in said
        assert "dmarc=pass (policy=reject) header.from=strict.test" in said
        assert "bank.test" not in said

        assert outside.bring(BAD, "x@strict.test", to).startswith("554 5.7.1")
        assert outside.bring(BAD, "x@signed.test", to, signed=True).startswith("250")
        assert "dkim=pass header.d=signed.test" in verdicts(arrived(mail_server, mailbox, 2))

        assert outside.bring(BAD, "x@lax.test", to).startswith("250")
        message = arrived(mail_server, mailbox, 3)
        assert "dmarc=fail" in verdicts(message)
        assert message["X-Spam"] is None
        assert outside.bring(BAD, "x@wary.test", to).startswith("250")
        assert filed(mail_server, mailbox, 1)

        # A domain of a customer: by whom it may be used, and by a forger with an SPF of his own.
        assert outside.bring(GOOD, "boss@ada.test", to).startswith("250")
        assert "dmarc=pass" in verdicts(arrived(mail_server, mailbox, 4))
        assert outside.bring(GOOD, "boss@ada.test", to, sender="x@strict.test").startswith("250")
        assert filed(mail_server, mailbox, 2)

        mail_server.stop_spam_filter()
        assert outside.bring(GOOD, "x@strict.test", to).startswith("451 4.7.1")
        mail_server.start_spam_filter()
        assert outside.bring(GOOD, "x@strict.test", to).startswith("250")


def test_forged_mail_of_customers_domains_can_be_refused(
    ada: Person, cy: Person, mail_server: PrivateMailServer, mailbox: Mailbox, world: FakeServer
) -> None:
    outside = Outside(world, mail_server)
    for domain in ("ada.test", "new.test"):
        outside.publish(domain, "none")
    options = filtering(mail_server, world, "--forged-own=refuse")
    with mail_server.reconfigured(spam=options):
        said = outside.bring(BAD, "boss@ada.test", mailbox.address)
        assert said.startswith("554 5.7.1 Mail from this domain must be authenticated")
        assert outside.bring(GOOD, "boss@ada.test", mailbox.address).startswith("250")
        # A domain without a DMARC record cannot be told from a forged one.
        world.add("_dmarc.ada.test", "TXT", '"nothing"')
        # One that is entered now is known without a reload.
        assert outside.bring(BAD, "boss@new.test", mailbox.address).startswith("250")
        domain_of(cy, "new.test")
        assert write_own_domains(mail_server.folder) == 2
        eventually(
            lambda: outside.bring(BAD, "boss@new.test", mailbox.address).startswith("554"),
            seconds=60,
            why=mail_server.complaints,
        )
