"""Writes about who: accounts and their one-time codes, and provider credentials."""

from tenants.services.accounts import change_profile, open_account
from tenants.services.codes import (
    ask_for_code,
    forget_old_codes,
    send_code,
    send_forgotten_codes,
    use_code,
)
from tenants.services.credentials import (
    add_credential,
    change_credential,
    provider_for,
    register_builder,
    remove_credential,
    run_forgotten_tests,
    run_test,
    start_test,
)

__all__ = [
    "add_credential",
    "ask_for_code",
    "change_credential",
    "change_profile",
    "forget_old_codes",
    "open_account",
    "provider_for",
    "register_builder",
    "remove_credential",
    "run_forgotten_tests",
    "run_test",
    "send_code",
    "send_forgotten_codes",
    "start_test",
    "use_code",
]
