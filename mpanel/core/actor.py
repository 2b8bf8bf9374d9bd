"""Who acts: a plain value that every service and selector takes."""

from dataclasses import dataclass
from uuid import UUID

from mpanel.core.errors import Forbidden

OWNER, ADMIN, MEMBER = "owner", "admin", "member"
RANKS = {MEMBER: 1, ADMIN: 2, OWNER: 3}


@dataclass(frozen=True)
class Actor:
    """A user within one tenant, or mPanel itself when `user_id` is None.

    `role`: owner, admin or member of that tenant. `address`: where the request came from.
    """

    tenant_id: UUID
    user_id: UUID | None = None
    email: str = ""
    role: str = MEMBER
    is_operator: bool = False
    address: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether the actor may do more than look."""
        return RANKS[self.role] >= RANKS[ADMIN]

    def require(self, role: str) -> None:
        """Raise `Forbidden` unless the actor's role is at least this one."""
        if RANKS[self.role] < RANKS[role]:
            raise Forbidden(f"This needs the role {role}; yours is {self.role}.")


def system(tenant_id: UUID) -> Actor:
    """mPanel acting by itself for a tenant, e.g. a sweep."""
    return Actor(tenant_id=tenant_id, email="mPanel", role=OWNER)
