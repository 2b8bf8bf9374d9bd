"""Mailboxes as rows, for tests of the server that reads them."""

from typing import Any

from django.utils import timezone

from domains.models import Domain
from mailboxes.models import Mailbox
from mailboxes.passwords import mail_hash
from mailboxes.services import place_domain
from tests.cast import Person

PASSWORD = "Right3password4here"


def domain_of(person: Person, name: str) -> Domain:
    """A verified domain of the person, placed on the house's server."""
    domain, _ = Domain.objects.get_or_create(
        tenant_id=person.actor.tenant_id,
        name=name,
        defaults={
            "unicode_name": name,
            "dns_credential": person.credential,
            "status": Domain.PROVISIONED,
            "verified_at": timezone.now(),
        },
    )
    place_domain(domain)
    return domain


def inbox(person: Person, address: str, *, quota_mb: int = 10, **columns: Any) -> Mailbox:
    """A proved mailbox whose password is `PASSWORD`."""
    local_part, _, domain_name = address.partition("@")
    mailbox = Mailbox(
        tenant_id=person.actor.tenant_id,
        domain=domain_of(person, domain_name),
        local_part=local_part,
        address=address,
        quota_mb=quota_mb,
        status=Mailbox.ACTIVE,
    )
    mailbox.set_password(PASSWORD)
    mailbox.password_hash = mail_hash(PASSWORD, 4)
    for name, value in columns.items():
        setattr(mailbox, name, value)
    mailbox.save()
    return mailbox


def move_domain(domain: Domain, person: Person) -> None:
    """The domain is let go, and another person shows that it is theirs."""
    Domain.objects.filter(pk=domain.pk).update(verified_at=None)
    domain_of(person, domain.name)
