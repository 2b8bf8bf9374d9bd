"""Whose mail the server takes: an attack on others' names, refused at each step, and a domain that
is lost and comes back; with the real PowerDNS, Dovecot and Postfix."""

import subprocess
from datetime import timedelta

import pytest
from django.utils import timezone

from domains.models import Domain
from domains.ownership import recheck_due_domains
from domains.reserved import NameReserved
from domains.services import connect_domain
from mailboxes.maildomains import attach_mail
from mailboxes.models import Alias, Mailbox
from mailboxes.services import place_domain
from provisioning.models import Job
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.mailserver.test_mail_flows import incoming, received, send
from tests.powerdns import NAMESERVERS, PrivatePowerDNS
from tests.sandboxes import RunningSandbox
from tests.stories import connected, use_powerdns, verified
from tests.work import hurry, work_off

pytestmark = [
    pytest.mark.mailserver,
    pytest.mark.powerdns,
    pytest.mark.django_db(transaction=True),
]
PARKING = ["ns1.parking-sandbox.test", "ns2.parking-sandbox.test"]


def is_local(server: PrivateMailServer, name: str) -> bool:
    """Whether Postfix takes a domain as one that it is the last stop of."""
    configuration = server.folder / "postfix"
    asked = ["/usr/sbin/postconf", "-c", str(configuration), "-h", "virtual_mailbox_domains"]
    table = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    asked = ["/usr/sbin/postmap", "-c", str(configuration), "-q", name, table]
    return bool(subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip())


def looked_at(domain: Domain) -> Domain:
    """The domain after the sweep came to it."""
    Domain.objects.update(delegation_checked_at="2000-01-01T00:00Z")
    recheck_due_domains()
    work_off()
    domain.refresh_from_db()
    return domain


def lost(domain: Domain) -> Domain:
    """The domain after it was seen to be gone often and, by the rows, long enough."""
    for _ in range(2):
        looked_at(domain)
    since = timezone.now() - timedelta(hours=73)
    Domain.objects.filter(pk=domain.pk).update(gone_since=since)
    return looked_at(domain)


def test_names_of_others_are_never_local_to_the_mail_server(
    cy: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS, mail_server: PrivateMailServer
) -> None:
    use_powerdns(cy, powerdns)
    # A public mail provider's name, and one of this service's own.
    for name in ("gmail.com", "mail-sandbox.test"):
        with pytest.raises(NameReserved):
            connect_domain(cy.actor, name, credential_id=cy.credential.pk)
        assert not is_local(mail_server, name)
    # The host's company zone, at its own nameservers, without a row here.
    powerdns.request(
        "POST", "/zones", {"name": "company.test.", "kind": "Native", "nameservers": []}
    )
    sandbox.set_nameservers("company.test", list(NAMESERVERS))
    before = powerdns.request("GET", "/zones/company.test.").json()["rrsets"]
    company = connected(cy, "company.test")
    job = Job.objects.get(subject_id=company.pk)
    assert job.status == Job.FAILED, job.waiting_for
    assert powerdns.request("GET", "/zones/company.test.").json()["rrsets"] == before
    # A stranger's domain: the zone here is Cy's, the one that the world sees is not.
    sandbox.set_nameservers("stranger.test", PARKING)
    strangers = connected(cy, "stranger.test")
    hurry()
    # Were the stranger's nameservers typed in somewhere, they would still not have Cy's token.
    Domain.objects.filter(pk=strangers.pk).update(nameservers=PARKING)
    hurry()
    for domain in (company, strangers):
        domain.refresh_from_db()
        assert not domain.is_verified
        attach_mail(cy.actor, domain.pk)
        place_domain(domain)
        Mailbox(
            tenant_id=cy.actor.tenant_id, domain=domain, local_part="ceo",
            address=f"ceo@{domain.name}", status=Mailbox.ACTIVE,
        ).save()  # fmt: skip
        assert not is_local(mail_server, domain.name)
        assert incoming(mail_server, "bo@outside.test", f"ceo@{domain.name}").startswith("554")


def test_mail_stops_with_the_proof_is_kept_and_comes_back_with_it(
    ada: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS, mail_server: PrivateMailServer
) -> None:
    use_powerdns(ada, powerdns)
    domain = verified(ada, "ada.test", sandbox)
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    Alias.objects.create(
        tenant_id=ada.actor.tenant_id, domain=domain, mailbox=first, local_part="",
        address="@ada.test",
    )  # fmt: skip
    assert is_local(mail_server, "ada.test")
    send(mail_server, second.address, first.address)
    received(mail_server, first)

    sandbox.set_nameservers("ada.test", PARKING)
    looked_at(domain)
    assert is_local(mail_server, "ada.test"), "one look is no reason"
    lost(domain)
    assert domain.is_revoked
    assert not is_local(mail_server, "ada.test")
    for address in (first.address, "anybody@ada.test"):
        assert incoming(mail_server, "bo@outside.test", address).startswith("554")
    assert len(mail_server.inbox(first)) == 1, "what arrived is kept"

    sandbox.set_nameservers("ada.test", domain.nameservers)
    looked_at(domain)
    assert domain.is_verified
    assert is_local(mail_server, "ada.test")
    with mail_server.submission(first.address, PASSWORD):
        pass
    # Postfix remembers where an address leads, but for no longer than ten connections.
    answers = (incoming(mail_server, "bo@outside.test", first.address) for _ in range(11))
    assert any(answer.startswith("250") for answer in answers)
    assert len(received(mail_server, first, 2)) == 2


def test_the_new_owner_of_a_name_is_never_served_the_former_owner_s_mail(
    ada: Person, cy: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS,
    mail_server: PrivateMailServer,
) -> None:  # fmt: skip
    use_powerdns(ada, powerdns)
    adas = verified(ada, "name.test", sandbox)
    former = inbox(ada, "info@name.test")
    former.set_password("A-former-password-1")
    former.save()
    sandbox.set_nameservers("name.test", PARKING)
    lost(adas)
    present = inbox(cy, "info@name.test")  # Cy has proved it with an account of her own
    assert incoming(mail_server, "bo@outside.test", present.address).startswith("250")
    received(mail_server, present)
    assert mail_server.inbox(former) == []
    with mail_server.imap(present.address, PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]
