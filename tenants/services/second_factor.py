"""The optional second factor: an authenticator (TOTP, RFC 6238) and recovery codes."""

import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta

import pyotp
from django.db import transaction
from django.utils import timezone

from events.services import record
from mpanel.core.actor import Actor
from mpanel.core.errors import Conflict, Invalid, Unauthorized
from mpanel.core.secrets import digest
from tenants import selectors
from tenants.models import SecondFactor, User
from tenants.services.guesses import SECOND_FACTOR, Asker, asker_of, count_guess, forgive
from tenants.services.still_valid import hold_session

STEP = 30  # seconds
CODES = 10
BEGUN_LASTS = timedelta(hours=1)  # who begins later gets a secret that nobody has seen before
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class SecondFactorRequired(Unauthorized):
    """This account also needs a code from its authenticator, or a recovery code."""

    code = "SECOND_FACTOR_REQUIRED"

    def __init__(self, *, proof: str = "") -> None:
        super().__init__()
        self.proof = proof  # of the first factor, for the page that asks for the second


class SecondFactorRefused(Unauthorized):
    """That code is wrong or was used already."""

    code = "SECOND_FACTOR_REFUSED"


class SecondFactorStands(Conflict):
    """A second factor is already set up. Turn it off first."""

    code = "SECOND_FACTOR_STANDS"


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator needs: the secret, and the same as an `otpauth:` address."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@transaction.atomic
def begin_second_factor(actor: Actor) -> Enrolment:
    """A secret for the person's authenticator; the same again for an hour, until confirmed."""
    actor.require_person()
    actor.require_fresh_code()
    user = User.objects.select_for_update().get(pk=selectors.get_user(actor).pk)
    factor = SecondFactor.objects.filter(user=user).first()
    factor = factor or SecondFactor(user=user)
    if factor.confirmed_at is not None:
        raise SecondFactorStands
    if not factor.sealed or factor.updated_at < timezone.now() - BEGUN_LASTS:
        factor.set_secret(pyotp.random_base32())
        factor.save()
    secret = factor.secret()
    return Enrolment(
        secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="mPanel")
    )


@transaction.atomic
def confirm_second_factor(actor: Actor, code: str) -> list[str]:
    """Turn the second factor on, and give the recovery codes, once. Raises `Invalid`."""
    actor.require_person()
    actor.require_fresh_code()
    user = selectors.get_user(actor)
    hold_session(actor)
    factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed_at=None).first()
    if factor is None:
        raise SecondFactorStands
    if not _accept_totp(factor, code):
        raise Invalid.field("code", "That code is wrong. Is the clock of your device right?")
    factor.confirmed_at = timezone.now()
    plain = _new_recovery_codes(factor)
    factor.save()
    record(actor, "second_factor.enabled", user, f"Turned on the second factor of {user}.")
    return plain


def renew_recovery_codes(actor: Actor, code: str) -> list[str]:
    """New recovery codes in place of the old ones, for a code of the authenticator."""
    user = _proved(actor, code)
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().get(user=user)
        plain = _new_recovery_codes(factor)
        factor.save()
        record(actor, "second_factor.codes_renewed", user, f"Renewed {user}’s recovery codes.")
    return plain


def disable_second_factor(actor: Actor, code: str) -> None:
    """Turn the second factor off, for a code of it."""
    user = _proved(actor, code)
    with transaction.atomic():
        SecondFactor.objects.filter(user=user).delete()
        record(actor, "second_factor.disabled", user, f"Turned off the second factor of {user}.")


def has_second_factor(user: User) -> bool:
    """Whether signing in asks this user for a second factor."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def check_second_factor(user: User, code: str, *, asker: Asker, proof: str = "") -> None:
    """Pass who has no second factor, or gives a good code of it.

    `proof`: of the first factor; who must ask for the second finds it in `SecondFactorRequired`.
    Raises `SecondFactorRequired`, `SecondFactorRefused`, `TooManyRequests`. No code works twice.
    """
    factor = SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    if factor is None:
        return
    code = "".join(code.split()).lower()
    if not code:
        raise SecondFactorRequired(proof=proof)
    guess = count_guess(SECOND_FACTOR, str(user.pk), asker)
    if not (_accept_totp(factor, code) or _accept_recovery(factor, code)):
        raise SecondFactorRefused
    forgive(guess)


def _proved(actor: Actor, code: str) -> User:
    actor.require_person()
    actor.require_fresh_code()
    user = selectors.get_user(actor)
    if not has_second_factor(user):
        raise Conflict("No second factor is set up.")
    try:
        asker = asker_of(user.email, address=actor.address, device=actor.session_id)
        check_second_factor(user, code, asker=asker)
    except Unauthorized as error:
        raise Invalid.field("code", error.message) from None
    return user


def _accept_totp(factor: SecondFactor, code: str) -> bool:
    """Whether this is the code of the present step or a neighbour that was not used yet."""
    code = "".join(code.split())
    totp = pyotp.TOTP(factor.secret())
    present = int(time.time()) // STEP
    for step in (present - 1, present, present + 1):
        if secrets.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            newer = SecondFactor.objects.filter(pk=factor.pk, last_step__lt=step)
            if newer.update(last_step=step):
                factor.last_step = step
                return True
    return False


@transaction.atomic
def _accept_recovery(factor: SecondFactor, code: str) -> bool:
    row = SecondFactor.objects.select_for_update().get(pk=factor.pk)
    given = _recovery_hash(factor, code.replace("-", ""))
    if given not in row.recovery_hashes:
        return False
    row.recovery_hashes.remove(given)
    row.save(update_fields=["recovery_hashes", "updated_at"])
    return True


def _new_recovery_codes(factor: SecondFactor) -> list[str]:
    plain = ["".join(secrets.choice(LETTERS) for _ in range(10)) for _ in range(CODES)]
    factor.recovery_hashes = [_recovery_hash(factor, code) for code in plain]
    return [f"{code[:5]}-{code[5:]}" for code in plain]


def _recovery_hash(factor: SecondFactor, code: str) -> str:
    return digest(f"recovery:{factor.pk}:{code}")
