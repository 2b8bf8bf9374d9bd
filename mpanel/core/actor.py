"""Who acts: a plain value that every service and selector takes."""

from dataclasses import dataclass, replace
from uuid import UUID

from mpanel.core.errors import Forbidden, MPanelError

OWNER, ADMIN, MEMBER = "owner", "admin", "member"
RANKS = {MEMBER: 1, ADMIN: 2, OWNER: 3}

# What an API key may be given. A key can never do more than the person who made it.
SCOPES = {
    "domains:read": "See domains",
    "domains:write": "Connect, register and change domains",
    "dns:read": "See DNS plans, records and how they spread",
    "dns:write": "Plan and write DNS records",
    "mailboxes:read": "See mailboxes",
    "mailboxes:write": "Create, suspend and delete mailboxes",
    "mailboxes:reveal": "See mailbox passwords",
    "jobs:read": "See jobs",
    "jobs:write": "Retry and cancel jobs",
    "account:read": "See profile, plan, trial and notifications",
    "account:write": "Change profile and notifications",
    "webhooks:read": "See webhooks and their deliveries",
    "webhooks:write": "Create, change and delete webhooks",
    "audit:read": "Read the audit log",
    "operator": "Act as an operator, where the person is one",
}

# To work with a thing is to see it, and the domain that it stands on.
IMPLIED = {
    "domains:read": {"domains:write", "dns:read", "dns:write", "mailboxes:read", "mailboxes:write"},
    "dns:read": {"dns:write", "mailboxes:write"},
    "mailboxes:read": {"mailboxes:write", "mailboxes:reveal"},
    "jobs:read": {"jobs:write", "domains:write", "dns:write", "mailboxes:write"},
    "account:read": {"account:write"},
    "webhooks:read": {"webhooks:write"},
}


class ScopeMissing(Forbidden):
    """This API key does not have the scope that this needs."""

    code = "SCOPE_MISSING"


class PersonNeeded(Forbidden):
    """An API key may not do this. Please sign in."""

    code = "PERSON_NEEDED"


class CodeNeeded(MPanelError):
    """Confirm that it is you first, with a fresh code by e-mail: open /confirm/ in this browser. An
    access token or an API key needs none."""

    code = "CODE_NEEDED"
    status = 403


@dataclass(frozen=True)
class Actor:
    """A user within one tenant, or mPanel itself when `user_id` is None.

    `role`: owner, admin or member of that tenant. `scopes`: what an API key is limited to, None
    for no limit. `address`: where the request came from. `via`: what the person acts through, ""
    for a session. `session_id`, `key_id`: which one. `request_id`: for the log. `needs_code`: a
    browser that was signed in a while ago, so that somebody else may sit before it now.
    """

    tenant_id: UUID
    user_id: UUID | None = None
    email: str = ""
    role: str = MEMBER
    is_operator: bool = False
    address: str = ""
    scopes: frozenset[str] | None = None
    via: str = ""
    session_id: UUID | None = None
    key_id: UUID | None = None
    request_id: str = ""
    needs_code: bool = False

    @property
    def person_id(self) -> UUID:
        """The user who acts. mPanel itself never asks for this."""
        assert self.user_id is not None
        return self.user_id

    @property
    def is_admin(self) -> bool:
        """Whether the actor may do more than look."""
        return RANKS[self.role] >= RANKS[ADMIN]

    def require(self, role: str, scope: str = "") -> None:
        """Raise `Forbidden` unless the actor has at least this role, and the scope."""
        if scope:
            self.need(scope)
        if RANKS[self.role] < RANKS[role]:
            raise Forbidden(f"This needs the role {role}; yours is {self.role}.")

    def need(self, scope: str) -> None:
        """Raise `ScopeMissing` where an API key was not given this scope."""
        if self.scopes is None or scope in self.scopes:
            return
        if not self.scopes & IMPLIED.get(scope, frozenset()):
            raise ScopeMissing(f"This API key does not have the scope {scope}.")

    def require_person(self) -> None:
        """Raise `PersonNeeded` for an API key: it never manages access itself."""
        if self.scopes is not None:
            raise PersonNeeded

    def require_fresh_code(self) -> None:
        """Raise `CodeNeeded` for a browser that may have been left open (docs/decisions/0038).

        Every service that gives lasting access or hands out a secret calls this, next to `require`.
        """
        if self.needs_code:
            raise CodeNeeded

    def require_operator(self) -> None:
        """Raise `Forbidden` unless the actor runs this installation."""
        self.need("operator")
        if not self.is_operator:
            raise Forbidden("Only operators may do this.")


def acting_for(operator: Actor, tenant_id: UUID) -> Actor:
    """An operator at work in a tenant: may do what its owner may, and is named as an operator.

    Raises `Forbidden` for whoever is no operator.
    """
    operator.require_operator()
    via = f"operator ({operator.via})" if operator.via else "operator"
    return replace(operator, tenant_id=tenant_id, role=OWNER, scopes=None, via=via)


def system(tenant_id: UUID) -> Actor:
    """mPanel acting by itself for a tenant, e.g. a sweep."""
    return Actor(tenant_id=tenant_id, email="mPanel", role=OWNER)
