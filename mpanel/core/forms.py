"""Fields of forms that more than one app has."""

from typing import Any

from django import forms

from mpanel.core.addresses import clean_address
from mpanel.core.errors import Invalid


class AddressField(forms.CharField):
    """An e-mail address, in the one form in which it is stored (see `clean_address`)."""

    widget = forms.EmailInput

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        try:
            return clean_address(text) if text else ""
        except Invalid as error:
            raise forms.ValidationError(error.message) from None
