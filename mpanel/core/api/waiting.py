"""`Prefer: wait=N` (RFC 7240): a caller who would rather wait a little than ask again.

What a worker does is answered 202 at once; whoever prefers to wait gets the answer as soon as it
is there, or the 202 after so many seconds. A waiting request holds a thread of the web server, so
the time is short, few may wait in one process, and one tenant has one place of them; nothing may
be locked meanwhile. Inside of a transaction, and therefore with an `Idempotency-Key`, or where no
place is free, the wish is ignored.

A request that must look outside itself (public DNS, a registrar) takes a place of another kind. It
waits a little for one before it is asked to come back.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from mpanel.core.errors import TooManyRequests

LONGEST = 10  # seconds
# Places in one process, which has eight threads (gunicorn.conf.py): one is left for the rest.
WAITS, LOOKUPS, QUEUED = 2, 3, 2
QUEUE_PATIENCE = 3.0  # seconds that a look-up waits for a place
_FIRST_LOOK, _SLOWEST_LOOK = 0.05, 0.5  # seconds between two looks

PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`wait=N` waits up to N seconds, 10 at most, for the worker instead of answering "
    "202 at once (RFC 7240). Ignored with an Idempotency-Key, and while many wait already; the "
    "answer says in Preference-Applied whether it was heard.",
)

_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;|$)', re.IGNORECASE | re.ASCII)


class WaitingSlots:
    """So many at once in this process, `each` of them for one tenant; `queued` may wait for one."""

    def __init__(self, most: int, *, each: int = 1, queued: int = 0) -> None:
        self._most, self._each, self._queued = most, each, queued
        self._taken: Counter[str] = Counter()
        self._queue: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, whose: str, *, patience: float = 0.0) -> bool:
        """Take a place; False where none is free within so many seconds, or the queue is full."""
        with self._changed:
            if self._is_free(whose):
                self._taken[whose] += 1
                return True
            if self._queue.total() >= self._queued or self._queue[whose] >= self._each:
                return False
            self._queue[whose] += 1
            try:
                if not self._changed.wait_for(lambda: self._is_free(whose), patience):
                    return False
                self._taken[whose] += 1
                return True
            finally:
                self._subtract(self._queue, whose)

    def give_back(self, whose: str) -> None:
        """Give a place back, for whoever waits."""
        with self._changed:
            self._subtract(self._taken, whose)
            self._changed.notify_all()

    def _is_free(self, whose: str) -> bool:
        return self._taken.total() < self._most and self._taken[whose] < self._each

    @staticmethod
    def _subtract(counted: Counter[str], whose: str) -> None:
        counted[whose] -= 1
        if not counted[whose]:
            del counted[whose]


_waits = WaitingSlots(WAITS)
_lookups = WaitingSlots(LOOKUPS, queued=QUEUED)


def wished(header: str) -> int:
    """The seconds that a `Prefer` header asks to wait, as far as we go; 0 for none."""
    for preference in header.split(","):
        if found := _WAIT.match(preference):
            return min(int(found[1]), LONGEST)
    return 0


def wait(request: Request, is_over: Callable[[], bool]) -> dict[str, str]:
    """Wait as the caller prefers until it is over; the headers that tell whether we did."""
    seconds = wished(request.headers.get("Prefer", ""))
    whose = str(getattr(request.auth, "tenant_id", ""))
    if not seconds or connection.in_atomic_block or not _waits.take(whose):
        return {}
    try:
        deadline, pause = time.monotonic() + seconds, _FIRST_LOOK
        while not is_over() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _SLOWEST_LOOK)
    finally:
        _waits.give_back(whose)
    return {"Preference-Applied": f"wait={seconds}"}


@contextmanager
def outside(whose: object, *, patience: float = QUEUE_PATIENCE) -> Iterator[None]:
    """Look outside within a request of this tenant (or, without one, of this address).

    Raises `TooManyRequests` where no place becomes free in time.
    """
    if not _lookups.take(str(whose), patience=patience):
        raise TooManyRequests(
            "Too many look-ups are under way just now. Try again in a moment.", retry_after=2
        )
    try:
        yield
    finally:
        _lookups.give_back(str(whose))
