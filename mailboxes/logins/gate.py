"""Whether a login may be tried, decided in memory, since every login waits for the answer.

What was seen is taken out by `take`, counted in the database, and comes back as refusals.
"""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mpanel.core.networks import network_of, plain_address

REMEMBERED = 100_000  # passwords that were wrong, and logins that were right
WAITING = 20_000  # pairs of login and network that are not in the database yet
REPEATS = 10  # of one wrong password from one network, before repeating it is slowed down
LONGEST_REPEAT = 60  # seconds for which a repeated password is refused at most
FORGOTTEN = 86_400  # seconds after which a wrong password counts again
WRITTEN = 43_200  # seconds for which a right login is not written again

Pair = tuple[str, str]  # login and network; "" stands for all


@dataclass(frozen=True, slots=True)
class Attempt:
    """`password`: Dovecot's `pwhash`, 12 bits of a keyed hash: enough to tell a repetition."""

    login: str
    address: str
    password: str

    @property
    def pair(self) -> Pair:
        return self.login, network_of(self.address)


@dataclass(frozen=True)
class Seen:
    """What is to be written: how many new wrong passwords, and which logins were right."""

    wrong: Mapping[Pair, int]
    right: frozenset[Pair]

    def __bool__(self) -> bool:
        return bool(self.wrong or self.right)


@dataclass(frozen=True)
class Refusals:
    """Until when (seconds since 1970) whose logins are refused, and who is known there."""

    until: Mapping[Pair, float] = field(default_factory=dict)
    known: frozenset[Pair] = frozenset()


@dataclass(slots=True)
class _Repetition:
    """A wrong password from one network: when last, how often, and until when it is refused."""

    at: float
    number: int = 1
    until: float = 0.0


class LoginGate:
    """`trusted`: networks that are never refused, such as the panel's and outreach tools'."""

    def __init__(
        self, trusted: Iterable[str] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        self._trusted = [ipaddress.ip_network(network.strip()) for network in trusted]
        self._clock = clock
        self._refusals = Refusals()
        self._wrong: OrderedDict[tuple[Pair, str], _Repetition] = OrderedDict()
        self._written: OrderedDict[Pair, float] = OrderedDict()
        self._new_wrong: Counter[Pair] = Counter()
        self._new_right: set[Pair] = set()

    def refusal(self, attempt: Attempt) -> str:
        """Why this login may not be tried now; empty where it may."""
        if self._is_trusted(attempt.address):
            return ""
        now, pair = self._clock(), attempt.pair
        until = self._refusals.until.get(pair, 0.0)
        if pair not in self._refusals.known:
            for everybody in ((pair[0], ""), ("", pair[1])):
                until = max(until, self._refusals.until.get(everybody, 0.0))
        if until > now:
            return f"Too many wrong passwords. Try again in {_minutes(until - now)}."
        repeated = self._wrong.get((pair, attempt.password))
        if repeated is not None and repeated.until > now:
            return "This password was wrong several times. Please set it anew in this program."
        return ""

    def report(self, attempt: Attempt, *, is_right: bool) -> None:
        """How a login that was tried ended."""
        now, pair = self._clock(), attempt.pair
        key = (pair, attempt.password)
        if is_right:
            self._wrong.pop(key, None)
            if self._written.get(pair, 0.0) < now - WRITTEN and len(self._new_right) < WAITING:
                _remember(self._written, pair, now)
                self._new_right.add(pair)
            return
        known = self._wrong.get(key)
        if known is None or known.at < now - FORGOTTEN:
            _remember(self._wrong, key, _Repetition(now))
            if pair in self._new_wrong or len(self._new_wrong) < WAITING:
                self._new_wrong[pair] += 1
            return
        known.at, known.number = now, known.number + 1
        if (more := known.number - REPEATS) > 0:
            known.until = now + min(LONGEST_REPEAT, 2.0 ** min(more, 10))
        self._wrong.move_to_end(key)

    def take(self) -> Seen:
        """What was seen since the last time."""
        seen = Seen(self._new_wrong, frozenset(self._new_right))
        self._new_wrong, self._new_right = Counter(), set()
        return seen

    def take_back(self, seen: Seen) -> None:
        """What could not be written is taken again next time."""
        for pair, number in seen.wrong.items():
            if pair in self._new_wrong or len(self._new_wrong) < WAITING:
                self._new_wrong[pair] += number
        self._new_right |= seen.right

    def refuse(self, refusals: Refusals) -> None:
        """From now on these are refused, and nobody else."""
        self._refusals = refusals

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(plain_address(address))
        except ValueError:
            return True  # no client: `doveadm auth test` on the machine itself
        return any(found in network for network in self._trusted)


def _remember[Key, Value](where: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    where[key] = value
    where.move_to_end(key)
    if len(where) > REMEMBERED:
        where.popitem(last=False)


def _minutes(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"
