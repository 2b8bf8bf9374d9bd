"""Reading domains; an actor sees their own tenant's only."""

from uuid import UUID

from django.db.models import Q

from domains.models import Domain, DomainQuerySet, Registration
from domains.providers.base import Contact
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import NotFound
from provisioning.models import Job
from provisioning.selectors import jobs


class DomainNotFound(NotFound):
    """There is no such domain in your account."""

    code = "DOMAIN_NOT_FOUND"


def domains(actor: Actor, *, search: str = "", status: str = "") -> DomainQuerySet:
    """The tenant's domains, by name."""
    actor.need("domains:read")
    found = Domain.objects.filter(tenant_id=actor.tenant_id).select_related("registration")
    if search:
        found = found.filter(Q(name__icontains=search) | Q(unicode_name__icontains=search))
    if status:
        found = found.filter(status=status)
    return found


def get_domain(actor: Actor, domain_id: UUID) -> Domain:
    """One domain of the tenant. Raises `DomainNotFound`."""
    try:
        return domains(actor).get(pk=domain_id)
    except Domain.DoesNotExist:
        raise DomainNotFound from None


def domain_called(actor: Actor, name: str) -> Domain:
    """The tenant's domain of this name, in ASCII or not. Raises `DomainNotFound`."""
    name = name.lower()
    if found := domains(actor).filter(Q(name=name) | Q(unicode_name=name)).first():
        return found
    raise DomainNotFound


# Workflows at whose end a domain is verified.
CONNECTING = ("domains.connect", "domains.register")


def connecting_job(actor: Actor, domain: Domain) -> Job | None:
    """The newest job that connects or registers a domain."""
    return jobs(actor).filter(workflow__in=CONNECTING, subject_id=domain.pk).first()


def deployment_of(actor: Actor, domain_id: UUID) -> UUID:
    """The id of the newest job that connects or registers a domain that was just begun."""
    found = jobs(actor).filter(workflow__in=CONNECTING, subject_id=domain_id)
    return found.values_list("pk", flat=True)[0]


def registration_of(domain: Domain) -> Registration | None:
    """How the domain was bought here, if it was."""
    return Registration.objects.filter(domain=domain).select_related("credential").first()


def last_contact(actor: Actor) -> Contact | None:
    """The contact for which the tenant registered a domain last."""
    actor.require(ADMIN, "domains:write")
    latest = Registration.objects.filter(tenant_id=actor.tenant_id).first()
    return latest.contact if latest else None
