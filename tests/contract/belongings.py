"""One of everything that a tenant can have and the API can name."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Model

from dnszones.vendors import dns_provider
from events.models import WebhookDelivery
from events.services import create_webhook, record
from tenants.models import Customer, Session
from tenants.selectors import get_user
from tenants.services import create_api_key, start_session
from tests.cast import Person
from tests.wizard.rows import Estate, estate


@dataclass(frozen=True)
class Belongings:
    """A person's things, and a way to see that nobody changed them."""

    person: Person
    estate: Estate
    other_session: UUID
    api_key: UUID
    webhook: UUID
    delivery: UUID
    tenant: UUID
    user: UUID
    customer: UUID
    kept: tuple[Model, ...]

    def is_untouched(self) -> bool:
        """Whether every row says what it said."""
        for row in self.kept:
            now = type(row)._base_manager.filter(pk=row.pk).values().first()
            before = {
                field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields
            }
            ignored = {"updated_at", "last_used_at", "ended_at", "expires_at"}
            assert now is not None, f"{row!r} is gone"
            for name, value in before.items():
                assert name in ignored or now[name] == value, f"{row!r}: {name} changed"
        return True


def belongings(person: Person, domain: str) -> Belongings:
    """Give a person one of everything."""
    theirs = estate(person, domain)
    session = start_session(
        get_user(person.actor), kind=Session.API, address="127.0.0.1", user_agent="x"
    )
    key = create_api_key(person.actor, name="theirs", scopes=["domains:read"]).key
    endpoint, _secret = create_webhook(
        person.actor, url="https://127.0.0.1:8443/theirs", actions=["*"], description="theirs"
    )
    event = record(person.actor, "domain.updated", theirs.domain, "For a delivery.")
    delivery = WebhookDelivery.objects.create(endpoint=endpoint, event=event)
    customer = Customer.objects.get(tenant=person.tenant)
    kept = (
        theirs.domain,
        theirs.plan,
        theirs.session,
        theirs.batch,
        *theirs.mailboxes,
        theirs.alias,
        theirs.invitation,
    )
    fresh = [type(row)._base_manager.get(pk=row.pk) for row in (*kept, key, endpoint)]
    return Belongings(
        person=person,
        estate=theirs,
        other_session=session.pk,
        api_key=key.pk,
        webhook=endpoint.pk,
        delivery=delivery.pk,
        tenant=person.tenant.pk,
        user=person.user.pk,
        customer=customer.pk,
        kept=tuple(fresh),
    )


def make_zone(theirs: Belongings) -> None:
    """Have the provider make the zone that the rows tell of. Needs the sandbox."""
    zone = theirs.estate.zone
    remote = dns_provider(theirs.person.credential).create_zone(zone.domain.name)
    type(zone).objects.filter(pk=zone.pk).update(remote_id=remote.id)
