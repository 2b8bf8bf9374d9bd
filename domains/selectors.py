"""Reading domains; an actor sees their own tenant's only."""

from uuid import UUID

from django.db.models import Q

from domains.models import Domain, DomainQuerySet
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound


class DomainNotFound(NotFound):
    """There is no such domain in your account."""

    code = "DOMAIN_NOT_FOUND"


def domains(actor: Actor, *, search: str = "", status: str = "") -> DomainQuerySet:
    """The tenant's domains, by name."""
    actor.need("domains:read")
    found = Domain.objects.filter(tenant_id=actor.tenant_id)
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
