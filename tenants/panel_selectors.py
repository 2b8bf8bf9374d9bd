"""What operators see: every tenant, user and customer of the installation."""

from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery, UUIDField

from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound
from tenants.models import Customer, Membership, Tenant, User


class TenantNotFound(NotFound):
    """There is no such tenant."""

    code = "TENANT_NOT_FOUND"


class UserNotFound(NotFound):
    """There is no such user."""

    code = "USER_NOT_FOUND"


class CustomerNotFound(NotFound):
    """There is no such customer."""

    code = "CUSTOMER_NOT_FOUND"


def tenants(operator: Actor, *, search: str = "", status: str = "") -> QuerySet[Tenant]:
    """Every tenant; `search`: in its name, its customer's and its people's addresses."""
    operator.require_operator()
    found = Tenant.objects.all()
    if search:
        people = Membership.objects.filter(user__email__icontains=search).values("tenant_id")
        found = found.filter(
            Q(name__icontains=search) | Q(customer__email__icontains=search) | Q(pk__in=people)
        )
    return found.filter(status=status) if status else found


def get_any_tenant(operator: Actor, tenant_id: UUID) -> Tenant:
    """One tenant. Raises `TenantNotFound`."""
    if tenant := tenants(operator).filter(pk=tenant_id).first():
        return tenant
    raise TenantNotFound


def users(
    operator: Actor, *, search: str = "", tenant_id: UUID | None = None, status: str = ""
) -> QuerySet[User]:
    """Every user, each with `tenant_id` and `role` of the tenant that they joined first."""
    operator.require_operator()
    first = Membership.objects.filter(user=OuterRef("pk")).order_by("created_at", "pk")
    found = User.objects.annotate(
        # Named, because a foreign key's own type would not make a UUID of what SQLite answers.
        tenant_id=Subquery(first.values("tenant_id")[:1], output_field=UUIDField()),
        role=Subquery(first.values("role")[:1]),
    )
    if search:
        found = found.filter(Q(email__icontains=search) | Q(name__icontains=search))
    if tenant_id:
        found = found.filter(tenant_id=tenant_id)
    return found.filter(is_active=status == User.ACTIVE) if status else found


def get_any_user(operator: Actor, user_id: UUID) -> User:
    """One user. Raises `UserNotFound`."""
    if user := users(operator).filter(pk=user_id).first():
        return user
    raise UserNotFound


def customers(operator: Actor, *, search: str = "", status: str = "") -> QuerySet[Customer]:
    """Every customer, with the tenant that they pay for."""
    operator.require_operator()
    found = Customer.objects.select_related("tenant")
    if search:
        found = found.filter(
            Q(name__icontains=search)
            | Q(email__icontains=search)
            | Q(phone__icontains=search)
            | Q(tenant__name__icontains=search)
        )
    return found.filter(tenant__status=status) if status else found


def get_customer(operator: Actor, customer_id: UUID) -> Customer:
    """One customer. Raises `CustomerNotFound`."""
    if customer := customers(operator).filter(pk=customer_id).first():
        return customer
    raise CustomerNotFound
