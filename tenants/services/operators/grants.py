"""Who is an operator. There is always one who can act."""

from django.db import transaction

from events.services import record
from mpanel.core.actor import Actor, system
from mpanel.core.errors import Conflict
from tenants.models import Tenant, User


class LastOperator(Conflict):
    """This is the last operator. Make somebody else one first."""

    code = "LAST_OPERATOR"


def require_another_operator(user: User) -> None:
    """Raise `LastOperator` unless somebody else can act as one.

    Of two operators who leave at once, the second waits here for the first.
    """
    list(User.objects.select_for_update().filter(is_operator=True).order_by("pk"))
    able = User.objects.filter(
        is_operator=True, is_active=True, memberships__tenant__status=Tenant.ACTIVE
    )
    if user.is_operator and not able.exclude(pk=user.pk).exists():
        raise LastOperator


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
