"""Keeping the distance between calls that a vendor's limit asks for."""

import time


class RateLimiter:
    """`wait()` comes back `interval` seconds after it last did, at the earliest."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = 0.0

    def wait(self) -> None:
        """To be called before every call."""
        if self._interval and (left := self._next - time.monotonic()) > 0:
            time.sleep(left)
        self._next = time.monotonic() + self._interval
