"""Who is an operator. There is always one who can act."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from events.services import record
from mpanel.core.actor import Actor, system
from mpanel.core.errors import Conflict
from tenants.models import Membership, Tenant, User


class LastOperator(Conflict):
    """This is the last operator. Make somebody else one first."""

    code = "LAST_OPERATOR"


def lock_with_operators(user_id: UUID | None = None) -> User | None:
    """Hold every operator, and this user, until the transaction ends; the user, if there is one.

    All are taken at once and in one order: of two who would end each other, the second waits.
    """
    whom = Q(is_operator=True) | Q(pk=user_id)
    held = list(User.objects.select_for_update(no_key=True).filter(whom).order_by("pk"))
    return next((user for user in held if user.pk == user_id), None)


def require_another_operator(user: User) -> None:
    """Raise `LastOperator` unless somebody else can act as one."""
    lock_with_operators()
    if user.is_operator and not _able(_at_work()).exclude(pk=user.pk).exists():
        raise LastOperator


def require_operators_elsewhere(tenant: Tenant) -> None:
    """Raise `LastOperator` where only people of this tenant can act as one."""
    lock_with_operators()
    at_work = _at_work()
    if not _able(at_work.filter(tenant=tenant)).exists():
        return
    if not _able(at_work.exclude(tenant=tenant)).exists():
        raise LastOperator


def _at_work() -> QuerySet[Membership]:
    return Membership.objects.filter(tenant__status=Tenant.ACTIVE)


def _able(memberships: QuerySet[Membership]) -> QuerySet[User]:
    return User.objects.filter(is_operator=True, is_active=True, memberships__in=memberships)


def set_operator(actor: Actor, user: User, *, is_operator: bool) -> None:
    """Give or take the right; recorded where the user is at home. Raises `LastOperator`."""
    if user.is_operator == is_operator:
        return
    if not is_operator:
        require_another_operator(user)
    user.is_operator = is_operator
    user.save(update_fields=["is_operator"])
    if is_operator:
        record(actor, "operator.granted", user, f"Made {user} an operator.")
    else:
        record(actor, "operator.removed", user, f"{user} is no operator any more.")


@transaction.atomic
def make_operator(user: User) -> None:
    """Make somebody an operator, from the command line. Twice is harmless."""
    _set_at_home(user, is_operator=True)


@transaction.atomic
def unmake_operator(user: User) -> None:
    """Take it back, from the command line. Twice is harmless. Raises `LastOperator`."""
    _set_at_home(user, is_operator=False)


def _set_at_home(user: User, *, is_operator: bool) -> None:
    home = user.memberships.order_by("created_at", "pk").first()
    if home is None:
        raise Conflict(f"{user} belongs to no tenant.")
    set_operator(system(home.tenant_id), user, is_operator=is_operator)
