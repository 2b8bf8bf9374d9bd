"""How much of its plan a tenant uses, and what keeps it from adding more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from billing.models import Account
from billing.services import plan_of
from domains.selectors import domains
from mailboxes.selectors import mailboxes
from mpanel.core.actor import Actor

ROWS: dict[str, Callable[[Actor], QuerySet[Any]]] = {"inboxes": mailboxes, "domains": domains}
OVER, FULL = "over", "full"


@dataclass(frozen=True)
class Use:
    """How much of one limit is used. `limit`: None for no limit."""

    label: str
    used: int
    limit: int | None

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.used >= self.limit


def use_of(actor: Actor, account: Account, what: str) -> Use:
    """How many "inboxes" or "domains" there are, of those that the plan allows."""
    limit: int | None = getattr(plan_of(account), what)
    return Use(what.capitalize(), ROWS[what](actor).count(), limit)


def obstacle(actor: Actor, account: Account, what: str) -> str:
    """Why the tenant cannot add "inboxes" or "domains" now: `OVER`, `FULL`, or "" if it can."""
    if account.trial_over:
        return OVER
    return FULL if use_of(actor, account, what).is_full else ""
