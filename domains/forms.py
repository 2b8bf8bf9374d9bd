"""Forms about domains."""

from collections.abc import Iterable
from typing import Any

from django import forms

from domains.registrars import REGISTRARS
from tenants.models import ProviderCredential

REGISTRAR_CHOICES = [(key, registrar.name) for key, registrar in REGISTRARS.items()]


class ConnectForm(forms.Form):
    """The domain to connect."""

    domain = forms.CharField(
        label="Domain",
        max_length=1000,
        widget=forms.TextInput(
            attrs={
                "placeholder": "example.com",
                "autocapitalize": "none",
                "autocomplete": "off",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
        help_text="As you would type it: we clean up what you paste.",
    )
    provider = forms.ChoiceField(
        label="Where it is registered",
        choices=REGISTRAR_CHOICES,
        initial="other",
        help_text="So that we can tell you where to click. It changes nothing else.",
    )
    credential = forms.ChoiceField(label="DNS account")
    notes = forms.CharField(
        label="Notes",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(
        self, *args: Any, credentials: Iterable[ProviderCredential], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(item.pk), f"{item.label} ({item.provider_label})") for item in credentials]
        field = self.fields["credential"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        if len(choices) == 1:
            field.widget = forms.HiddenInput()
            field.initial = choices[0][0]


class DomainForm(forms.Form):
    """What can be changed about a connected domain."""

    provider = forms.ChoiceField(label="Where it is registered", choices=REGISTRAR_CHOICES)
    notes = forms.CharField(
        label="Notes",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
