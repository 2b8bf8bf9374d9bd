"""Forms about mailboxes."""

from typing import Any

from django import forms

from domains.models import Domain
from mailboxes.naming import CONVENTIONS, MAX_ADDRESSES, Persona, parse_custom, parse_personas
from mpanel.core.errors import Invalid


class ProvisionForm(forms.Form):
    """How many inboxes, and how they are named."""

    inbox_count = forms.IntegerField(
        label="How many inboxes", min_value=1, max_value=MAX_ADDRESSES, initial=10
    )
    naming_convention = forms.ChoiceField(
        label="How they are named",
        choices=[(item.key, item.label) for item in CONVENTIONS.values()],
        initial="firstname.lastname",
    )
    personas = forms.CharField(
        label="Names of people",
        required=False,
        help_text="One “First Last” a line. Without names, we choose from our own list.",
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "Ada Lovelace"}),
    )
    custom = forms.CharField(
        label="Your own list",
        required=False,
        help_text="For “Your own list”: one address a line, before the @ or whole.",
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "hello"}),
    )
    idempotency_key = forms.CharField(widget=forms.HiddenInput, max_length=64, required=False)

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.domain = domain

    def clean_personas(self) -> list[Persona]:
        if not self.cleaned_data["personas"].strip():
            return []
        try:
            return parse_personas(self.cleaned_data["personas"])
        except Invalid as error:
            raise forms.ValidationError(error.details.get("personas", error.message)) from None

    def clean_custom(self) -> list[str]:
        if self.data.get("naming_convention") != "custom":
            return []
        try:
            return parse_custom(self.cleaned_data["custom"], self.domain.name)
        except Invalid as error:
            raise forms.ValidationError(error.details.get("custom", error.message)) from None

    def wish(self) -> dict[str, Any]:
        """What the services take: count, convention, personas, custom."""
        return {
            "count": self.cleaned_data["inbox_count"],
            "convention": self.cleaned_data["naming_convention"],
            "personas": self.cleaned_data["personas"],
            "custom": self.cleaned_data["custom"],
        }


class RevealForm(forms.Form):
    """The fresh code that reveals one password."""

    code = forms.CharField(
        label="Code from the e-mail",
        max_length=20,
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}
        ),
    )
