"""Passwords, for those who want one: registering, signing in, resetting, changing."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from events.services import record
from mpanel.core.actor import Actor
from mpanel.core.addresses import clean_address
from mpanel.core.api.ratelimit import spend_try
from mpanel.core.errors import Invalid, Unauthorized
from tenants import selectors
from tenants.models import OneTimeCode, User
from tenants.services.api_keys import revoke_keys_of
from tenants.services.codes import ask_for_code, check_code, use_up
from tenants.services.guesses import PASSWORD, asker_of, count_guess, forgive
from tenants.services.proofs import first_factor_proof
from tenants.services.second_factor import check_second_factor
from tenants.services.sessions import end_all_sessions, end_other_sessions
from tenants.services.still_valid import hold_session

QUARTER = int(timedelta(minutes=15).total_seconds())
PER_NETWORK = 30  # registrations in a quarter of an hour
LONGEST = 256  # characters; a hash takes longer the more there are


class CredentialsRefused(Unauthorized):
    """E-mail address and password do not match. Try again, or sign in with a code."""

    code = "AUTH_INVALID_CREDENTIALS"


@dataclass(frozen=True)
class Registration:
    """A new user who must confirm the e-mail address with the code that was sent."""

    id: UUID
    email: str
    expires_at: datetime


@dataclass(frozen=True)
class HashedPassword:
    """A password as it is kept, hashed before any transaction begins: that takes a while."""

    password_hash: str = field(repr=False)

    @classmethod
    def of(
        cls, password: str, *, email: str = "", name: str = "", named: str = "password"
    ) -> "HashedPassword":
        """Raises `Invalid` for the field `named`; see `check_password`."""
        email = clean_address(email) if email else ""
        check_password(password, email=email, name=name, field=named)
        return cls(make_password(password))


def count_registration(address: str) -> None:
    """Count a try to register, before its password is hashed. Raises `TooManyRequests`."""
    spend_try("register", address, most=PER_NETWORK, window=QUARTER)


def register(
    email: str,
    password: HashedPassword,
    *,
    name: str = "",
    address: str,
    device: UUID | None = None,
) -> Registration:
    """Ask a new user to confirm their address; nothing is created before.

    The answer is the same for an address that has an account: who then confirms it owns the
    mailbox, and sets this account's password. The try was counted by `count_registration`. Raises
    `Invalid`, `TooManyRequests`.
    """
    email = clean_address(email)
    asked = ask_for_code(
        email,
        address=address,
        device=device,
        purpose=OneTimeCode.REGISTER,
        params={"password": password.password_hash, "name": name.strip()},
    )
    return Registration(asked.pk, email, asked.expires_at)


def log_in(
    email: str,
    password: str,
    *,
    second_factor: str = "",
    address: str,
    device: UUID | None = None,
) -> User:
    """The user of this address and password.

    Raises `CredentialsRefused`, `SecondFactorRequired`, `TooManyRequests`.
    """
    origin: Any = {"address": address, "device": device}
    user = user_of_password(email, password, **origin)
    require_second_factor(user, second_factor, **origin)
    return user


def user_of_password(
    email: str, password: str, *, address: str, device: UUID | None = None
) -> User:
    """The user of this address and password, who may owe a second factor yet.

    It takes as long for an unknown address as for a known one, and is not to be called inside a
    transaction. Raises `CredentialsRefused`, `TooManyRequests`.
    """
    email = clean_address(email)
    asker = asker_of(email, address=address, device=device)
    guess = count_guess(PASSWORD, email, asker)
    user = User.objects.filter(email=email, is_active=True).first()
    if user is None or not user.has_usable_password():
        make_password(password[:LONGEST])
        raise CredentialsRefused
    if len(password) > LONGEST or not user.check_password(password):
        raise CredentialsRefused
    forgive(guess)
    return user


def require_second_factor(
    user: User, code: str, *, address: str, device: UUID | None = None
) -> None:
    """After `user_of_password`. Raises `SecondFactorRequired` where one is owed."""
    asker = asker_of(user.email, address=address, device=device)
    check_second_factor(user, code, asker=asker, proof=first_factor_proof(user))


def ask_to_reset(email: str, *, address: str, device: UUID | None = None) -> OneTimeCode:
    """Send a code that sets a new password, whether or not the address is known."""
    return ask_for_code(email, address=address, device=device, purpose=OneTimeCode.RESET)


@dataclass(frozen=True)
class PasswordReset:
    """A new password for the code that was checked for it."""

    checked: OneTimeCode
    password: HashedPassword


def prepare_reset(
    email: str, code: str, password: str, *, address: str, device: UUID | None = None
) -> PasswordReset:
    """Check the code, which counts, and only then hash the password: that takes a while.

    The code stays usable until `reset_password`. Raises `CodeRefused`, `Invalid` for a password
    that will not do, `TooManyRequests`.
    """
    email = clean_address(email)
    check_password(password, email=email)
    checked = check_code(
        email,
        code,
        address=address,
        device=device,
        purpose=OneTimeCode.RESET,
        about=Q(subject_id=None),
    )
    return PasswordReset(checked, HashedPassword.of(password, email=email))


def reset_password(reset: PasswordReset, *, address: str, revoke_api_keys: bool = False) -> None:
    """Set a new password for a code, and end every session. Raises `CodeRefused`.

    `revoke_api_keys`: in every tenant of the user.
    """
    with transaction.atomic():
        use_up(reset.checked)
        held = User.objects.select_for_update(no_key=True)
        user = held.filter(email=reset.checked.email, is_active=True).first()
        if user is None:
            return  # nobody learns here whether there is an account
        _set(user, reset.password)
        end_all_sessions(user, reason="password reset")
        if actor := selectors.actor_for(user, address=address):
            record(actor, "password.reset", user, f"Reset the password of {user}.")
        # In suspended tenants too: their keys come back to life with them.
        for membership in user.memberships.all() if revoke_api_keys else ():
            there = selectors.actor_as(membership, address=address)
            revoke_keys_of(membership, actor=there)


def ask_to_set_password(actor: Actor) -> OneTimeCode:
    """Send the code that a person without a password needs to set their first one."""
    actor.require_person()
    return ask_for_code(
        actor.email,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.RESET,
        subject_id=actor.person_id,
    )


def set_first_password(actor: Actor, *, code: str, new: str) -> User:
    """Set the password of a person who has none, and end their other sessions.

    For a fresh code: a password gets an access token, which sees what a browser that was left open
    may not. Raises `CodeRefused`, `Invalid`, `TooManyRequests`.
    """
    actor.require_person()
    user = selectors.get_user(actor)
    if user.has_usable_password():
        raise Invalid.field("new", "You have a password. Change it instead.")
    check_password(new, email=user.email, name=user.name, field="new")
    # Outside the transaction, so that a wrong try counts even though it is refused.
    checked = check_code(
        user.email,
        code,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.RESET,
        about=Q(subject_id=actor.person_id),
    )
    hashed = HashedPassword.of(new, email=user.email, name=user.name, named="new")
    with transaction.atomic():
        use_up(checked)
        _change(actor, user, hashed)
    return user


def change_password(actor: Actor, *, present: str, new: str) -> User:
    """Change the person's password, and end their other sessions.

    Raises `Invalid`, `TooManyRequests`.
    """
    actor.require_person()
    user = selectors.get_user(actor)
    # Outside the transaction, so that a wrong try counts even though it is refused.
    asker = asker_of(user.email, address=actor.address, device=actor.session_id)
    guess = count_guess("present password", user.email, asker)
    if not user.check_password(present[:LONGEST]):
        raise Invalid.field("present", "That is not your present password.")
    forgive(guess)
    hashed = HashedPassword.of(new, email=user.email, name=user.name, named="new")
    with transaction.atomic():
        _change(actor, user, hashed)
    return user


def check_password(
    password: str, *, email: str = "", name: str = "", field: str = "password"
) -> None:
    """Raise `Invalid` for a password that is too long, too short or too common."""
    if len(password) > LONGEST:
        raise Invalid.field(field, f"Use {LONGEST} characters at most.")
    try:
        validate_password(password, user=User(email=email, name=name))
    except ValidationError as error:
        raise Invalid.field(field, *error.messages) from None


def _change(actor: Actor, user: User, password: HashedPassword) -> None:
    hold_session(actor)
    _set(user, password)
    end_other_sessions(actor)
    record(actor, "password.changed", user, f"Changed the password of {user}.")


def _set(user: User, password: HashedPassword) -> None:
    user.password = password.password_hash
    user.save(update_fields=["password"])
