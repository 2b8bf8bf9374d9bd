"""Signers are restarted while mail is sent, and no message waits because one of them stopped."""

import re
from contextlib import ExitStack

import pytest
from django.conf import LazySettings

from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.test_key_rotation import Signers, arrived, signed_mailbox, traffic
from tests.processes import eventually

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

RESTARTS = 3
PATIENCE = 900.0  # seconds; bounds a hang, not the machine
# What Postfix says of a signer, or of a milter, that goes away: not of one that is slow.
DROPPED = re.compile(
    r"(?:status=deferred|warning: milter).*(?:lost connection|refused|reset|Success)", re.IGNORECASE
)


def test_no_message_waits_because_a_signer_stops(
    ada: Person, mail_server: PrivateMailServer, settings: LazySettings
) -> None:
    ring = list(settings.ENCRYPTION_KEYS)
    mailboxes = [signed_mailbox(ada, "ada.test")]
    with mail_server.reconfigured(signer=True), ExitStack() as started:
        signers = Signers(mail_server, started)
        signers.restart(ring)
        with traffic(mail_server, mailboxes) as seen:
            seen.goes_on()
            for _ in range(RESTARTS):
                signers.restart(ring)
                seen.goes_on()
        taken = set(seen.taken)
        eventually(lambda: taken <= set(arrived(mail_server, mailboxes)), seconds=PATIENCE)
    said = "".join(log.read_text() for log in (mail_server.folder / "log").glob("postfix.log*"))
    assert DROPPED.findall(said) == []
