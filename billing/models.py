"""The plan a tenant is on."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from billing.plans import TRIAL
from mpanel.core.models import Row

TRIAL_LASTS = timedelta(days=7)


def trial_end() -> datetime:
    """When a trial that starts now ends."""
    return timezone.now() + TRIAL_LASTS


class Account(Row):
    """A tenant's account: its plan, and when its trial ends.

    Its row is also the lock under which a tenant's limits are checked.
    """

    UNTOLD, ENDING, ENDED = "", "ending", "ended"

    tenant = models.OneToOneField("tenants.Tenant", models.CASCADE, related_name="account")
    plan = models.CharField(max_length=32, default=TRIAL)
    # What the customer means to take after the trial, "" while that is open.
    chosen_plan = models.CharField(max_length=32, blank=True)
    trial_ends_at = models.DateTimeField(default=trial_end)
    # What the tenant was told last of its trial's end.
    trial_told = models.CharField(max_length=8, default=UNTOLD, blank=True)

    def __str__(self) -> str:
        return f"{self.tenant}: {self.plan}"

    @property
    def in_trial(self) -> bool:
        return self.plan == TRIAL

    @property
    def trial_over(self) -> bool:
        return self.in_trial and timezone.now() >= self.trial_ends_at

    @property
    def trial_days_left(self) -> int | None:
        """Days left, counting the one that has begun; None outside of a trial."""
        if not self.in_trial:
            return None
        left = self.trial_ends_at - timezone.now()
        return max(0, -(-left // timedelta(days=1)))
