"""Sending limits on the real Postfix, which asks the policy service at DATA."""

import smtplib

import pytest
from django.conf import LazySettings
from django.utils import timezone

from billing.models import Account
from deliverability.counting import scripts_of
from deliverability.limits import today
from deliverability.models import SendingDay
from mailboxes.models import Mailbox
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.mailserver.test_sieve import ManageSieve, arrived, bring, set_and_tell
from tests.policy import policy_service
from tests.processes import eventually

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

HELLO = "Subject: Hi\r\n\r\nHello.\r\n"


def send(client: smtplib.SMTP, sender: str, *to: str) -> str:
    """What the server says to a message at once, in a session that stays open."""
    try:
        client.sendmail(sender, list(to), HELLO)
    except smtplib.SMTPResponseException as refused:
        client.rset()
        said = refused.smtp_error
        return f"{refused.smtp_code} {said.decode() if isinstance(said, bytes) else said}"
    except smtplib.SMTPRecipientsRefused as refused:
        client.rset()
        (code, said), *_ = refused.recipients.values()
        return f"{code} {said.decode()}"
    return "250"


def test_limits_hold_in_an_open_session(ada: Person, mail_server: PrivateMailServer) -> None:
    box, friend = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    rows, account = Mailbox.objects.filter(pk=box.pk), Account.objects.filter(tenant=ada.tenant)
    Account.objects.get_or_create(tenant=ada.tenant)
    rows.update(daily_limit=3)
    port = int(mail_server.policy_address.rpartition(":")[2])
    with (
        mail_server.reconfigured(policy=True),
        policy_service(port=port),
        mail_server.submission(box.address, PASSWORD) as client,
    ):
        assert send(client, box.address, friend.address, box.address) == "250"
        said = send(client, box.address, friend.address, box.address)
        assert said.startswith("450 4.7.1 <DATA>: Data command rejected: The daily limit of this")
        assert "2 of 3 recipients used" in said
        assert send(client, box.address, friend.address) == "250"
        assert send(client, box.address, friend.address).startswith("450 4.7.1")

        for changes, why in (
            ({"status": Mailbox.SUSPENDED}, "This mailbox is suspended."),
            ({"paused_at": timezone.now(), "paused_reason": "Bounces."}, "Sending is paused."),
        ):
            rows.update(**changes)
            said = send(client, box.address, friend.address)
            assert said.startswith("550 5.7.1"), said
            assert why in said
            rows.update(status=Mailbox.ACTIVE, paused_at=None)
        account.update(trial_ends_at=timezone.now())
        said = send(client, box.address, friend.address)
        assert said.startswith("550 5.7.1"), said
        assert "Your trial has ended." in said
    counted = SendingDay.objects.get(subject_id=box.pk, day=today())
    assert counted.sent == 3


def test_what_filter_scripts_send_is_counted_and_stays_when_it_is_too_much(
    ada: Person, mail_server: PrivateMailServer, settings: LazySettings
) -> None:
    settings.MAILBOX_SCRIPTS_LIMIT = 1
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    Account.objects.get_or_create(tenant=ada.tenant)
    set_and_tell(ada, first, forward_to=[second.address], keeps_copy=False)
    port = int(mail_server.policy_address.rpartition(":")[2])
    with mail_server.reconfigured(policy=True), policy_service(port=port):
        bring(mail_server, first.address)
        arrived(mail_server, second, 1)
        bring(mail_server, first.address)
        arrived(mail_server, first, 1)
        # A script that forwards bounces, too: nobody would be counted for those.
        program = ManageSieve(mail_server, first.address)
        assert program.put("own", f'redirect "{second.address}";').startswith(b"OK")
        assert program.say('SETACTIVE "own"').startswith(b"OK")
        settings.MAILBOX_SCRIPTS_LIMIT = 10
        bring(mail_server, first.address, sender="<>")
        arrived(mail_server, first, 2)
    arrived(mail_server, second, 1)
    eventually(lambda: not mail_server.queue())
    counted = SendingDay.objects.filter(day=today()).values_list("subject_id", "sent")
    assert list(counted) == [(scripts_of(first.pk), 1)]
