"""Tenants: made, suspended, activated by operators."""

from uuid import UUID

from django.db import transaction

from events.services import record
from mpanel.core.actor import Actor, acting_for
from mpanel.core.errors import Conflict
from tenants.models import Tenant
from tenants.panel_selectors import get_any_tenant
from tenants.services.accounts import clean_name
from tenants.services.credentials import include_accounts
from tenants.services.operators.grants import require_operators_elsewhere


class NotYourself(Conflict):
    """Nobody can suspend or delete themselves. Ask another operator."""

    code = "NOT_YOURSELF"


@transaction.atomic
def create_tenant(operator: Actor, *, name: str, status: str = Tenant.ACTIVE) -> Tenant:
    """A tenant without people; its first owner becomes its customer."""
    operator.require_operator()
    tenant = Tenant.objects.create(name=clean_name(name), status=status)
    actor = acting_for(operator, tenant.pk)
    record(actor, "tenant.created", tenant, f"Made the tenant {tenant}.")
    include_accounts([tenant.pk])
    return tenant


@transaction.atomic
def suspend_tenant(operator: Actor, tenant_id: UUID) -> Tenant:
    """Refuse its people from now on, by page, token and key; their mail goes on. Twice is harmless.

    Raises `NotYourself` for the operator's own tenant, `LastOperator`.
    """
    tenant = get_any_tenant(operator, tenant_id)
    if tenant.pk == operator.tenant_id:
        raise NotYourself
    if tenant.status != Tenant.SUSPENDED:
        require_operators_elsewhere(tenant)
        tenant.move(Tenant.SUSPENDED)
        actor = acting_for(operator, tenant.pk)
        record(actor, "tenant.suspended", tenant, f"Suspended the tenant {tenant}.")
    return tenant


@transaction.atomic
def activate_tenant(operator: Actor, tenant_id: UUID) -> Tenant:
    """Undo a suspension; sessions and keys work again. Twice is harmless."""
    tenant = get_any_tenant(operator, tenant_id)
    if tenant.status != Tenant.ACTIVE:
        operator.require_fresh_code()
        tenant.move(Tenant.ACTIVE)
        actor = acting_for(operator, tenant.pk)
        record(actor, "tenant.activated", tenant, f"Activated the tenant {tenant}.")
    return tenant


def set_tenant_status(operator: Actor, tenant_id: UUID, status: str) -> Tenant:
    """Suspend or activate."""
    change = suspend_tenant if status == Tenant.SUSPENDED else activate_tenant
    return change(operator, tenant_id)
