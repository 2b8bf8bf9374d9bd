"""Writes about who: accounts, sessions, keys, passwords, one-time codes, provider credentials."""

from tenants.services.accounts import AccountClosed, change_profile, open_account
from tenants.services.api_keys import (
    NewKey,
    ask_to_make_key,
    create_api_key,
    create_api_key_by_code,
    find_api_key,
    is_api_key,
    reveals,
    revoke_api_key,
)
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
from tenants.services.login_links import (
    check_login_link,
    forget_old_links,
    make_login_link,
    use_login_link,
)
from tenants.services.passwords import (
    ask_to_reset,
    change_password,
    log_in,
    register,
    reset_password,
)
from tenants.services.proofs import ProofExpired, sign_in_by_proof
from tenants.services.second_factor import (
    SecondFactorRequired,
    begin_second_factor,
    confirm_second_factor,
    disable_second_factor,
    has_second_factor,
    renew_recovery_codes,
)
from tenants.services.sessions import (
    end_other_sessions,
    end_session,
    forget_old_sessions,
    note_use,
    rotate,
    start_session,
)
from tenants.services.signing_in import sign_in_by_code

__all__ = [
    "AccountClosed",
    "NewKey",
    "ProofExpired",
    "SecondFactorRequired",
    "add_credential",
    "ask_for_code",
    "ask_to_make_key",
    "ask_to_reset",
    "begin_second_factor",
    "change_credential",
    "change_password",
    "change_profile",
    "check_login_link",
    "confirm_second_factor",
    "create_api_key",
    "create_api_key_by_code",
    "disable_second_factor",
    "end_other_sessions",
    "end_session",
    "find_api_key",
    "forget_old_codes",
    "forget_old_links",
    "forget_old_sessions",
    "has_second_factor",
    "is_api_key",
    "log_in",
    "make_login_link",
    "note_use",
    "open_account",
    "provider_for",
    "register",
    "register_builder",
    "remove_credential",
    "renew_recovery_codes",
    "reset_password",
    "reveals",
    "revoke_api_key",
    "rotate",
    "run_forgotten_tests",
    "run_test",
    "send_code",
    "send_forgotten_codes",
    "sign_in_by_code",
    "sign_in_by_proof",
    "start_session",
    "start_test",
    "use_code",
    "use_login_link",
]
