"""Addresses that lead to nobody yet, or to several: nothing bounces to whom a forger named."""

import pytest

from dnszones.models import Record, Zone
from mailboxes.models import Alias
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, domain_of, inbox
from tests.mailserver.test_sieve import arrived, bring
from tests.processes import eventually

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

BIG = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 10_000


def test_reports_are_taken_before_the_first_inbox(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    domain, host = domain_of(ada, "new.test"), inbox(ada, "ops@host.test")
    zone = Zone.objects.create(domain=domain, provider="cloudflare", remote_id=domain.name)
    for purpose, content in (
        ("dmarc", "v=DMARC1; p=none; rua=mailto:Reports@new.test!10m,mailto:x@else.test"),
        ("tls-rpt", "v=TLSRPTv1; rua=mailto:tls@new.test"),
        ("spf", "v=spf1 exp=mailto:spf@new.test -all"),
    ):
        Record.objects.create(
            zone=zone, purpose=purpose, name=domain.name, type="TXT", content=content, ttl=300
        )
    with mail_server.reconfigured(postmaster=host.address):
        for number, address in enumerate(("reports@new.test", "tls@new.test"), 1):
            assert bring(mail_server, address).startswith("250"), address
            arrived(mail_server, host, number)
        for address in ("x@else.test", "spf@new.test", "report@new.test"):
            assert bring(mail_server, address)[:3] in {"550", "554"}, address
        # An inbox of that name takes them from then on.
        first = inbox(ada, "reports@new.test")
        eventually(lambda: bring(mail_server, first.address) and mail_server.inbox(first))
    eventually(lambda: not mail_server.queue())


def test_an_alias_of_several_mailboxes_waits_for_the_full_one_only(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    roomy, full = inbox(ada, "ada@ada.test"), inbox(ada, "full@ada.test", quota_mb=1)
    for mailbox in (roomy, full):
        Alias.objects.create(
            tenant=ada.tenant,
            domain=mailbox.domain,
            mailbox=mailbox,
            local_part="all",
            address="all@ada.test",
        )
    for number in (1, 2):
        assert bring(mail_server, full.address, BIG).startswith("250")
        arrived(mail_server, full, number)
    assert bring(mail_server, full.address).startswith("552")
    assert bring(mail_server, "all@ada.test").startswith("250")
    arrived(mail_server, roomy, 1)
    eventually(lambda: [row for row in mail_server.queue() if row["queue_name"] == "deferred"])
    with mail_server.imap(full.address, PASSWORD) as client:
        client.select("INBOX")
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()
    mail_server.flush()
    arrived(mail_server, full, 1)
    assert len(mail_server.inbox(roomy)) == 1
    assert "status=bounced" not in mail_server.said
