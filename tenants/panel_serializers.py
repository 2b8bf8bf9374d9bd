"""Serializers of what operators see: tenants, users, customers (source 5, 3 and 4)."""

from typing import Any

from rest_framework import serializers

from mpanel.core.api.serializers import (
    CamelPageQuerySerializer,
    CamelSerializer,
    Country,
    Email,
    Text,
)
from tenants.models import Customer, Tenant, User
from tenants.services.operators.users import ROLES

STATUSES = list(Tenant.STATUSES)  # the same words for tenants, users and customers
COLUMNS = {"createdAt": "created_at", "name": "name", "email": "email"}


def order_by(order: str) -> tuple[str, str]:
    """What the panel calls an order, as columns; the id makes it stable."""
    minus = "-" if order.startswith("-") else ""
    return f"{minus}{COLUMNS[order.removeprefix('-')]}", f"{minus}pk"


def _orders(*names: str) -> serializers.ChoiceField:
    choices = [sign + name for name in names for sign in ("", "-")]
    return serializers.ChoiceField(choices=choices, default="-createdAt")


class _ListQuerySerializer(CamelPageQuerySerializer):
    """Which of them; `search` looks for a part of a name or an address."""

    search = Text(max_length=254, required=False, default="", allow_blank=True)
    status = serializers.ChoiceField(choices=STATUSES, required=False)


class PanelTenantQuerySerializer(_ListQuerySerializer):
    """Which tenants."""

    order = _orders("createdAt", "name")


class PanelUserQuerySerializer(_ListQuerySerializer):
    """Which users."""

    tenant_id = serializers.UUIDField(required=False)
    order = _orders("createdAt", "name", "email")


class PanelCustomerQuerySerializer(_ListQuerySerializer):
    """Which customers."""

    order = _orders("createdAt", "name", "email")


# --- Coming in -------------------------------------------------------------------------------


class NewPanelTenantSerializer(CamelSerializer):
    """A tenant to be made."""

    name = Text(max_length=120)
    status = serializers.ChoiceField(choices=STATUSES, default=Tenant.ACTIVE)


class _Roles(serializers.ListField):
    """One of owner, admin and member, and operator for who runs this installation."""

    def __init__(self, **kwargs: Any) -> None:
        child = serializers.ChoiceField(choices=list(ROLES))
        super().__init__(child=child, min_length=1, max_length=2, **kwargs)


class NewPanelUserSerializer(CamelSerializer):
    """A user to be made. They sign in by a code that goes to their e-mail address."""

    tenant_id = serializers.UUIDField()
    name = Text(max_length=120, default="", allow_blank=True)
    email = Email()
    roles = _Roles()
    status = serializers.ChoiceField(choices=STATUSES, default=User.ACTIVE)


class PanelUserChangeSerializer(CamelSerializer):
    """What is to change; what is left out stays."""

    tenant_id = serializers.UUIDField(required=False, help_text="As it is: a user does not move.")
    name = Text(max_length=120, required=False, allow_blank=True)
    email = Email(required=False)
    roles = _Roles(required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False)


class PostalAddressSerializer(CamelSerializer):
    """A postal address. `country`: two letters (ISO 3166-1)."""

    line1 = Text(max_length=120, default="", allow_blank=True)
    line2 = Text(max_length=120, default="", allow_blank=True)
    city = Text(max_length=80, default="", allow_blank=True)
    state = Text(max_length=80, default="", allow_blank=True)
    postal_code = Text(max_length=20, default="", allow_blank=True)
    country = Country(default="", allow_blank=True)


class NewPanelCustomerSerializer(CamelSerializer):
    """A customer to be made, with a tenant that they own."""

    name = Text(max_length=120)
    email = Email()
    phone = Text(max_length=32, default="", allow_blank=True)
    address = PostalAddressSerializer(default=dict)


class PanelCustomerChangeSerializer(CamelSerializer):
    """What is to change; what is left out stays. An address is replaced as a whole."""

    name = Text(max_length=120, required=False)
    email = Email(required=False, help_text="Where invoices go; signing in is not changed.")
    phone = Text(max_length=32, required=False, allow_blank=True)
    address = PostalAddressSerializer(required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False, help_text="The tenant's.")


# --- Going out -------------------------------------------------------------------------------


class PanelTenantSerializer(CamelSerializer):
    """A tenant."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    created_at = serializers.DateTimeField()


class PanelAccountSerializer(CamelSerializer):
    """A user, with the roles that they have in their tenant. `tenantId` is null for somebody who
    left their only tenant."""

    id = serializers.UUIDField()
    tenant_id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    email = serializers.EmailField()
    roles = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=STATUSES)
    created_at = serializers.DateTimeField()

    def get_roles(self, row: User) -> list[str]:
        # `role` is the list's own column (tenants.panel_selectors.users).
        role: str | None = getattr(row, "role")  # noqa: B009
        return [*([role] if role else []), *(["operator"] if row.is_operator else [])]


class PanelCustomerSerializer(CamelSerializer):
    """A customer: who pays for a tenant. `status` is the tenant's."""

    id = serializers.UUIDField()
    tenant_id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.EmailField()
    phone = serializers.CharField()
    address = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=STATUSES, source="tenant.status")
    created_at = serializers.DateTimeField()

    def get_address(self, row: Customer) -> dict[str, str]:
        return dict(PostalAddressSerializer(row.address).data)
