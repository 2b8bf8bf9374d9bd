"""What somebody has proved when only the second factor is missing: kept for a few minutes."""

from datetime import timedelta
from uuid import UUID

from django.core import signing

from mpanel.core.errors import Unauthorized
from mpanel.core.secrets import digest, same
from tenants.models import OneTimeCode, User
from tenants.services.codes import use_up
from tenants.services.guesses import asker_of
from tenants.services.second_factor import check_second_factor

LASTS = timedelta(minutes=5)
SALT = "mpanel.first-factor"


class ProofExpired(Unauthorized):
    """That took longer than five minutes. Please sign in again."""

    code = "PROOF_EXPIRED"


def first_factor_proof(user: User, *, code_id: UUID | None = None) -> str:
    """A signed note that this user gave their password, or the one-time code `code_id`.

    It names no secret, and dies with the password or the code. It stays on the server.
    """
    proved = {"user": str(user.pk), "code": str(code_id or ""), "password": _mark(user)}
    return signing.dumps(proved, salt=SALT)


def sign_in_by_proof(
    proof: str, *, second_factor: str, address: str, device: UUID | None = None
) -> User:
    """The user of a fresh proof, for a code of the second factor.

    Raises `ProofExpired`, `SecondFactorRequired`, `SecondFactorRefused`, `TooManyRequests`, and
    `CodeRefused` where the one-time code was used elsewhere meanwhile.
    """
    try:
        proved = signing.loads(proof, salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        raise ProofExpired from None
    user = User.objects.filter(pk=proved["user"], is_active=True).first()
    if user is None or not same(proved["password"], _mark(user)):
        raise ProofExpired
    asker = asker_of(user.email, address=address, device=device)
    check_second_factor(user, second_factor, asker=asker, proof=proof)
    if proved["code"]:
        use_up(OneTimeCode(pk=proved["code"]))
    return user


def _mark(user: User) -> str:
    """Changes with the password, and tells nothing about it."""
    return digest(f"password:{user.pk}:{user.password}")
