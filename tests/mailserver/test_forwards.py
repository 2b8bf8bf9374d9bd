"""Forwarding that somebody set in a mail program is told of, seen on the real servers."""

import pytest

from deliverability.bounces import read_log
from events.models import Event
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import inbox
from tests.mailserver.test_sieve import ManageSieve, arrived, bring, set_and_tell

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]


def test_a_script_of_a_mail_program_that_forwards_outside_is_told_of_once(
    ada: Person, cy: Person, mail_server: PrivateMailServer
) -> None:
    read_log(mail_server.log)  # of other tests
    box, other, ours = (inbox(ada, f"{name}@ada.test") for name in ("ada", "bo", "eve"))
    spy, friend = inbox(cy, "spy@cy.test"), inbox(cy, "friend@cy.test")
    program = ManageSieve(mail_server, box.address)
    script = 'require "copy"; redirect :copy "Spy@cy.test"; redirect :copy "bo@ada.test"; keep;'
    assert program.put("own", script).startswith(b"OK")
    assert program.say('SETACTIVE "own"').startswith(b"OK")
    set_and_tell(ada, ours, forward_to=["friend@cy.test"])

    # Nobody can name another mailbox by a header of the message.
    forged = (
        f"From: x@out.test\r\nX-Sieve-Redirected-From: x; from=<{other.address}> to=<y@out.test> "
        "proto=ESMTP\r\nSubject: Hi\r\n\r\nHello.\r\n"
    )
    assert bring(mail_server, box.address, forged).startswith("250")
    assert bring(mail_server, box.address).startswith("250")
    assert bring(mail_server, ours.address).startswith("250")
    for mailbox, number in ((other, 2), (spy, 2), (friend, 1)):
        arrived(mail_server, mailbox, number)
    while read_log(mail_server.log):
        pass
    told = Event.objects.get(action="mailbox.forwarded", sentence__startswith="A script")
    assert told.subject_id == box.pk
    assert told.sentence == (
        "A script in a mail program forwards mail of ada@ada.test outside, to spy@cy.test."
    )
