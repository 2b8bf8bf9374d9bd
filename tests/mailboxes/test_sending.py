"""The trial's end and a suspended account stop sending; mail still arrives and can be read."""

import smtplib
import ssl
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from billing.models import Account
from mailboxes.models import Mailbox
from tenants.models import Tenant
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import provisioned

pytestmark = pytest.mark.django_db(transaction=True)


def send(mailbox: Mailbox, to: str) -> tuple[int, str]:
    """Log in, which works all the time, and try to send."""
    context = ssl.create_default_context(cafile=settings.MAILSERVER_CA_FILE)
    with smtplib.SMTP("localhost", settings.MAILSERVER_SUBMISSION_PORT, timeout=5) as client:
        client.starttls(context=context)
        client.login(mailbox.address, mailbox.password())
        try:
            client.sendmail(mailbox.address, [to], b"Subject: x\r\n\r\nHello.\r\n")
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
