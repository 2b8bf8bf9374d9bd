"""Forms about who."""

from typing import Any

from django import forms

from mpanel.core.registry import Provider


class EmailForm(forms.Form):
    """The address to sign in with."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "autofocus": True, "placeholder": "you@example.com"}
        ),
    )


class CodeForm(forms.Form):
    """The code that was sent."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        widget=forms.TextInput(
            attrs={
                "inputmode": "numeric",
                "autocomplete": "one-time-code",
                "autofocus": True,
                "placeholder": "123456",
            }
        ),
    )


class ProfileForm(forms.Form):
    """What a person says of themselves and their organisation."""

    name = forms.CharField(label="Your name", max_length=120, required=False)
    tenant_name = forms.CharField(label="Organisation", max_length=120)


class CredentialForm(forms.Form):
    """A provider's credential: the fields that the provider declares."""

    label = forms.CharField(label="Name", max_length=120)

    def __init__(self, *args: Any, provider: type[Provider], kept: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for field in provider.credential_fields:
            self.fields[field.name] = forms.CharField(
                label=field.label,
                required=field.required and not (field.secret and kept),
                help_text=(
                    "Leave empty to keep the present one." if field.secret and kept else field.help
                ),
                max_length=8000,
                widget=forms.PasswordInput(attrs={"autocomplete": "off"})
                if field.secret
                else forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            )

    def provider_values(self) -> dict[str, str]:
        """What was given, by the provider's field names."""
        return {name: value for name, value in self.cleaned_data.items() if name != "label"}
