"""Customers: who pays for a tenant, entered and changed by operators."""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from events.services import record
from mpanel.core.actor import OWNER, Actor, acting_for
from mpanel.core.addresses import clean_address
from tenants.models import Customer, Membership, Tenant
from tenants.panel_selectors import get_customer
from tenants.services.accounts import clean_name
from tenants.services.operators.grants import lock_with_operators
from tenants.services.operators.tenants import create_tenant, set_tenant_status
from tenants.services.operators.users import new_user


@transaction.atomic
def create_customer(
    operator: Actor, *, name: str, email: str, phone: str, address: Mapping[str, str]
) -> Customer:
    """A tenant with its owner, who signs in by code, and who pays for it.

    Raises `EmailTaken` where a user has this address.
    """
    name = clean_name(name)
    owner = new_user(email, name=name)
    tenant = create_tenant(operator, name=name)
    Membership.objects.create(tenant=tenant, user=owner, role=OWNER)
    customer = Customer.objects.create(
        tenant=tenant, name=name, email=owner.email, phone=phone.strip(), address=dict(address)
    )
    actor = acting_for(operator, tenant.pk)
    record(actor, "customer.created", customer, f"Made the customer {customer}.")
    return customer


@transaction.atomic
def change_customer(
    operator: Actor,
    customer_id: UUID,
    *,
    status: str | None = None,
    name: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    address: Mapping[str, str] | None = None,
) -> Customer:
    """Change what is given: the contact on invoices. Who signs in stays who they are.

    `status` is the tenant's. Raises `CustomerNotFound`, `NotYourself`.
    """
    customer = get_customer(operator, customer_id)
    if status is not None:
        lock_with_operators()  # who suspends a tenant holds them; users first, then tenants
    Tenant.objects.select_for_update(no_key=True).get(pk=customer.tenant_id)
    customer.refresh_from_db()
    given = {
        "name": None if name is None else clean_name(name),
        "email": None if email is None else clean_address(email),
        "phone": None if phone is None else phone.strip(),
        "address": None if address is None else dict(address),
    }
    changed = [
        column
        for column, value in given.items()
        if value is not None and value != getattr(customer, column)
    ]
    for column in changed:
        setattr(customer, column, given[column])
    if changed:
        customer.save(update_fields=[*changed, "updated_at"])
        actor = acting_for(operator, customer.tenant_id)
        # What changed, not to what: the trail outlives what a person may want forgotten.
        changes = {"fields": changed}
        record(actor, "customer.updated", customer, f"Changed {customer}.", changes=changes)
    if status is not None:
        set_tenant_status(operator, customer.tenant_id, status)
    return get_customer(operator, customer_id)
