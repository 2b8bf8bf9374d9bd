"""Signing in by a one-time code, which also opens accounts and confirms registrations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from events.services import record
from tenants import selectors
from tenants.models import OneTimeCode, User
from tenants.services.accounts import open_account
from tenants.services.codes import check_code, use_up
from tenants.services.guesses import asker_of
from tenants.services.proofs import first_factor_proof
from tenants.services.second_factor import check_second_factor
from tenants.services.sessions import end_all_sessions
from tenants.team.invitations import join_by_code


@dataclass(frozen=True)
class SignedIn:
    """Who signed in, and what they chose when they asked for the code."""

    user: User
    params: Mapping[str, Any]


def sign_in_by_code(
    email: str,
    code: str,
    *,
    address: str,
    device: UUID | None = None,
    second_factor: str = "",
    registration_id: UUID | None = None,
    invitation: str = "",
) -> SignedIn:
    """The user who proves to read this mailbox; a new one gets an account.

    `registration_id`: of who registered with a password, which is set now. `invitation`: hash of
    an invitation's token, which brings who is in no tenant into that one. The code is used up only
    when the second factor, where there is one, is right too. Raises `CodeRefused`,
    `SecondFactorRequired`, `SecondFactorRefused`, `AccountClosed`.
    """
    purpose = OneTimeCode.REGISTER if registration_id else OneTimeCode.SIGN_IN
    about = Q(pk=registration_id) if registration_id else Q(subject_id=None)
    checked = check_code(email, code, address=address, device=device, purpose=purpose, about=about)
    if known := User.objects.filter(email=checked.email).first():
        proof = first_factor_proof(known, code_id=checked.pk)
        asker = asker_of(known.email, address=address, device=device)
        check_second_factor(known, second_factor, asker=asker, proof=proof)
    with transaction.atomic():
        use_up(checked)
        name = checked.params.get("name", "")
        user = join_by_code(checked.email, invitation, address=address, name=name)
        user = user or open_account(checked.email, address=address, name=name)
        if password := checked.params.get("password"):
            _set_chosen(user, password, address=address, is_new=known is None)
    return SignedIn(user, checked.params)


def _set_chosen(user: User, password_hash: str, *, address: str, is_new: bool) -> None:
    """The password of a confirmed registration; for an account that was there, it is a reset."""
    user.password = password_hash
    user.save(update_fields=["password"])
    actor = selectors.actor_for(user, address=address)
    if is_new or actor is None:
        return
    end_all_sessions(user, reason="password reset")
    record(actor, "password.reset", user, f"Reset the password of {user}.")
