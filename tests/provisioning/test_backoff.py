"""Backoff is a pure function of the attempt."""

import random

from hypothesis import given
from hypothesis import strategies as st

from provisioning import backoff

ATTEMPTS = st.integers(1, 200)
SEEDS = st.integers(0, 2**32)


def dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  (repeatable on purpose)


@given(ATTEMPTS, SEEDS)
def test_the_same_dice_give_the_same_delay(attempt: int, seed: int) -> None:
    first, second = (backoff.delay(attempt, rng=dice(seed)) for _ in range(2))
    assert first == second


@given(ATTEMPTS, SEEDS)
def test_a_delay_doubles_up_to_the_cap_with_a_quarter_of_jitter(attempt: int, seed: int) -> None:
    base = min(backoff.CAP, backoff.FIRST * 2.0 ** (attempt - 1))
    assert base <= backoff.delay(attempt, rng=dice(seed)) <= base * 1.25


@given(ATTEMPTS, SEEDS, st.floats(0, 100_000))
def test_the_vendors_wish_is_a_lower_bound(attempt: int, seed: int, wish: float) -> None:
    assert backoff.delay(attempt, at_least=wish, rng=dice(seed)) >= wish


def test_jobs_that_failed_together_do_not_return_together() -> None:
    assert len({backoff.delay(3) for _ in range(50)}) > 45


def test_it_gives_up_after_some_twenty_minutes() -> None:
    assert next(n for n in range(20) if backoff.gives_up(n)) == backoff.MAX_ATTEMPTS
    seeded = dice(1)
    waited = sum(backoff.delay(n, rng=seeded) for n in range(1, backoff.MAX_ATTEMPTS))
    assert 15 * 60 < waited < 35 * 60
