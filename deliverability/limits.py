"""How many recipients a day: the warm-up ramp, and why somebody may not send at all. Pure.

Days are UTC days: every limit starts anew at 00:00 UTC.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from django.conf import settings

from billing.plans import PLANS, TRIAL
from mailboxes.models import Mailbox
from tenants.models import Tenant

MOST_A_DAY = 100_000  # recipients, of one mailbox
MOST_OF_DOMAIN = 10_000_000
UNLIMITED = 2_147_483_647  # what the counter's column can hold


def today() -> date:
    """The day that counts now."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Ramp:
    """A warm-up: `start` recipients on the day `since`, `step` more on each day after."""

    since: date
    start: int
    step: int

    def on(self, day: date) -> int:
        """What it allows on a day."""
        return self.start + self.step * max(0, (day - self.since).days)

    def reaches(self, ceiling: int) -> date:
        """The first day on which it allows as much as the ceiling. `step` is at least 1."""
        return self.since + timedelta(days=max(0, -(-(ceiling - self.start) // self.step)))


def limit_on(day: date, ceiling: int, ramp: Ramp | None) -> int:
    """What a mailbox may send on a day: the ramp's number, and never more than the ceiling."""
    return ceiling if ramp is None else min(ceiling, ramp.on(day))


class Limited(Protocol):
    """A mailbox, or the columns of one that say how much it may send."""

    @property
    def daily_limit(self) -> int | None: ...
    @property
    def warmup_since(self) -> date | None: ...
    @property
    def warmup_start(self) -> int: ...
    @property
    def warmup_step(self) -> int: ...


def ramp_of(mailbox: Limited) -> Ramp | None:
    """The ramp that a mailbox is on."""
    since = mailbox.warmup_since
    return None if since is None else Ramp(since, mailbox.warmup_start, mailbox.warmup_step)


def ceiling_of(mailbox: Limited) -> int:
    """What a mailbox may send a day once it is warm."""
    chosen = mailbox.daily_limit
    return int(settings.MAILBOX_DAILY_LIMIT) if chosen is None else chosen


def limit_today(mailbox: Limited) -> int:
    """What a mailbox may send to today."""
    return limit_on(today(), ceiling_of(mailbox), ramp_of(mailbox))


def plan_ceiling(plan: str | None) -> int:
    """What all mailboxes of a tenant together may send on its plan; None for one not asked yet."""
    sends = PLANS[plan or TRIAL].sends
    return UNLIMITED if sends is None else sends


@dataclass(frozen=True, slots=True)
class SenderState:
    """All that decides whether somebody may send. `trial_ends_at`: outside of a trial, too."""

    status: str
    tenant_status: str
    paused: bool = False
    paused_reason: str = ""
    plan: str | None = None
    trial_ends_at: datetime | None = None


def refusal(state: SenderState, now: datetime) -> str:
    """Why nothing may be sent, "" where it may; the sentences of the view `mail_sender_refusal`."""
    status, ends = state.status, state.trial_ends_at
    trial_over = state.plan == TRIAL and ends is not None and ends <= now
    paused = f"Sending is paused. See the mailbox in the panel. {state.paused_reason}".strip()
    reasons = (
        (status in {Mailbox.DELETING, Mailbox.DELETED}, "This mailbox was deleted."),
        (state.tenant_status != Tenant.ACTIVE, "Your account is suspended."),
        (status == Mailbox.SUSPENDED, "This mailbox is suspended."),
        (status == Mailbox.FAILED, "This mailbox is not set up yet."),
        (state.paused, paused),
        (trial_over, "Your trial has ended. Choose a plan to send again."),
    )
    return next((why for holds, why in reasons if holds), "")
