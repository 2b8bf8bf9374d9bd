"""Who may be told of what a tenant does. The app that knows its members says so."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from mpanel.core.extensions import Extensions


@dataclass(frozen=True)
class Recipient:
    """A member of a tenant."""

    tenant_id: UUID
    user_id: UUID
    email: str
    role: str


type Find = Callable[[Iterable[UUID]], Iterable[Recipient]]

# Finds the members of tenants, with one query for all of them.
_finders: Extensions[Find] = Extensions("the members of tenants")
register = _finders.register


def members_of(tenant_ids: Iterable[UUID]) -> dict[UUID, list[Recipient]]:
    """The members of these tenants, by tenant."""
    found: dict[UUID, list[Recipient]] = {tenant_id: [] for tenant_id in tenant_ids}
    for find in _finders:
        for member in find(list(found)):
            found[member.tenant_id].append(member)
    return found
