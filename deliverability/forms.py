"""Forms about how much may be sent."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings

from deliverability.limits import MOST_A_DAY, MOST_OF_DOMAIN
from mailboxes.models import Mailbox


class LimitsForm(forms.Form):
    """The limit of a mailbox, and how it gets there."""

    daily_limit = forms.IntegerField(
        label="Recipients a day", min_value=1, max_value=MOST_A_DAY, required=False
    )
    warm_up = forms.BooleanField(label="Warm up to it", required=False)
    start = forms.IntegerField(
        label="First day", min_value=1, max_value=MOST_A_DAY, required=False, initial=5
    )
    step = forms.IntegerField(
        label="More each day", min_value=1, max_value=MOST_A_DAY, required=False, initial=5
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usual = f"Empty for the usual limit, which is {settings.MAILBOX_DAILY_LIMIT}."
        self.fields["daily_limit"].help_text = usual

    @staticmethod
    def of(mailboxes: Sequence[Mailbox]) -> "LimitsForm":
        """Filled in with what holds now, where the same holds for all of these."""
        columns = ("daily_limit", "warmup_since", "warmup_start", "warmup_step")
        kinds = {tuple(getattr(one, name) for name in columns) for one in mailboxes}
        if len(kinds) != 1:
            return LimitsForm()
        mailbox = mailboxes[0]
        return LimitsForm(
            initial={
                "daily_limit": mailbox.daily_limit,
                "warm_up": mailbox.warmup_since is not None,
                "start": mailbox.warmup_start,
                "step": mailbox.warmup_step,
            }
        )

    def clean(self) -> None:
        if self.cleaned_data.get("warm_up"):
            for name in ("start", "step"):
                if name not in self.errors and not self.cleaned_data.get(name):
                    self.add_error(name, "A warm-up needs this.")

    def arguments(self) -> dict[str, Any]:
        """What the service takes."""
        limit = {"daily_limit": self.cleaned_data["daily_limit"]}
        if not self.cleaned_data["warm_up"]:
            return limit
        return {**limit, "start": self.cleaned_data["start"], "step": self.cleaned_data["step"]}


class CeilingForm(forms.Form):
    """What all mailboxes of a domain together may send."""

    ceiling = forms.IntegerField(
        label="Recipients a day of all together",
        min_value=1,
        max_value=MOST_OF_DOMAIN,
        required=False,
        help_text="Empty for no ceiling of the domain.",
    )
