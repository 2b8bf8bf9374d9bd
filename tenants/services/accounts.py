"""Opening accounts."""

from django.conf import settings
from django.db import transaction

from events.services import record
from mpanel.core.actor import ADMIN, OWNER, Actor
from mpanel.core.errors import Forbidden
from tenants import selectors
from tenants.models import Membership, Tenant, User
from tenants.services.credentials import add_credential


class AccountClosed(Forbidden):
    """This account is closed. Please write to us."""

    code = "ACCOUNT_CLOSED"


@transaction.atomic
def open_account(email: str, *, address: str = "") -> User:
    """The user of this address; a new one gets a tenant that they own. Twice is harmless.

    Raises `AccountClosed`.
    """
    email = email.strip().lower()
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    if not user.is_active:
        raise AccountClosed
    if not user.memberships.exists():
        tenant = Tenant.objects.create(name=email.partition("@")[2])
        Membership.objects.create(tenant=tenant, user=user, role=OWNER)
        actor = Actor(
            tenant_id=tenant.pk, user_id=user.pk, email=email, role=OWNER, address=address
        )
        record(actor, "tenant.created", tenant, "Opened the account.")
        if settings.HOUSE_CLOUDFLARE_TOKEN:
            add_credential(
                actor,
                port="dns",
                provider="cloudflare",
                label="Included DNS",
                values={
                    "api_token": settings.HOUSE_CLOUDFLARE_TOKEN,
                    "account_id": settings.HOUSE_CLOUDFLARE_ACCOUNT,
                },
            )
    return user


@transaction.atomic
def change_profile(actor: Actor, *, name: str, tenant_name: str) -> None:
    """Change the person's name and, for an admin, the organisation's."""
    user = selectors.get_user(actor)
    user.name = name.strip()
    user.save(update_fields=["name"])
    tenant = Tenant.objects.get(pk=actor.tenant_id)
    if tenant_name.strip() != tenant.name:
        actor.require(ADMIN)
        tenant.name = tenant_name.strip()
        tenant.save(update_fields=["name", "updated_at"])
        record(actor, "tenant.renamed", tenant, f"Renamed the organisation to {tenant}.")
