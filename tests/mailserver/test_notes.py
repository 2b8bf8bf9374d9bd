"""What scripts of mailboxes send, on the real servers: their notes signed, all else as it came."""

from collections.abc import Iterator

import dkim
import pytest
from django.utils import timezone

from deliverability.bounces import read_log
from deliverability.models import SendingDay
from dnszones.dkim.keys import dkim_key
from dnszones.dkim.records import make_key
from dnszones.models import DkimKey, Zone
from mailboxes.models import Mailbox
from mailboxes.services import Vacation, create_alias
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import inbox
from tests.mailserver.test_sieve import arrived, bring, set_and_tell
from tests.mailserver.test_signed import signer
from tests.processes import eventually
from tests.signers import verifies, wait_for
from tests.work import work_off

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

STRANGER = make_key()
NOTE = Vacation(subject="Away", text="Back on Monday.")


@pytest.fixture
def server(mail_server: PrivateMailServer) -> Iterator[PrivateMailServer]:
    """The mail server, with a signer."""
    with mail_server.reconfigured(signer=True), signer(mail_server):
        wait_for(int(mail_server.signer_address.rpartition(":")[2]))
        yield mail_server


def with_key(mailbox: Mailbox) -> Mailbox:
    zone = Zone.objects.create(
        domain=mailbox.domain, provider="cloudflare", remote_id=mailbox.domain.name
    )
    dkim_key(zone, "mpanel")
    return mailbox


def published() -> dict[str, str]:
    keys = DkimKey.objects.select_related("zone__domain")
    return {f"{key.selector}._domainkey.{key.zone.domain.name}": key.public_value for key in keys}


def signatures(message: str) -> int:
    return message.count("DKIM-Signature:")


def test_a_vacation_note_is_signed_by_its_mailbox_and_forwarded_mail_by_its_author_only(
    ada: Person, cy: Person, server: PrivateMailServer
) -> None:
    first, friend = with_key(inbox(ada, "ada@ada.test")), inbox(ada, "bo@ada.test")
    stranger = with_key(inbox(cy, "cy@cy.test"))
    create_alias(ada.actor, first.pk, local_part="sales")
    read_log(server.log)  # of other tests
    SendingDay.objects.all().delete()
    set_and_tell(ada, first, vacation=NOTE, forward_to=[friend.address])

    bring(server, "sales@ada.test", sender=stranger.address)
    (note,) = arrived(server, stranger, 1)
    assert note["Auto-Submitted"] == "auto-replied (vacation)"
    assert signatures(server.inbox(stranger)[0]) == 1
    assert verifies(server.inbox(stranger)[0].encode(), published())

    # Another customer's message was sent on: not refused, and not signed as anybody.
    assert [one["From"] for one in arrived(server, friend, 1)] == [stranger.address]
    assert signatures(server.inbox(friend)[0]) == 0

    # The author's signature holds, and stays the only one.
    text = b"From: x@out.test\r\nTo: ada@ada.test\r\nSubject: signed\r\n\r\nHello.\r\n"
    signed = dkim.sign(text, b"s1", b"out.test", STRANGER.private_pem.encode()) + text
    bring(server, first.address, signed.decode())
    arrived(server, friend, 2)
    sent_on = server.inbox(friend)[1]
    assert signatures(sent_on) == 1
    assert dkim.verify(sent_on.encode(), dnsfunc=lambda *_args, **_more: STRANGER.value.encode())

    # Who forges the mailbox itself gets no signature by having it sent on.
    forged = f"From: {first.address}\r\nAuto-Submitted: auto-replied\r\n\r\nPay me.\r\n"
    bring(server, first.address, forged, sender="x@out.test")
    arrived(server, friend, 3)
    assert signatures(server.inbox(friend)[2]) == 0
    eventually(lambda: not server.queue())
    assert "status=bounced" not in server.said

    # Strangers set these off, so none of it counts for or against the mailbox.
    assert server.said.count("postfix/signed/smtpd") > 3
    assert read_log(server.log)
    assert not SendingDay.objects.exists()


def test_a_paused_mailbox_sends_no_vacation_note_under_any_of_its_addresses(
    ada: Person, server: PrivateMailServer
) -> None:
    first, friend = with_key(inbox(ada, "ada@ada.test")), inbox(ada, "bo@ada.test")
    create_alias(ada.actor, first.pk, local_part="sales")
    set_and_tell(ada, first, vacation=NOTE)
    work_off()
    Mailbox.objects.filter(pk=first.pk).update(paused_at=timezone.now())
    for number, address in enumerate((first.address, "sales@ada.test"), 1):
        bring(server, address, sender=friend.address)
        arrived(server, first, number)
        eventually(lambda: server.said.count("Sending is paused") == number)  # noqa: B023
    assert server.inbox(friend) == []
    eventually(lambda: not server.queue())
