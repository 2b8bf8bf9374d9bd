"""Sending limits on the real Postfix, which asks the policy service at DATA."""

import smtplib

import pytest
from django.utils import timezone

from billing.models import Account
from mailboxes.models import Mailbox, SendingDay
from mailboxes.sending.limits import today
from tests.cast import Person
from tests.mailserver.rooms import PASSWORD, inbox
from tests.mailservers import PrivateMailServer
from tests.policy import policy_service

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
