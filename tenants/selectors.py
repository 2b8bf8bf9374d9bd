"""Reading who is who; an actor sees their own tenant only."""

from uuid import UUID

from django.db.models import QuerySet

from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound
from tenants.models import Membership, ProviderCredential, Tenant, User


class CredentialNotFound(NotFound):
    """There is no such credential."""

    code = "CREDENTIAL_NOT_FOUND"


def actor_for(user: User, *, address: str) -> Actor | None:
    """Who this user acts as: their first membership of a tenant that is not suspended."""
    membership = (
        Membership.objects.filter(user=user, tenant__status=Tenant.ACTIVE)
        .select_related("tenant")
        .order_by("created_at")
        .first()
    )
    if membership is None or not user.is_active:
        return None
    return Actor(
        tenant_id=membership.tenant_id,
        user_id=user.pk,
        email=user.email,
        role=membership.role,
        is_operator=user.is_operator,
        address=address,
    )


def get_user(actor: Actor) -> User:
    """The person who acts."""
    assert actor.user_id is not None
    return User.objects.get(pk=actor.user_id)


def get_tenant(actor: Actor) -> Tenant:
    """The actor's tenant."""
    return Tenant.objects.get(pk=actor.tenant_id)


def credentials(actor: Actor, *, port: str = "") -> QuerySet[ProviderCredential]:
    """The tenant's provider credentials, by label; of one port only, where named."""
    found = ProviderCredential.objects.filter(tenant_id=actor.tenant_id)
    return found.filter(port=port) if port else found


def get_credential(actor: Actor, credential_id: UUID) -> ProviderCredential:
    """One credential of the tenant. Raises `CredentialNotFound`."""
    try:
        return credentials(actor).get(pk=credential_id)
    except ProviderCredential.DoesNotExist:
        raise CredentialNotFound from None
