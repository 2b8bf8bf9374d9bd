"""The whole of it on real servers: PostgreSQL, PowerDNS, Dovecot, Postfix, and what mPanel runs."""

import dkim
import pytest

from deliverability.models import SendingDay
from mailboxes.models import Mailbox
from tests.api import Api
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.policy import policy_service
from tests.powerdns import PrivatePowerDNS
from tests.processes import Process, eventually
from tests.sandboxes import RunningSandbox
from tests.signers import wait_for
from tests.stories import published, use_powerdns
from tests.work import until

pytestmark = [
    pytest.mark.mailserver,
    pytest.mark.powerdns,
    pytest.mark.django_db(transaction=True),
]

LETTER = "From: {0}\r\nTo: {1}\r\nSubject: Hello\r\n\r\nIt works.\r\n"


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_a_domain_goes_in_and_signed_mail_comes_out(
    ada: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS, mail_server: PrivateMailServer
) -> None:
    use_powerdns(ada, powerdns)
    domain = published(ada, "ada.test", sandbox)
    asked = {
        "domain_id": str(domain.pk),
        "inbox_count": 2,
        "naming_convention": "firstname.lastname",
    }
    assert Api(ada.token).post("/api/v1/infrastructure/provision", asked).status == 201
    until(lambda: Mailbox.objects.filter(status=Mailbox.ACTIVE).count() == 2)
    first, second = Mailbox.objects.order_by("pk")
    signer = Process(
        "mailsigner",
        MAILSIGNER_ADDRESS=mail_server.signer_address,
        MAILSIGNER_NEXT_HOP=mail_server.next_hop,
        MAILSIGNER_AUTHORS=mail_server.authors_address,
    )
    with (
        mail_server.reconfigured(signer=True, policy=True),
        policy_service(port=port_of(mail_server.policy_address)),
        signer,
    ):
        wait_for(port_of(mail_server.signer_address))
        with mail_server.submission(first.address, first.password()) as client:
            letter = LETTER.format(first.address, second.address)
            client.sendmail(first.address, [second.address], letter)
        eventually(lambda: mail_server.inbox(second), seconds=5, why=mail_server.complaints)
    with mail_server.imap(second.address, second.password()) as session:
        session.select("INBOX")
        _, [found, *_] = session.fetch("1", "(BODY.PEEK[])")
    assert isinstance(found, tuple)
    message = found[1]
    assert b"It works." in message
    assert SendingDay.objects.get(subject_id=first.pk).sent == 1

    names: list[str] = []

    def ask(name: bytes, timeout: float = 5) -> bytes:
        """The record as PowerDNS answers it: its strings are one text (RFC 6376, 3.6.2.2)."""
        names.append(name.decode())
        (text,) = powerdns.texts(name.decode(), "TXT")
        return text.replace('" "', "").strip('"').encode()

    assert dkim.verify(message, dnsfunc=ask)
    assert names == ["mpanel._domainkey.ada.test."]
    assert not dkim.verify(message.replace(b"It works.", b"It sells."), dnsfunc=ask)
    assert b"d=ada.test" in message
