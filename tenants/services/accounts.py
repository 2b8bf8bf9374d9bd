"""Opening accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from events.services import record
from mpanel.core.actor import ADMIN, OWNER, Actor
from mpanel.core.errors import Forbidden, Invalid
from tenants import selectors
from tenants.models import Customer, Membership, OneTimeCode, Tenant, User
from tenants.services.codes import check_code, use_up
from tenants.services.credentials import include_house_credentials
from tenants.services.proofs import first_factor_proof
from tenants.services.second_factor import check_second_factor


class AccountClosed(Forbidden):
    """This account is closed. Please write to us."""

    code = "ACCOUNT_CLOSED"


@dataclass(frozen=True)
class SignedIn:
    """Who signed in, and what they chose when they asked for the code."""

    user: User
    params: Mapping[str, Any]


@transaction.atomic
def open_account(email: str, *, address: str = "", name: str = "") -> User:
    """The user of this address; a new one gets a tenant that they own. Twice is harmless.

    Raises `AccountClosed`.
    """
    email = email.strip().lower()
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, name=name)
    if not user.is_active:
        raise AccountClosed
    if not user.memberships.exists():
        tenant = Tenant.objects.create(name=email.partition("@")[2])
        Membership.objects.create(tenant=tenant, user=user, role=OWNER)
        Customer.objects.create(tenant=tenant, name=user.name, email=email)
        actor = Actor(
            tenant_id=tenant.pk, user_id=user.pk, email=email, role=OWNER, address=address
        )
        record(actor, "tenant.created", tenant, "Opened the account.")
        include_house_credentials(actor)
    return user


def sign_in_by_code(
    email: str,
    code: str,
    *,
    address: str,
    second_factor: str = "",
    registration_id: UUID | None = None,
) -> SignedIn:
    """The user who proves to read this mailbox; a new one gets an account.

    `registration_id`: of who registered with a password, which is set now. The code is used up
    only when the second factor, where there is one, is right too. Raises `CodeRefused`,
    `SecondFactorRequired`, `SecondFactorRefused`, `AccountClosed`.
    """
    purpose = OneTimeCode.REGISTER if registration_id else OneTimeCode.SIGN_IN
    about = Q(pk=registration_id) if registration_id else Q(subject_id=None)
    checked = check_code(email, code, address=address, purpose=purpose, about=about)
    if known := User.objects.filter(email=checked.email).first():
        proof = first_factor_proof(known, code_id=checked.pk)
        check_second_factor(known, second_factor, proof=proof)
    with transaction.atomic():
        use_up(checked)
        user = open_account(checked.email, address=address, name=checked.params.get("name", ""))
        if password := checked.params.get("password"):
            user.password = password
            user.save(update_fields=["password"])
    return SignedIn(user, checked.params)


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


def _rename(actor: Actor, tenant_name: str) -> None:
    tenant = Tenant.objects.get(pk=actor.tenant_id)
    if tenant_name.strip() != tenant.name:
        actor.require(ADMIN)
        tenant.name = tenant_name.strip()
        tenant.save(update_fields=["name", "updated_at"])
        record(actor, "tenant.renamed", tenant, f"Renamed the organisation to {tenant}.")
