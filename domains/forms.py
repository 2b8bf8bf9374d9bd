"""Forms about domains."""

from collections.abc import Iterable
from typing import Any

from django import forms

from domains.contacts import LABELS
from domains.registrars import REGISTRARS
from tenants.models import ProviderCredential

REGISTRAR_CHOICES = [(key, registrar.name) for key, registrar in REGISTRARS.items()]
YEAR_CHOICES = [(years, f"{years} year{'s' if years > 1 else ''}") for years in (1, 2, 3, 5, 10)]


def domain_input() -> forms.TextInput:
    """A field in which nothing "corrects" a domain."""
    return forms.TextInput(
        attrs={
            "placeholder": "example.com",
            "autocapitalize": "none",
            "autocomplete": "off",
            "spellcheck": "false",
            "autofocus": True,
        }
    )


def _text(
    label: str, autocomplete: str, *, required: bool = True, most: int = 120, help_text: str = ""
) -> forms.CharField:
    """A field of an address that browsers can fill in."""
    return forms.CharField(
        label=label,
        required=required,
        max_length=most,
        help_text=help_text,
        widget=forms.TextInput(attrs={"autocomplete": autocomplete}),
    )


def _offer(form: forms.Form, name: str, credentials: Iterable[ProviderCredential]) -> None:
    """Let a field choose between these; where there is only one, nobody is asked."""
    choices = [(str(item.pk), f"{item.label} ({item.provider_label})") for item in credentials]
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices
    if len(choices) == 1:
        field.widget = forms.HiddenInput()
        field.initial = choices[0][0]


class ConnectForm(forms.Form):
    """The domain to connect."""

    domain = forms.CharField(
        label="Domain",
        max_length=1000,
        widget=domain_input(),
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
        _offer(self, "credential", credentials)


class LookUpForm(forms.Form):
    """The new domain that a customer would like to have."""

    domain = forms.CharField(label="New domain", max_length=1000, widget=domain_input())
    years = forms.ChoiceField(label="For", choices=YEAR_CHOICES)
    credential = forms.ChoiceField(label="Registrar account")

    def __init__(self, *args: Any, registrars: Iterable[ProviderCredential], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, "credential", registrars)


class RegisterForm(forms.Form):
    """What it takes to buy the domain that was looked up: who it is for, and a yes to the price."""

    domain = forms.CharField(max_length=1000, widget=forms.HiddenInput)
    years = forms.IntegerField(min_value=1, max_value=10, widget=forms.HiddenInput)
    credential = forms.UUIDField(widget=forms.HiddenInput)
    max_cost = forms.IntegerField(min_value=0, max_value=10**12, widget=forms.HiddenInput)
    first_name = _text("First name", "given-name")
    last_name = _text("Last name", "family-name")
    organization = _text("Organisation", "organization", required=False)
    email = _text("E-mail address", "email", help_text="The registrar writes to it.")
    phone = _text("Phone", "tel", help_text="With the country's code, such as +49 30 1234567.")
    address1 = _text("Street and number", "address-line1")
    address2 = _text("Second line", "address-line2", required=False)
    postal_code = _text("Postal code", "postal-code", most=20)
    city = _text("City", "address-level2")
    state = _text("State or province", "address-level1", required=False)
    country = _text("Country", "country", most=2, help_text="Two letters, such as DE or US.")
    dns_credential = forms.ChoiceField(label="DNS account")
    agreed = forms.BooleanField(label="Yes, buy it at this price.")

    def __init__(
        self, *args: Any, dns_credentials: Iterable[ProviderCredential], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, "dns_credential", dns_credentials)

    def contact(self) -> dict[str, object]:
        """What was given of the contact."""
        return {name: self.cleaned_data[name] for name in LABELS}


class DomainForm(forms.Form):
    """What can be changed about a connected domain."""

    provider = forms.ChoiceField(label="Where it is registered", choices=REGISTRAR_CHOICES)
    notes = forms.CharField(
        label="Notes",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
