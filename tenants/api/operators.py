"""JSON for operators: tenants, users, customers of the whole installation (source 5, 3 and 4)."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from mpanel.core.actor import Actor
from mpanel.core.api.serializers import Serializer, page_of
from mpanel.core.api.views import ApiView, listing, operation
from tenants import panel_selectors as found
from tenants import panel_serializers as serializers
from tenants.services import operators

TENANTS, USERS, CUSTOMERS = "Tenants", "Users", "Customers"
TENANT_ID = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b10"
FILTERS = ("search", "status", "tenant_id")
MADE = "2026-11-21T09:00:00Z"
EXAMPLE_TENANT = {
    "id": TENANT_ID,
    "name": "Example Hosting",
    "status": "active",
    "createdAt": MADE,
}
NEW_USER = {
    "tenantId": TENANT_ID,
    "name": "Ada",
    "email": "ada@example.com",
    "roles": ["admin"],
    "status": "active",
}
EXAMPLE_USER = {"id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11", **NEW_USER, "createdAt": MADE}
NEW_CUSTOMER = {
    "name": "Example Hosting",
    "email": "billing@example.com",
    "phone": "+1-555-0100",
    "address": {
        "line1": "123 Main St",
        "line2": "",
        "city": "Miami",
        "state": "FL",
        "postalCode": "33101",
        "country": "US",
    },
}
EXAMPLE_CUSTOMER = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12",
    "tenantId": TENANT_ID,
    **NEW_CUSTOMER,
    "status": "active",
    "createdAt": MADE,
}


def _page(
    actor: Actor, rows: Callable[..., QuerySet[Any]], query: dict[str, Any], item: type[Serializer]
) -> Response:
    """The page of `rows(actor, ...)` that a query asks for, filtered and in its order."""
    filters = {name: query[name] for name in FILTERS if name in query}
    found = rows(actor, **filters).order_by(*serializers.order_by(query["order"]))
    return Response(page_of(found, query, item))


class TenantsView(ApiView):
    operator = True

    @listing(
        "List tenants",
        tag=TENANTS,
        item=serializers.PanelTenantSerializer,
        example=EXAMPLE_TENANT,
        query=serializers.PanelTenantQuerySerializer,
    )
    def get(self, request: Request) -> Response:
        """Every tenant; `search` looks at its name, its customer's and its people's addresses."""
        query = self.query(request, serializers.PanelTenantQuerySerializer)
        return _page(self.actor, found.tenants, query, serializers.PanelTenantSerializer)

    @operation(
        "Make a tenant",
        tag=TENANTS,
        takes=serializers.NewPanelTenantSerializer,
        answers=serializers.PanelTenantSerializer,
        status=201,
        request_example={"name": "Example Hosting", "status": "active"},
        example=EXAMPLE_TENANT,
    )
    def post(self, request: Request) -> Response:
        """It has no people yet. The first owner that it gets becomes its customer."""
        tenant = operators.create_tenant(
            self.actor, **self.body(request, serializers.NewPanelTenantSerializer)
        )
        return Response(serializers.PanelTenantSerializer(tenant).data, 201)


class OneTenantView(ApiView):
    operator = True

    @operation(
        "Get a tenant",
        tag=TENANTS,
        answers=serializers.PanelTenantSerializer,
        errors=(404,),
        example=EXAMPLE_TENANT,
    )
    def get(self, request: Request, tenant_id: UUID) -> Response:
        """Any tenant of this installation."""
        return Response(
            serializers.PanelTenantSerializer(found.get_any_tenant(self.actor, tenant_id)).data
        )


class UsersView(ApiView):
    operator = True

    @listing(
        "List users",
        tag=USERS,
        item=serializers.PanelAccountSerializer,
        example=EXAMPLE_USER,
        query=serializers.PanelUserQuerySerializer,
    )
    def get(self, request: Request) -> Response:
        """Every user, with the tenant that they joined first; `search` looks at name and e-mail."""
        query = self.query(request, serializers.PanelUserQuerySerializer)
        return _page(self.actor, found.users, query, serializers.PanelAccountSerializer)

    @operation(
        "Make a user",
        tag=USERS,
        takes=serializers.NewPanelUserSerializer,
        answers=serializers.PanelAccountSerializer,
        status=201,
        errors=(404,),
        request_example=NEW_USER,
        example=EXAMPLE_USER,
    )
    def post(self, request: Request) -> Response:
        """They sign in by a code that goes to their e-mail address. 409 EMAIL_TAKEN when a user has
        it; 404 TENANT_NOT_FOUND; 403 PERSON_NEEDED where an API key makes an operator."""
        user = operators.create_user(
            self.actor, **self.body(request, serializers.NewPanelUserSerializer)
        )
        return Response(serializers.PanelAccountSerializer(user).data, 201)


class OneUserView(ApiView):
    operator = True

    @operation(
        "Get a user",
        tag=USERS,
        answers=serializers.PanelAccountSerializer,
        errors=(404,),
        example=EXAMPLE_USER,
    )
    def get(self, request: Request, user_id: UUID) -> Response:
        """Any user of this installation."""
        return Response(
            serializers.PanelAccountSerializer(found.get_any_user(self.actor, user_id)).data
        )

    @operation(
        "Change a user",
        tag=USERS,
        takes=serializers.PanelUserChangeSerializer,
        answers=serializers.PanelAccountSerializer,
        errors=(404, 409),
        request_example={**NEW_USER, "roles": ["admin", "operator"]},
        example={**EXAMPLE_USER, "roles": ["admin", "operator"]},
    )
    def put(self, request: Request, user_id: UUID) -> Response:
        """Suspending ends all sessions and keys at once. 409 EMAIL_TAKEN, LAST_OWNER,
        LAST_OPERATOR, NOT_YOURSELF; 403 PERSON_NEEDED where an API key makes an operator or
        changes an e-mail address."""
        given = self.body(request, serializers.PanelUserChangeSerializer)
        user = operators.change_user(self.actor, user_id, **given)
        return Response(serializers.PanelAccountSerializer(user).data)

    @operation("Delete a user", tag=USERS, status=204, errors=(404, 409))
    def delete(self, request: Request, user_id: UUID) -> Response:
        """With sessions and keys, at once; the audit trail stays. 409 LAST_OWNER, LAST_OPERATOR,
        NOT_YOURSELF."""
        operators.delete_user(self.actor, user_id)
        return Response(status=204)


class CustomersView(ApiView):
    operator = True

    @listing(
        "List customers",
        tag=CUSTOMERS,
        item=serializers.PanelCustomerSerializer,
        example=EXAMPLE_CUSTOMER,
        query=serializers.PanelCustomerQuerySerializer,
    )
    def get(self, request: Request) -> Response:
        """Who pays; `search` looks at name, e-mail, phone and the tenant's name."""
        query = self.query(request, serializers.PanelCustomerQuerySerializer)
        return _page(self.actor, found.customers, query, serializers.PanelCustomerSerializer)

    @operation(
        "Make a customer",
        tag=CUSTOMERS,
        takes=serializers.NewPanelCustomerSerializer,
        answers=serializers.PanelCustomerSerializer,
        status=201,
        request_example=NEW_CUSTOMER,
        example=EXAMPLE_CUSTOMER,
    )
    def post(self, request: Request) -> Response:
        """With a tenant that they own; they sign in by a code that goes to their e-mail address.
        409 EMAIL_TAKEN when a user has it."""
        given = self.body(request, serializers.NewPanelCustomerSerializer)
        customer = operators.create_customer(self.actor, **given)
        return Response(serializers.PanelCustomerSerializer(customer).data, 201)


class OneCustomerView(ApiView):
    operator = True

    @operation(
        "Get a customer",
        tag=CUSTOMERS,
        answers=serializers.PanelCustomerSerializer,
        errors=(404,),
        example=EXAMPLE_CUSTOMER,
    )
    def get(self, request: Request, customer_id: UUID) -> Response:
        """Any customer of this installation."""
        return Response(
            serializers.PanelCustomerSerializer(found.get_customer(self.actor, customer_id)).data
        )

    @operation(
        "Change a customer",
        tag=CUSTOMERS,
        takes=serializers.PanelCustomerChangeSerializer,
        answers=serializers.PanelCustomerSerializer,
        errors=(404, 409),
        request_example=NEW_CUSTOMER,
        example=EXAMPLE_CUSTOMER,
    )
    def put(self, request: Request, customer_id: UUID) -> Response:
        """The contact on invoices. `status` suspends or activates the tenant: its people are
        refused at once. 409 NOT_YOURSELF for the own one, LAST_OPERATOR."""
        given = self.body(request, serializers.PanelCustomerChangeSerializer)
        customer = operators.change_customer(self.actor, customer_id, **given)
        return Response(serializers.PanelCustomerSerializer(customer).data)
