"""What operators do with tenants, users and customers; each in the tenant that it is about."""

from mpanel.core.actor import acting_for
from tenants.services.operators.customers import change_customer, create_customer
from tenants.services.operators.grants import make_operator, unmake_operator
from tenants.services.operators.tenants import (
    activate_tenant,
    create_tenant,
    set_tenant_status,
    suspend_tenant,
)
from tenants.services.operators.users import (
    activate_user,
    change_user,
    create_user,
    delete_user,
    end_any_session,
    end_sessions_of_user,
    suspend_user,
)

__all__ = [
    "acting_for",
    "activate_tenant",
    "activate_user",
    "change_customer",
    "change_user",
    "create_customer",
    "create_tenant",
    "create_user",
    "delete_user",
    "end_any_session",
    "end_sessions_of_user",
    "make_operator",
    "set_tenant_status",
    "suspend_tenant",
    "suspend_user",
    "unmake_operator",
]
