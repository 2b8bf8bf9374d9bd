"""Who may guess how often: passwords, one-time codes, second factors (docs/decisions/0025)."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mpanel.core.errors import TooManyRequests
from mpanel.core.locks import advisory_lock
from mpanel.core.networks import network_of
from mpanel.core.pruning import prune
from mpanel.core.secrets import digest
from tenants.models import Guess, Session

PASSWORD, SECOND_FACTOR = "password", "second factor"
WINDOW, HOUR = timedelta(minutes=15), timedelta(hours=1)
PER_PAIR = 10  # wrong guesses of one asker at one account, per window
PER_NETWORK = 60  # of one network at all accounts, per window; who is known does not count
# Of all askers who are not known, at one account, per hour; and of all who are known.
PER_ACCOUNT = 100
PER_SECOND_FACTOR = 30  # three codes are right at a time, and who guesses has the password already


@dataclass(frozen=True)
class Asker:
    """Who asks for a code of an account, or guesses: a known device, or a network.

    `known`: this account signed in with this device, or from this network, and did not revoke it.
    That is no proof of anything; it only gives a budget that strangers cannot use up.
    """

    key: str
    known: bool


def asker_of(email: str, *, address: str, device: UUID | None = None) -> Asker:
    """Who asks about the account of this e-mail address.

    `device`: of the browser's cookie, or the session in which the person acts.
    """
    network = network_of(address)
    theirs = Session.objects.filter(membership__user__email=email)
    if device is not None:
        of_device = Q(device_key=device) | Q(pk=device, ended_at=None)
        if theirs.filter(of_device).exists():
            return Asker(f"device {device}", known=True)
    return Asker(network, known=bool(network) and theirs.filter(network=network).exists())


@transaction.atomic
def count_guess(kind: str, account: str, asker: Asker) -> Guess:
    """Count a guess before it is compared. Raises `TooManyRequests`.

    `kind`: what is guessed, each with budgets of its own. `account`: whose.
    """
    account = digest(f"guess:{kind}:{account}")
    # Locked before they are counted, in one order.
    advisory_lock(f"guesses at {account}")
    advisory_lock(f"guesses by {kind} {asker.key}")
    now = timezone.now()
    most = PER_SECOND_FACTOR if kind == SECOND_FACTOR else PER_ACCOUNT
    of_kind = Guess.objects.filter(kind=kind, created_at__gt=now - HOUR)
    at_account = of_kind.filter(account=account)
    recent = Q(created_at__gt=now - WINDOW)
    _require(at_account.filter(recent, asker=asker.key).count() < PER_PAIR, WINDOW)
    if not asker.known:
        by_network = of_kind.filter(recent, asker=asker.key, known=False)
        _require(by_network.count() < PER_NETWORK, WINDOW)
    _require(at_account.filter(known=asker.known).count() < most, HOUR)
    return Guess.objects.create(kind=kind, account=account, asker=asker.key, known=asker.known)


def forgive(guess: Guess) -> None:
    """A guess that was right does not count."""
    Guess.objects.filter(pk=guess.pk).delete()


def forget_old_guesses() -> bool:
    """Drop guesses that no limit counts any more."""
    return prune(Guess.objects.filter(created_at__lt=timezone.now() - 2 * HOUR))


def _require(is_allowed: bool, window: timedelta) -> None:
    if is_allowed:
        return
    minutes = int(window.total_seconds()) // 60
    raise TooManyRequests(
        f"Too many tries. Wait {minutes} minutes and try again.",
        retry_after=int(window.total_seconds()),
    )
