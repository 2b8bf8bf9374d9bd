"""A week of warm-up as an inline SVG draws it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils import timezone

from outreach.models import WarmupDay

SHOWN_DAYS = 7
HEIGHT = 80
STEP = 10  # from bar to bar
WIDTH = 7  # of a bar


@dataclass(frozen=True)
class Bar:
    """One day: where its bar stands, and which part of it did not reach an inbox."""

    date: date
    day: WarmupDay | None
    x: int
    height: float
    missed_height: float

    @property
    def y(self) -> float:
        return HEIGHT - self.height


@dataclass(frozen=True)
class WarmupChart:
    """Seven days up to today, also those without a count."""

    bars: tuple[Bar, ...]
    total: int
    missed: int

    height = HEIGHT
    bar_width = WIDTH
    width = STEP * SHOWN_DAYS

    @property
    def says(self) -> str:
        """What the chart shows, for who does not see it."""
        missed = f", {self.missed:,} of them not in the inbox" if self.missed else ""
        return f"{self.total:,} warm-up messages in {SHOWN_DAYS} days{missed}."


def chart_of(days: Iterable[WarmupDay]) -> WarmupChart | None:
    """The chart of these days; None where nothing was sent."""
    by_date = {day.date: day for day in days}
    today = timezone.now().date()
    shown = [today - timedelta(days=back) for back in range(SHOWN_DAYS - 1, -1, -1)]
    top = max((by_date[when].sent for when in shown if when in by_date), default=0)
    if not top:
        return None
    bars = tuple(_bar(when, by_date.get(when), place, top) for place, when in enumerate(shown))
    counted = [bar.day for bar in bars if bar.day]
    return WarmupChart(bars, sum(day.sent for day in counted), sum(_missed(day) for day in counted))


def _bar(when: date, day: WarmupDay | None, place: int, top: int) -> Bar:
    def height(number: int) -> float:
        return round(max(1.0, number / top * HEIGHT), 1) if number else 0.0

    sent, missed = (day.sent, _missed(day)) if day else (0, 0)
    return Bar(when, day, STEP * place, height(sent), min(height(missed), height(sent)))


def _missed(day: WarmupDay) -> int:
    return 0 if day.delivered is None else max(0, day.sent - day.delivered)
