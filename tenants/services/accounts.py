"""Opening accounts."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from events.services import record
from mpanel.core.actor import ADMIN, OWNER, Actor
from mpanel.core.addresses import clean_address
from mpanel.core.errors import Forbidden, Invalid
from tenants import selectors
from tenants.models import Customer, Membership, Tenant, User
from tenants.services.credentials import include_accounts


class AccountClosed(Forbidden):
    """This account is closed. Please write to us."""

    code = "ACCOUNT_CLOSED"


@transaction.atomic
def open_account(email: str, *, address: str = "", name: str = "") -> User:
    """The user of this address; a new one gets a tenant that they own. Twice is harmless.

    Raises `AccountClosed`, `Invalid`.
    """
    email = clean_address(email)
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, name=name)
    if not user.is_active:
        raise AccountClosed
    if not user.memberships.exists():
        # The whole address: two people of one company have two tenants, until one invites.
        tenant = Tenant.objects.create(name=clean_name(email))
        Membership.objects.create(tenant=tenant, user=user, role=OWNER)
        Customer.objects.create(tenant=tenant, name=user.name, email=email)
        actor = Actor(
            tenant_id=tenant.pk, user_id=user.pk, email=email, role=OWNER, address=address
        )
        record(actor, "tenant.created", tenant, "Opened the account.")
        include_accounts([tenant.pk])
    return user


@transaction.atomic
def change_profile(
    actor: Actor,
    *,
    name: str | None = None,
    tenant_name: str | None = None,
    avatar: str | None = None,
    preferences: Mapping[str, Any] | None = None,
) -> User:
    """Change what is given: the person's own things and, for an admin, the organisation's name.

    `preferences`: a few small values of the person's, merged into the present ones; null removes.
    """
    actor.need("account:write")
    user = User.objects.select_for_update().get(pk=selectors.get_user(actor).pk)
    if name is not None:
        user.name = name.strip()
    if avatar is not None:
        user.avatar = avatar.strip()
    if preferences is not None:
        user.preferences = _merged(user.preferences, preferences)
    user.save(update_fields=["name", "avatar", "preferences"])
    if tenant_name is not None:
        _rename(actor, tenant_name)
    return user


def _merged(present: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**present, **changes}
    kept = {name: value for name, value in merged.items() if value is not None}
    if len(kept) > 50 or any(len(str(part)) > 500 for pair in kept.items() for part in pair):
        raise Invalid.field("preferences", "Keep 50 values of 500 characters at most.")
    return kept


def clean_name(name: str, *, field: str = "name") -> str:
    """The name of a tenant: one line that is not empty. Raises `Invalid`."""
    cleaned = " ".join(name.split())[:120]
    if not cleaned:
        raise Invalid.field(field, "Give a name.")
    return cleaned


def _rename(actor: Actor, tenant_name: str) -> None:
    tenant = Tenant.objects.get(pk=actor.tenant_id)
    if (name := clean_name(tenant_name, field="organisation")) != tenant.name:
        actor.require(ADMIN)
        tenant.name = name
        tenant.save(update_fields=["name", "updated_at"])
        record(actor, "tenant.renamed", tenant, f"Renamed the organisation to {tenant}.")
