"""What was asked of the sandbox: counts, and the latest requests."""

import time
from collections import Counter, deque
from typing import Any

KEEP = 500


class Journal:
    """Counts by service, method, path and outcome; kept in memory only."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str, int | None]] = Counter()
        self._recent: deque[dict[str, Any]] = deque(maxlen=KEEP)

    def count(self, service: str, method: str, path: str, status: int | None = None) -> None:
        """Count one request. `path` has its ids replaced, so that alike requests add up."""
        self._counts[service, method, path, status] += 1

    def note(self, service: str, method: str, subject: str, status: int | None) -> None:
        """Remember one request among the latest; `subject` is what exactly was asked."""
        self._recent.appendleft(
            {
                "service": service,
                "method": method,
                "path": subject,
                "status": status,
                "at": time.time(),
            }
        )

    def counts(self) -> list[dict[str, Any]]:
        """All counts, sorted; `status` is `None` for a request that got no answer."""
        keys = ("service", "method", "path", "status")
        return [
            {**dict(zip(keys, key, strict=True)), "count": number}
            for key, number in sorted(self._counts.items(), key=lambda item: str(item[0]))
        ]

    def recent(self) -> list[dict[str, Any]]:
        """The latest requests, newest first; `at` is in Unix seconds."""
        return list(self._recent)

    def reset(self) -> None:
        self._counts.clear()
        self._recent.clear()
