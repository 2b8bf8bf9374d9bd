"""Reading who is who; an actor sees their own tenant only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from events.recipients import Recipient
from mpanel.core.actor import Actor
from mpanel.core.errors import Invalid, NotFound
from tenants.included import AccountNotIncluded
from tenants.models import (
    ApiKey,
    Membership,
    ProviderCredential,
    ProviderCredentialQuerySet,
    SecondFactor,
    Session,
    Tenant,
    User,
)


class CredentialNotFound(NotFound):
    """There is no such credential."""

    code = "CREDENTIAL_NOT_FOUND"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "SESSION_NOT_FOUND"


class ApiKeyNotFound(NotFound):
    """There is no such API key."""

    code = "API_KEY_NOT_FOUND"


def membership_of(user: User) -> Membership | None:
    """The membership that a user acts in when they sign in: of the tenants that are not suspended,
    where they were last, else their first."""
    last = Session.objects.filter(membership=OuterRef("pk")).order_by("-last_used_at")
    return (
        Membership.objects.filter(user=user, tenant__status=Tenant.ACTIVE)
        .select_related("user", "tenant")
        .annotate(last_used_at=Subquery(last.values("last_used_at")[:1]))
        .order_by(F("last_used_at").desc(nulls_last=True), "created_at", "pk")
        .first()
    )


def actor_for(user: User, *, address: str) -> Actor | None:
    """Who this user acts as, outside of any session."""
    membership = membership_of(user)
    if membership is None or not user.is_active:
        return None
    return _actor(membership, address=address)


def actor_as(membership: Membership, *, address: str) -> Actor:
    """Who this member acts as, outside of any session."""
    return _actor(membership, address=address)


def actor_in(session: Session, *, address: str, request_id: str = "") -> Actor:
    """Who acts in a session."""
    return _actor(session.membership, address=address, request_id=request_id, session_id=session.pk)


def actor_of_key(key: ApiKey, *, address: str, request_id: str = "") -> Actor:
    """Who acts through an API key: the person who made it, within its scopes."""
    return _actor(
        key.membership,
        address=address,
        request_id=request_id,
        key_id=key.pk,
        scopes=frozenset(key.scopes),
        via=f"API key “{key.name}”",
    )


def _actor(membership: Membership, **about: Any) -> Actor:
    user = membership.user
    return Actor(
        tenant_id=membership.tenant_id,
        user_id=user.pk,
        email=user.email,
        role=membership.role,
        is_operator=user.is_operator,
        **about,
    )


def may_act(membership: Membership) -> bool:
    """Whether neither the user nor the tenant is suspended."""
    return membership.user.is_active and membership.tenant.status == Tenant.ACTIVE


def live_session(session_id: UUID) -> Session | None:
    """A session that was not ended, with who acts in it: one query."""
    return (
        Session.objects.live()
        .filter(pk=session_id)
        .select_related("membership__user", "membership__tenant")
        .first()
    )


def sessions(actor: Actor) -> QuerySet[Session]:
    """The person's own live sessions in all their tenants, the last used first."""
    actor.require_person()
    return (
        Session.objects.live()
        .filter(membership__user_id=actor.person_id)
        .select_related("membership__user")
    )


def get_session(actor: Actor, session_id: UUID) -> Session:
    """One live session of the person's own. Raises `SessionNotFound`."""
    if session := sessions(actor).filter(pk=session_id).first():
        return session
    raise SessionNotFound


def own_membership(actor: Actor) -> Membership:
    """What makes the person a member of the tenant."""
    return Membership.objects.get(tenant_id=actor.tenant_id, user_id=actor.person_id)


def api_keys(actor: Actor, *, search: str = "") -> QuerySet[ApiKey]:
    """The keys that are not revoked: an admin sees the tenant's, others their own."""
    actor.require_person()
    found = ApiKey.objects.filter(membership__tenant_id=actor.tenant_id, revoked_at=None)
    if search:
        of_key = Q(prefix__startswith=search.removeprefix("mpk_"))
        found = found.filter(Q(name__icontains=search) | of_key)
    if not actor.is_admin:
        found = found.filter(membership__user_id=actor.person_id)
    return found.select_related("membership__user")


def get_api_key(actor: Actor, key_id: UUID) -> ApiKey:
    """One key. Raises `ApiKeyNotFound`."""
    if key := api_keys(actor).filter(pk=key_id).first():
        return key
    raise ApiKeyNotFound


def api_key_called(prefix: str) -> ApiKey | None:
    """The key with this public part, with who acts through it: one query."""
    return (
        ApiKey.objects.filter(prefix=prefix)
        .select_related("membership__user", "membership__tenant")
        .first()
    )


def second_factor(actor: Actor) -> SecondFactor | None:
    """The person's second factor, if it is on."""
    actor.require_person()
    return SecondFactor.objects.filter(user_id=actor.person_id, confirmed_at__isnull=False).first()


def get_user(actor: Actor) -> User:
    """The person who acts."""
    return User.objects.get(pk=actor.person_id)


@dataclass(frozen=True)
class Profile:
    """A person, and the organisation they act in."""

    id: UUID
    email: str
    name: str
    avatar: str
    preferences: dict[str, Any]
    role: str
    organisation: str
    second_factor: bool
    created_at: datetime


def profile(actor: Actor) -> Profile:
    """The profile of the person who acts: one query."""
    actor.need("account:read")
    found = (
        Membership.objects.filter(tenant_id=actor.tenant_id, user_id=actor.person_id)
        .select_related("user__second_factor", "tenant")
        .get()
    )
    user, factor = found.user, getattr(found.user, "second_factor", None)
    return Profile(
        id=user.pk,
        email=user.email,
        name=user.name,
        avatar=user.avatar,
        preferences=user.preferences,
        role=found.role,
        organisation=found.tenant.name,
        second_factor=factor is not None and factor.confirmed_at is not None,
        created_at=user.created_at,
    )


def get_tenant(actor: Actor) -> Tenant:
    """The actor's tenant."""
    return Tenant.objects.get(pk=actor.tenant_id)


def members_of(tenant_ids: Iterable[UUID]) -> list[Recipient]:
    """The active members of these tenants: whom notifications go to."""
    rows = Membership.objects.filter(tenant_id__in=list(tenant_ids), user__is_active=True)
    return [
        Recipient(*row) for row in rows.values_list("tenant_id", "user_id", "user__email", "role")
    ]


def credentials(actor: Actor) -> ProviderCredentialQuerySet:
    """The tenant's provider credentials, by label."""
    return ProviderCredential.objects.filter(tenant_id=actor.tenant_id)


def credentials_for(actor: Actor, port: str) -> ProviderCredentialQuerySet:
    """The tenant's credentials of a port that can be chosen now, by label."""
    return credentials(actor).filter(port=port).usable()


def chosen_credential(
    actor: Actor, credential_id: UUID | None, *, port: str, of: str
) -> ProviderCredential | None:
    """The credential that is named, else the tenant's first of this port, None where it has none.

    `of`: what the port is called. Raises `CredentialNotFound`, and `Invalid` for another port's.
    """
    if credential_id is None:
        return credentials_for(actor, port).first()
    credential = get_credential(actor, credential_id)
    if credential.port != port:
        raise Invalid.field("credential", f"Choose a credential of a {of}.")
    if credential.is_gone:
        raise Invalid.field("credential", AccountNotIncluded().message)
    return credential


def get_credential(actor: Actor, credential_id: UUID) -> ProviderCredential:
    """One credential of the tenant. Raises `CredentialNotFound`."""
    try:
        return credentials(actor).get(pk=credential_id)
    except ProviderCredential.DoesNotExist:
        raise CredentialNotFound from None
