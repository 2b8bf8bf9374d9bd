"""The trial's end and a suspended account stop sending; mail still arrives and can be read."""

import smtplib
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.utils import timezone

from billing.models import Account
from deliverability import bounces, pausing
from deliverability.bounces import read_log
from deliverability.models import SendingDay
from mailboxes.models import Alias, Mailbox
from tenants.models import Tenant
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import provisioned

pytestmark = pytest.mark.django_db(transaction=True)


def send(mailbox: Mailbox, to: str, *, as_address: str = "") -> tuple[int, str]:
    """Log in, which works all the time, and try to send."""
    context = ssl.create_default_context(cafile=settings.MAILSERVER_CA_FILE)
    with smtplib.SMTP("localhost", settings.MAILSERVER_SUBMISSION_PORT, timeout=60) as client:
        client.starttls(context=context)
        client.login(mailbox.address, mailbox.password())
        try:
            client.sendmail(as_address or mailbox.address, [to], b"Subject: x\r\n\r\nHello.\r\n")
        except smtplib.SMTPSenderRefused as refused:
            return refused.smtp_code, bytes(refused.smtp_error).decode()
    return 250, ""


def test_only_a_running_account_sends(ada: Person, cy: Person, sandbox: RunningSandbox) -> None:
    _, batch = provisioned(ada, "ada.test", sandbox, count=2)
    _, others = provisioned(cy, "cy.test", sandbox, count=1)
    first, second = batch.mailboxes.all()
    theirs = others.mailboxes.get()
    assert send(first, second.address) == (250, "")

    account = Account.objects.filter(tenant=ada.tenant)
    account.update(trial_ends_at=timezone.now() - timedelta(seconds=1))
    code, why = send(first, second.address)
    assert code == 550
    assert "Your trial has ended. Choose a plan to send again." in why
    assert send(theirs, first.address) == (250, "")
    assert sandbox.mails(to=first.address)  # it still arrives

    account.update(plan="starter")
    assert send(first, second.address) == (250, "")

    Tenant.objects.filter(pk=ada.tenant.pk).update(status=Tenant.SUSPENDED)
    code, why = send(first, second.address)
    assert (code, "Your account is suspended." in why) == (550, True)


def test_what_bounces_is_counted_and_pauses_the_mailbox(
    ada: Person, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    settings.BOUNCE_SAMPLE = 4
    _, batch = provisioned(ada, "ada.test", sandbox, count=1)
    box = batch.mailboxes.get()
    read_log(Path(settings.MAILLOG_FILE))
    for to in ("one@far.test", "two@far.test", "three@bounce.test", "four@bounce.test"):
        assert send(box, to) == (250, "")
    assert send(box, "five@defer.test") == (250, "")
    bounces.sweep()
    day = SendingDay.objects.get(subject_id=box.pk)
    assert (day.delivered, day.bounced, day.deferred) == (2, 2, 1)
    pausing.sweep()
    code, why = send(box, "one@far.test")
    assert (code, "Sending is paused." in why) == (550, True)


def test_an_alias_receives_and_may_be_sent_as(ada: Person, sandbox: RunningSandbox) -> None:
    _, batch = provisioned(ada, "ada.test", sandbox, count=2)
    first, second = batch.mailboxes.order_by("address")
    for address, local_part in (("team@ada.test", "team"), ("@ada.test", "")):
        Alias.objects.create(
            tenant=ada.tenant,
            domain=first.domain,
            mailbox=first,
            local_part=local_part,
            address=address,
        )
    assert send(second, "team@ada.test") == (250, "")
    assert send(second, "nobody-has-this@ada.test") == (250, "")
    assert send(first, second.address, as_address="team@ada.test") == (250, "")
    code, why = send(second, first.address, as_address="team@ada.test")
    assert (code, "not owned by user" in why) == (553, True)
    arrived = [mail["mailbox"] for mail in sandbox.mails() if mail["kind"] == "delivered"]
    assert sorted(arrived) == sorted([first.address, first.address, second.address])
