"""Users of every tenant: made, changed, suspended, deleted by operators."""

from collections.abc import Sequence
from uuid import UUID

from django.db import IntegrityError, transaction

from events.services import record
from mpanel.core.actor import ADMIN, OWNER, RANKS, Actor, acting_for
from mpanel.core.addresses import clean_address
from mpanel.core.errors import Conflict, Invalid
from tenants import panel_selectors as found
from tenants.models import Customer, Membership, Session, Tenant, User
from tenants.services.api_keys import revoke_keys_of
from tenants.services.operators.grants import (
    lock_with_operators,
    require_another_operator,
    set_operator,
)
from tenants.services.operators.tenants import NotYourself
from tenants.services.sessions import end_sessions_of
from tenants.team.members import (
    lock_membership,
    require_another_owner,
    revoke_invitations_of,
)

OPERATOR = "operator"
ROLES = (*RANKS, OPERATOR)


class EmailTaken(Conflict):
    """A user with this e-mail address exists already."""

    code = "EMAIL_TAKEN"


@transaction.atomic
def create_user(
    operator: Actor,
    *,
    tenant_id: UUID,
    name: str,
    email: str,
    roles: Sequence[str],
    status: str = User.ACTIVE,
) -> User:
    """Somebody who signs in by code. A tenant's first owner becomes its customer.

    Raises `TenantNotFound`, `EmailTaken`, `Invalid`; `PersonNeeded` where a key makes an operator.
    """
    tenant = found.get_any_tenant(operator, tenant_id)
    operator.require_fresh_code()
    role, is_operator = _read_roles(roles)
    if is_operator:
        operator.require_person()
    actor = acting_for(operator, tenant.pk)
    user = new_user(email, name=name, is_active=status == User.ACTIVE)
    Membership.objects.create(tenant=tenant, user=user, role=role)
    if role == OWNER:
        Customer.objects.get_or_create(
            tenant=tenant, defaults={"name": user.name, "email": user.email}
        )
    record(actor, "user.created", user, f"Made the user {user}.", changes={"role": role})
    set_operator(actor, user, is_operator=is_operator)
    return found.get_any_user(operator, user.pk)


@transaction.atomic
def change_user(
    operator: Actor,
    user_id: UUID,
    *,
    tenant_id: UUID | None = None,
    name: str | None = None,
    email: str | None = None,
    roles: Sequence[str] | None = None,
    status: str | None = None,
) -> User:
    """Change what is given. Users stay in their tenant.

    Raises `UserNotFound`, `EmailTaken`, `LastOwner`, `LastOperator`, `NotYourself`, `Invalid`;
    `PersonNeeded` where a key would make an operator, or change where codes to sign in go.
    """
    user = _locked(operator, user_id)
    if OPERATOR in (roles or ()) and not user.is_operator:
        operator.require_person()
    email = None if email is None else clean_address(email)
    if roles is not None or email not in {None, user.email}:
        operator.require_fresh_code()
    if email is not None and email != user.email:
        operator.require_person()  # a code to the new address signs in as this user
    home = _home(user)
    if tenant_id not in {None, home.tenant_id if home else None}:
        raise Invalid.field("tenantId", "A user stays in their tenant.")
    actor = acting_for(operator, home.tenant_id if home else operator.tenant_id)
    _change_person(actor, user, name=name, email=email)
    if roles is not None:
        role, is_operator = _read_roles(roles)
        if home is None:
            raise Invalid.field("roles", "This user is in no tenant, so they have no role.")
        _change_role(actor, lock_membership(home), role)
        set_operator(actor, user, is_operator=is_operator)
    if status is not None:
        _set_status(operator, user, status)
    return found.get_any_user(operator, user_id)


@transaction.atomic
def suspend_user(operator: Actor, user_id: UUID) -> User:
    """Refuse a user from now on: sessions and keys end at once. Twice is harmless.

    Raises `LastOwner`, `LastOperator`, `NotYourself`.
    """
    user = _locked(operator, user_id)
    _set_status(operator, user, User.SUSPENDED)
    return user


@transaction.atomic
def activate_user(operator: Actor, user_id: UUID) -> User:
    """Let a user sign in again; what ended stays so. Twice is harmless."""
    user = _locked(operator, user_id)
    _set_status(operator, user, User.ACTIVE)
    return user


@transaction.atomic
def delete_user(operator: Actor, user_id: UUID) -> None:
    """Remove a user with sessions and keys. The audit trail stays.

    Raises `UserNotFound`, `LastOwner`, `LastOperator`, `NotYourself`.
    """
    user = _locked(operator, user_id)
    _require_dispensable(operator, user)
    for membership in user.memberships.all():
        actor = acting_for(operator, membership.tenant_id)
        record(actor, "user.deleted", user, f"Deleted the user {user}.")
    user.delete()


@transaction.atomic
def end_sessions_of_user(operator: Actor, user_id: UUID) -> int:
    """Sign a user out everywhere; how many sessions that were."""
    user = _locked(operator, user_id)
    return sum(
        end_sessions_of(
            membership, reason="ended", actor=acting_for(operator, membership.tenant_id)
        )
        for membership in user.memberships.all()
    )


@transaction.atomic
def end_any_session(operator: Actor, session: Session) -> None:
    """End one session of anybody's. Twice is harmless."""
    operator.require_operator()
    actor = acting_for(operator, session.membership.tenant_id)
    end_sessions_of(session.membership, reason="ended", actor=actor, only=session.pk)


def new_user(email: str, *, name: str, is_active: bool = True) -> User:
    """A user without a tenant yet. Raises `EmailTaken`."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, name=" ".join(name.split())[:120])
    except IntegrityError:
        raise EmailTaken from None
    if not is_active:
        user.is_active = False
        user.save(update_fields=["is_active"])
    return user


# --- Rules -----------------------------------------------------------------------------------


def _read_roles(roles: Sequence[str]) -> tuple[str, bool]:
    """The role in the tenant, and whether the user is an operator too. Raises `Invalid`."""
    of_tenant = [role for role in RANKS if role in roles]
    if len(of_tenant) != 1 or set(roles) - set(ROLES):
        raise Invalid.field(
            "roles", "Name one of owner, admin and member, and operator for an operator."
        )
    return of_tenant[0], OPERATOR in roles


def _require_dispensable(operator: Actor, user: User) -> None:
    if user.pk == operator.user_id:
        raise NotYourself
    for membership in user.memberships.order_by("tenant_id"):
        if lock_membership(membership).role == OWNER:
            require_another_owner(membership)
    require_another_operator(user)


# --- Changes ---------------------------------------------------------------------------------


def _locked(operator: Actor, user_id: UUID) -> User:
    """The user, held until the transaction ends, and the tenants in which they have a role.

    Changes of members hold the tenant too, so roles stay as they are read. The user first, as
    `tenants.services.still_valid` does: in the other order the two would wait for each other.
    """
    found.get_any_user(operator, user_id)
    user = lock_with_operators(user_id)
    if user is None:
        raise found.UserNotFound  # deleted just now
    homes = Membership.objects.filter(user_id=user_id).values("tenant_id")
    list(Tenant.objects.select_for_update(no_key=True).filter(pk__in=homes).order_by("pk"))
    return user


def _home(user: User) -> Membership | None:
    """Where the user was first; None for somebody who left or was removed and is in no tenant."""
    return user.memberships.order_by("created_at", "pk").first()


def _change_person(actor: Actor, user: User, *, name: str | None, email: str | None) -> None:
    before = (user.name, user.email)
    if name is not None:
        user.name = " ".join(name.split())[:120]
    if email is not None:
        user.email = clean_address(email)
        user.former_email = user.former_email if user.email == before[1] else ""
    if (user.name, user.email) == before:
        return
    try:
        with transaction.atomic():
            user.save(update_fields=["name", "email", "former_email"])
    except IntegrityError:
        raise EmailTaken from None
    changes = {"email": [before[1], user.email]} if user.email != before[1] else {}
    record(actor, "user.updated", user, f"Changed the user {user}.", changes=changes)


def _change_role(actor: Actor, membership: Membership, role: str) -> None:
    if role == membership.role:
        return
    if membership.role == OWNER:
        require_another_owner(membership)
    changes = {"role": [membership.role, role]}
    membership.role = role
    membership.save(update_fields=["role", "updated_at"])
    if RANKS[role] < RANKS[ADMIN]:
        revoke_invitations_of(membership)
    user = membership.user
    record(actor, "user.updated", user, f"{user} is {role} now.", changes=changes)


def _set_status(operator: Actor, user: User, status: str) -> None:
    if status == user.status:
        return
    if status == User.SUSPENDED:
        _require_dispensable(operator, user)
    else:
        operator.require_fresh_code()
    user.is_active = status == User.ACTIVE
    user.save(update_fields=["is_active"])
    for membership in user.memberships.all():
        actor = acting_for(operator, membership.tenant_id)
        if user.is_active:
            record(actor, "user.activated", user, f"Activated the user {user}.")
            continue
        record(actor, "user.suspended", user, f"Suspended the user {user}.")
        end_sessions_of(membership, reason="user suspended", actor=actor)
        revoke_keys_of(membership, actor=actor)
