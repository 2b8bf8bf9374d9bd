"""The warm-up ramp and the limits of a day, without a database."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.plans import PLANS
from deliverability.limits import UNLIMITED, Ramp, SenderState, limit_on, plan_ceiling, refusal

DAYS = st.dates(date(2020, 1, 1), date(2080, 1, 1))
RAMPS = st.builds(Ramp, DAYS, st.integers(1, 500), st.integers(1, 500))
CEILINGS = st.integers(1, 100_000)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(RAMPS, CEILINGS, st.integers(0, 5_000))
def test_a_ramp_only_rises_and_never_passes_its_ceiling(
    ramp: Ramp, ceiling: int, after: int
) -> None:
    day = ramp.since + timedelta(days=after)
    today, tomorrow = (limit_on(one, ceiling, ramp) for one in (day, day + timedelta(days=1)))
    assert min(ramp.start, ceiling) <= today <= tomorrow <= ceiling
    assert tomorrow - today <= ramp.step


@given(RAMPS, CEILINGS)
def test_it_reaches_its_ceiling_on_the_day_it_says_and_not_before(ramp: Ramp, ceiling: int) -> None:
    day = ramp.reaches(ceiling)
    assert limit_on(day, ceiling, ramp) == ceiling
    if day > ramp.since:
        assert limit_on(day - timedelta(days=1), ceiling, ramp) < ceiling


@given(RAMPS, CEILINGS, st.integers(1, 5_000))
def test_before_its_first_day_it_allows_what_the_first_day_does(
    ramp: Ramp, ceiling: int, before: int
) -> None:
    day = ramp.since - timedelta(days=before)
    assert limit_on(day, ceiling, ramp) == limit_on(ramp.since, ceiling, ramp)


@given(CEILINGS, DAYS)
def test_without_a_ramp_the_ceiling_holds_every_day(ceiling: int, day: date) -> None:
    assert limit_on(day, ceiling, None) == ceiling


def test_a_ramp_by_numbers() -> None:
    ramp = Ramp(date(2026, 11, 1), 5, 5)
    assert [limit_on(date(2026, 11, day), 40, ramp) for day in (1, 2, 7, 8, 30)] == [
        *(5, 10, 35, 40, 40)
    ]
    assert ramp.reaches(40) == date(2026, 11, 8)
    assert ramp.reaches(41) == date(2026, 11, 9)
    assert ramp.reaches(3) == date(2026, 11, 1)


def test_the_plan_bounds_all_mailboxes_together() -> None:
    assert plan_ceiling(None) == plan_ceiling("trial") == PLANS["trial"].sends
    assert plan_ceiling("enterprise") == UNLIMITED


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (SenderState("active", "active"), ""),
        (SenderState("warming", "active", plan="starter", trial_ends_at=NOW), ""),
        (SenderState("provisioning", "active"), ""),
        (
            SenderState("active", "active", plan="trial", trial_ends_at=NOW + timedelta(seconds=1)),
            "",
        ),
        (SenderState("active", "active", plan="trial", trial_ends_at=NOW), "Your trial has ended."),
        (SenderState("active", "suspended"), "Your account is suspended."),
        (SenderState("suspended", "active"), "This mailbox is suspended."),
        (SenderState("deleting", "active"), "This mailbox was deleted."),
        (SenderState("deleted", "suspended"), "This mailbox was deleted."),
        (SenderState("failed", "active"), "This mailbox is not set up yet."),
        (
            SenderState("active", "active", paused=True, paused_reason="Too many bounced."),
            "bounced.",
        ),
    ],
)
def test_who_may_not_send_at_all(standing: SenderState, why: str) -> None:
    said = refusal(standing, NOW)
    assert why in said
    assert bool(said) == bool(why)
