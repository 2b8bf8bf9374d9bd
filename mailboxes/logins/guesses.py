"""Wrong passwords as rows, shared by all processes and machines (docs/decisions/0030).

Each new wrong password counts against three: the network at this mailbox, the network at all
mailboxes, and all networks at this mailbox. Who logged in to the mailbox before from the same
network counts against the first only, and is refused by it only.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.services import record
from mailboxes.logins.gate import Pair, Refusals, Seen
from mailboxes.models import LoginGuesses, LoginNetwork, Mailbox
from mpanel.core.actor import Actor, acting_for, system
from mpanel.core.errors import NotFound

DRAINS = timedelta(hours=1)  # within which a score that is at its limit drains to nothing
FIRST, LONGEST = timedelta(minutes=1), timedelta(hours=1)  # of a refusal; it doubles each time
TOLD = 10  # wrong passwords of strangers, of which the customer is told
KNOWN_FOR = timedelta(days=30)
FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True)
class Budget:
    """`limit`: wrong passwords that are free. `longest`: how long a refusal lasts at most."""

    limit: int
    longest: timedelta = LONGEST

    def drained(self, score: float, elapsed: timedelta) -> float:
        """What is left of a score."""
        return max(0.0, score - self.limit * max(elapsed, timedelta()) / DRAINS)

    def refusal(self, score: float) -> timedelta | None:
        """For how long the next login is refused at this score; None for not at all."""
        if score <= self.limit - 1:
            return None
        doublings: int = min(10, max(0, round(score - self.limit)))
        return min(self.longest, FIRST * (1 << doublings))


STRANGER, KNOWN, NETWORK = Budget(10), Budget(30), Budget(60)
# Strangers at one mailbox together. Short, since an owner in a new place waits as well.
MAILBOX = Budget(100, timedelta(minutes=15))


@transaction.atomic
def write(seen: Seen, now: datetime | None = None) -> None:
    """Count new wrong passwords, and remember from where logins were right.

    Of addresses that are no mailbox, only the network is counted, so that invented names fill
    nothing.
    """
    now = now or timezone.now()
    logins = {login for login, _ in (*seen.wrong, *seen.right)}
    # A former owner of the domain may have the same address.
    rows = Mailbox.objects.present().filter(address__in=logins, domain__verified_at__isnull=False)
    mailboxes = {mailbox.address: mailbox for mailbox in rows.only("id", "address", "tenant_id")}
    _remember_networks(seen.right, mailboxes, now)
    if seen.wrong:
        _count(seen.wrong, mailboxes, now)


def refusals(now: datetime | None = None) -> Refusals:
    """Who is refused now, and whom that does not concern: logins known where strangers are."""
    now = now or timezone.now()
    rows = list(LoginGuesses.objects.filter(refused_until__gt=now).select_related("mailbox"))
    until = {
        (row.mailbox.address if row.mailbox else "", row.network): row.refused_until.timestamp()
        for row in rows
        if row.refused_until
    }
    at = [row.mailbox_id for row in rows if not row.network]
    by = [row.network for row in rows if row.mailbox_id is None]
    known = LoginNetwork.objects.filter(Q(mailbox__in=at) | Q(network__in=by))
    return Refusals(until, frozenset(known.values_list("mailbox__address", "network")))


@transaction.atomic
def lift(actor: Actor, guesses_id: UUID) -> None:
    """An operator lets a network, or strangers at a mailbox, log in again at once."""
    actor.require_operator()
    now = timezone.now()
    row = LoginGuesses.objects.select_related("mailbox").filter(pk=guesses_id).first()
    if row is None:
        raise NotFound
    LoginGuesses.objects.filter(pk=row.pk).update(score=0, refused_until=None, updated_at=now)
    if row.mailbox:
        who = row.network or "everywhere"
        sentence = f"Logins to {row.mailbox} from {who} are allowed again."
        operator = acting_for(actor, row.mailbox.tenant_id)
        record(operator, "mailbox.logins_allowed", row.mailbox, sentence)


def forget_old() -> None:
    """Drop guesses and networks that count no more."""
    now = timezone.now()
    LoginGuesses.objects.filter(updated_at__lt=now - FORGOTTEN).delete()
    LoginNetwork.objects.filter(last_login_at__lt=now - KNOWN_FOR).delete()


def _remember_networks(
    right: Iterable[Pair], mailboxes: Mapping[str, Mailbox], now: datetime
) -> None:
    rows = [
        LoginNetwork(mailbox=mailboxes[login], network=network, last_login_at=now)
        for login, network in sorted(right)
        if login in mailboxes
    ]
    LoginNetwork.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["mailbox", "network"],
        update_fields=["last_login_at"],
    )


def _count(wrong: Mapping[Pair, int], mailboxes: Mapping[str, Mailbox], now: datetime) -> None:
    known = set(
        LoginNetwork.objects.filter(
            mailbox__in=[mailbox.pk for mailbox in mailboxes.values()],
            network__in={network for _, network in wrong},
        ).values_list("mailbox__address", "network")
    )
    more: dict[str, int] = defaultdict(int)
    wanted: dict[str, tuple[LoginGuesses, Budget]] = {}
    for (login, network), number in wrong.items():
        mailbox, is_known = mailboxes.get(login), (login, network) in known
        parts: list[tuple[Mailbox | None, str, Budget]] = []
        if mailbox:
            parts.append((mailbox, network, KNOWN if is_known else STRANGER))
        if not is_known:
            parts.append((None, network, NETWORK))
            parts += [(mailbox, "", MAILBOX)] if mailbox else []
        for at, by, budget in parts:
            key = f"{at.pk if at else ''} {by}"
            more[key] += number
            fresh = LoginGuesses(key=key, mailbox=at, network=by, since=now, scored_at=now)
            wanted.setdefault(key, (fresh, budget))
    # In one order, so that two processes do not wait for each other.
    LoginGuesses.objects.bulk_create(
        [wanted[key][0] for key in sorted(wanted)], ignore_conflicts=True
    )
    locked = LoginGuesses.objects.select_for_update(of=("self",)).select_related("mailbox")
    rows = list(locked.filter(key__in=wanted).order_by("key"))
    for row in rows:
        budget = wanted[row.key][1]
        row.score = budget.drained(row.score, now - row.scored_at) + more[row.key]
        row.wrong += more[row.key]
        row.scored_at = row.updated_at = now
        if refused := budget.refusal(row.score):
            row.refused_until = now + refused
    LoginGuesses.objects.bulk_update(
        rows, ["score", "wrong", "scored_at", "updated_at", "refused_until"]
    )
    _tell([row for row in rows if _is_news(row, wanted[row.key][1])], now)


def _is_news(row: LoginGuesses, budget: Budget) -> bool:
    """Of strangers the customer hears when all together are many; of a known network, when it is
    refused."""
    if row.told_at or row.mailbox_id is None:
        return False
    return (not row.network and row.score > TOLD - 1) or (
        budget is KNOWN and row.refused_until is not None
    )


def _tell(rows: Iterable[LoginGuesses], now: datetime) -> None:
    """Once per wave: the row is dropped a day after the last guess."""
    for row in rows:
        mailbox = row.mailbox
        assert mailbox is not None
        if not LoginGuesses.objects.filter(pk=row.pk, told_at=None).update(told_at=now):
            continue
        since = f"{row.since:%Y-%m-%d %H:%M} UTC"
        where = row.network or "networks where nobody logged in to it before"
        record(
            system(mailbox.tenant_id),
            "mailbox.guessed",
            mailbox,
            f"{row.wrong} wrong passwords were tried for {mailbox} since {since}, from {where}. "
            "Further attempts are refused for a while.",
        )
