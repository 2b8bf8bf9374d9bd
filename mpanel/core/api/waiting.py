"""`Prefer: wait=N` (RFC 7240): a caller who would rather wait a little than ask again.

What a worker does is answered 202 at once; whoever prefers to wait gets the answer as soon as it
is there, or the 202 after so many seconds. A waiting request holds a thread of the web server, so
the time is short and few may wait in one process; and nothing may be locked meanwhile. Inside of a
transaction, and therefore with an `Idempotency-Key`, or where enough wait already, the wish is
ignored. A request that must look outside itself (public DNS, a registrar) takes one of the same few
places, or is asked to come back.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from mpanel.core.errors import TooManyRequests

LONGEST = 10  # seconds
MOST = 2  # requests of one process: half of the threads that the Dockerfile gives it
_FIRST_LOOK, _SLOWEST_LOOK = 0.05, 0.5  # seconds between two looks

PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`wait=N` waits up to N seconds, 10 at most, for the worker instead of answering "
    "202 at once (RFC 7240). Ignored with an Idempotency-Key, and while many wait already; the "
    "answer says in Preference-Applied whether it was heard.",
)

_places = threading.BoundedSemaphore(MOST)
_WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;|$)', re.IGNORECASE | re.ASCII)


def wished(header: str) -> int:
    """The seconds that a `Prefer` header asks to wait, as far as we go; 0 for none."""
    for preference in header.split(","):
        if found := _WAIT.match(preference):
            return min(int(found[1]), LONGEST)
    return 0


def wait(request: Request, is_over: Callable[[], bool]) -> dict[str, str]:
    """Wait as the caller prefers until it is over; the headers that tell whether we did."""
    seconds = wished(request.headers.get("Prefer", ""))
    if not seconds or connection.in_atomic_block or not _places.acquire(blocking=False):
        return {}
    try:
        deadline, pause = time.monotonic() + seconds, _FIRST_LOOK
        while not is_over() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _SLOWEST_LOOK)
    finally:
        _places.release()
    return {"Preference-Applied": f"wait={seconds}"}


@contextmanager
def outside() -> Iterator[None]:
    """Look outside within a request. Raises `TooManyRequests` where enough do already."""
    if not _places.acquire(blocking=False):
        raise TooManyRequests(
            "Too many look-ups are under way just now. Try again in a moment.", retry_after=2
        )
    try:
        yield
    finally:
        _places.release()
