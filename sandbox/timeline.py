"""A value with its past, so that a resolver's cache can go on answering from it."""

import bisect
import math

KEEP_SECONDS = 3600  # no resolver may lag further behind
KEEP_VALUES = 200


class Timeline[T]:
    """The values that something has had, and the times (Unix seconds) from which each held."""

    def __init__(self, first: T) -> None:
        self._since = [-math.inf]
        self._values = [first]

    @property
    def latest(self) -> T:
        return self._values[-1]

    def set(self, value: T, at: float) -> None:
        """From `at` on the value is this one; forgets what no resolver can still need."""
        at = max(at, self._since[-1])  # a clock that is set back does not undo the order
        self._since.append(at)
        self._values.append(value)
        old = bisect.bisect_right(self._since, at - KEEP_SECONDS) - 1
        old = max(old, len(self._values) - KEEP_VALUES)
        if old > 0:
            del self._since[:old], self._values[:old]
            self._since[0] = -math.inf

    def at(self, when: float) -> T:
        """The value at that time."""
        return self._values[bisect.bisect_right(self._since, when) - 1]

    def changes(self, after: float, until: float) -> list[float]:
        """When it changed, later than `after` and not later than `until`."""
        first = bisect.bisect_right(self._since, after)
        last = bisect.bisect_right(self._since, until)
        return self._since[first:last]
