"""Forms about outreach tools."""

from typing import Any

from django import forms

from outreach.providers.base import Campaign, WarmupSettings
from outreach.services import MOST_A_DAY, USUAL
from outreach.vendors import tool
from tenants.models import ProviderCredential


class ConnectForm(forms.Form):
    """With which account mailboxes are connected, and how they are warmed up."""

    credential = forms.ChoiceField(label="Account", widget=forms.RadioSelect)
    warmup_enabled = forms.BooleanField(
        label="Warm the inboxes up",
        required=False,
        initial=USUAL.enabled,
        help_text="The tool exchanges mail with other inboxes, so that yours become known.",
    )
    max_email_per_day = forms.IntegerField(
        label="Messages a day",
        min_value=1,
        max_value=MOST_A_DAY,
        initial=USUAL.max_email_per_day,
        help_text="Per inbox: campaigns and warm-up together.",
    )
    total_warmup_per_day = forms.IntegerField(
        label="Warm-up messages a day",
        min_value=0,
        max_value=MOST_A_DAY,
        initial=USUAL.total_per_day,
    )
    daily_rampup = forms.IntegerField(
        label="More each day",
        min_value=0,
        max_value=MOST_A_DAY,
        initial=USUAL.daily_rampup,
        help_text="How many warm-up messages are added each day until that number.",
    )

    def __init__(self, *args: Any, credentials: list[ProviderCredential], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.credentials = credentials
        field = self.fields["credential"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(str(one.pk), str(one)) for one in credentials]
        if credentials:
            field.initial = str(credentials[0].pk)

    @property
    def options(self) -> list[dict[str, str]]:
        """The accounts as big choices."""
        return [
            {"value": str(one.pk), "title": str(one), "text": tool(one.provider).label}
            for one in self.credentials
        ]

    def warmup(self) -> WarmupSettings:
        """What the services take."""
        return WarmupSettings(
            enabled=self.cleaned_data["warmup_enabled"],
            max_email_per_day=self.cleaned_data["max_email_per_day"],
            total_per_day=self.cleaned_data["total_warmup_per_day"],
            daily_rampup=self.cleaned_data["daily_rampup"],
        )


class CampaignForm(forms.Form):
    """Which campaign the connected mailboxes join."""

    campaign = forms.ChoiceField(label="Campaign")

    def __init__(self, *args: Any, campaigns: list[Campaign], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["campaign"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(one.id, f"{one.name} ({one.status})") for one in campaigns]
