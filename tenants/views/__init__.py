"""Pages about who: signing in, profile, security, API keys, provider credentials."""

from tenants.views.confirming import confirm
from tenants.views.credentials import (
    credential_add,
    credential_delete,
    credential_edit,
    credential_list,
    credential_new,
    credential_test,
)
from tenants.views.keys import key_list, key_new, key_revoke
from tenants.views.profile import profile
from tenants.views.security import (
    change_password,
    login_link,
    other_sessions_end,
    recovery_codes,
    second_factor_off,
    second_factor_on,
    security,
    session_end,
)
from tenants.views.signing_in import (
    enter_code,
    forgot_password,
    give_second_factor,
    reset_password,
    sign_in,
    sign_in_by_link,
    sign_in_by_password,
    sign_out,
)

__all__ = [
    "change_password",
    "confirm",
    "credential_add",
    "credential_delete",
    "credential_edit",
    "credential_list",
    "credential_new",
    "credential_test",
    "enter_code",
    "forgot_password",
    "give_second_factor",
    "key_list",
    "key_new",
    "key_revoke",
    "login_link",
    "other_sessions_end",
    "profile",
    "recovery_codes",
    "reset_password",
    "second_factor_off",
    "second_factor_on",
    "security",
    "session_end",
    "sign_in",
    "sign_in_by_link",
    "sign_in_by_password",
    "sign_out",
]
