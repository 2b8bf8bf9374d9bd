"""The days of a chart as an inline SVG draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from deliverability.selectors import Day

HEIGHT = 80
STEP = 10  # from bar to bar
WIDTH = 7  # of a bar


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: where its bar stands, and which part of it bounced."""

    date: date
    sent: int
    bounced: int
    x: int
    y: float
    height: float
    bounced_height: float

    @property
    def bounced_y(self) -> float:
        return HEIGHT - self.bounced_height


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with the scale that the highest of them fills."""

    bars: list[Bar]
    top: int
    total: int
    bounced: int

    height = HEIGHT
    bar_width = WIDTH

    @property
    def width(self) -> int:
        return STEP * len(self.bars)

    @property
    def says(self) -> str:
        """What the chart shows, for who does not see it."""
        bounced = f", {self.bounced:,} of them bounced" if self.bounced else ""
        most = f" At most {self.top:,} on a day." if self.total else ""
        return f"{self.total:,} recipients in {len(self.bars)} days{bounced}.{most}"


def chart_of(days: Sequence[Day]) -> Chart:
    """A bar for each day. A day on which anything was sent has at least a line."""
    top = max((day.sent for day in days), default=0)

    def height(number: int) -> float:
        return round(max(1.0, number / top * HEIGHT), 1) if number and top else 0.0

    bars = [
        Bar(
            day.date,
            day.sent,
            day.bounced,
            x=STEP * place,
            y=HEIGHT - height(day.sent),
            height=height(day.sent),
            bounced_height=min(height(day.bounced), height(day.sent)),
        )
        for place, day in enumerate(days)
    ]
    return Chart(bars, top, sum(day.sent for day in days), sum(day.bounced for day in days))
