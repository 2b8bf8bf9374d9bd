"""When to try again: pure functions of what happened."""

import random

FIRST = 2.0
CAP = 300.0
MAX_ATTEMPTS = 12  # about twenty minutes of trying


def delay(attempt: int, *, at_least: float = 0.0, rng: random.Random | None = None) -> float:
    """Seconds to wait after failed attempt number `attempt` (1, 2, ...).

    Doubles from two seconds to five minutes, with up to a quarter of jitter so that many jobs
    that failed together do not return together. `at_least` is what the vendor asked for.
    """
    rng = rng or random.SystemRandom()
    wait = min(CAP, FIRST * 2.0 ** (attempt - 1))
    return float(max(at_least, wait) * (1 + rng.uniform(0, 0.25)))


def gives_up(attempt: int) -> bool:
    """Whether so many failed attempts are enough."""
    return attempt >= MAX_ATTEMPTS
