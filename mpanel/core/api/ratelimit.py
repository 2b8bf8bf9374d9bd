"""How many requests a minute: counted in the database, in portions that a process takes ahead.

A process takes a twentieth of the limit at once and spends it from memory, so that counting costs
one write in twenty requests. The limit is never exceeded; with several processes it may be met a
few requests early. Headers follow draft-ietf-httpapi-ratelimit-headers-10.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from mpanel.core.actor import Actor
from mpanel.core.errors import TooManyRequests
from mpanel.core.extensions import Extensions
from mpanel.core.models import RateWindow
from mpanel.core.networks import network_of
from mpanel.core.pruning import prune
from mpanel.core.secrets import digest

MINUTE = 60
LONGEST = 64  # characters that say whose a bucket is


@dataclass(frozen=True)
class Limit:
    """`name`: what is counted, for the header. `bucket`: whose. `most` in each `window` seconds."""

    name: str
    bucket: str
    most: int
    window: int = MINUTE


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit. `remaining` requests, `resets_in` seconds."""

    limit: Limit
    remaining: int
    resets_in: int


@dataclass
class _Portion:
    """What this process holds of one window of one bucket."""

    number: int
    left: int = 0
    used: int = 0
    exhausted: bool = False


_portions: dict[str, _Portion] = {}
_guard = threading.Lock()


def spend(limit: Limit, *, portion: int | None = None) -> Allowance:
    """Count one request. Raises `TooManyRequests` with the seconds to wait."""
    now = time.time()
    number = int(now // limit.window)
    resets_in = max(1, int((number + 1) * limit.window - now) + 1)
    size = portion or max(1, limit.most // 20)
    with _guard:
        mine = _portions.get(limit.bucket)
        if mine is None or mine.number != number:
            if len(_portions) > 10_000:
                _portions.clear()
            mine = _portions[limit.bucket] = _Portion(number)
        needs_more = mine.left == 0 and not mine.exhausted
    if needs_more:
        # Outside the guard: the database may let us wait for another request of this process.
        used = _take(limit, number, size)
        granted = min(size, max(0, limit.most - (used - size)))
        with _guard:
            mine.used = max(mine.used, used)
            mine.left += granted
            mine.exhausted = granted < size
    with _guard:
        if mine.left == 0:
            raise TooManyRequests(
                f"Too many requests: {limit.most} in {limit.window} seconds are allowed.",
                retry_after=resets_in,
            )
        mine.left -= 1
        remaining = max(0, limit.most - mine.used) + mine.left
    return Allowance(limit, remaining, resets_in)


def spend_try(name: str, whose: str, *, most: int, window: int) -> None:
    """Count a try that must never be exceeded, e.g. of passwords, each one in the database."""
    try:
        spend(Limit(name, bucket_of(name, whose), most, window), portion=1)
    except TooManyRequests as error:
        minutes = -(-error.retry_after // MINUTE)
        raise TooManyRequests(
            f"Too many tries. Wait {minutes} minute{'' if minutes == 1 else 's'} and try again.",
            retry_after=error.retry_after,
        ) from None


def headers(allowances: list[Allowance]) -> dict[str, str]:
    """`RateLimit-Policy` of all limits that were counted, and `RateLimit` of the tightest."""
    if not allowances:
        return {}
    tightest = min(allowances, key=lambda one: one.remaining)
    policy = ", ".join(
        f'"{one.limit.name}";q={one.limit.most};w={one.limit.window}' for one in allowances
    )
    return {
        "RateLimit-Policy": policy,
        "RateLimit": f'"{tightest.limit.name}";r={tightest.remaining};t={tightest.resets_in}',
    }


# How many requests a minute an actor's plan allows.
_plan_rate: Extensions[Callable[[Actor], int]] = Extensions("the plan's rate of requests")
register_plan_rate = _plan_rate.register


def limits_of(actor: Actor) -> list[Limit]:
    """Of the user or key, and of the whole tenant, as the plan says."""
    rate = _plan_rate.only()(actor)
    name, who = ("key", actor.key_id) if actor.key_id else ("user", actor.user_id)
    return [
        Limit(name, f"{name}:{who}", rate),
        Limit("tenant", f"tenant:{actor.tenant_id}", rate * 3),
    ]


def forget_old_windows() -> bool:
    """Drop counts that no limit looks at any more."""
    return prune(RateWindow.objects.filter(updated_at__lt=timezone.now() - timedelta(days=1)))


def forget_portions() -> None:
    """Forget what this process holds, as a restart does."""
    with _guard:
        _portions.clear()


def bucket_of(name: str, whose: str) -> str:
    """What is counted for whom: of addresses, their network (see `network_of`)."""
    whose = network_of(whose)
    return f"{name}:{whose if len(whose) <= LONGEST else digest(whose)}"


def _take(limit: Limit, number: int, size: int) -> int:
    """Add to a window's count, in one statement; the new count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_ratewindow (bucket, used, updated_at) VALUES (%s, %s, %s) "
            "ON CONFLICT (bucket) DO UPDATE SET used = core_ratewindow.used + excluded.used, "
            "updated_at = excluded.updated_at RETURNING used",
            [f"{limit.bucket}:{number}", size, timezone.now()],
        )
        return int(cursor.fetchone()[0])
