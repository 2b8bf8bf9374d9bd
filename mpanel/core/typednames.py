"""The form of a typed confirmation: a person writes the name of what they are about to change."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpRequest

from mpanel.core.losses import Loss

FIELD = "typed_name"


class TypedNameForm(forms.Form):
    """Asks for a name before something goes dark.

    `names`: what may be typed, the first as it is shown. `digest`: stands for what is lost, and
    comes back with the form, so that nothing else is agreed to. `losses`: shown above it.
    """

    confirmation = forms.CharField(widget=forms.HiddenInput, max_length=64)
    typed_name = forms.CharField(max_length=300)

    def __init__(
        self,
        names: Iterable[str],
        *,
        digest: str,
        losses: Iterable[Loss] = (),
        given: HttpRequest | None = None,
    ) -> None:
        self.names = [name.lower() for name in names]
        self.digest, self.losses = digest, tuple(losses)
        is_sent = given is not None and given.method == "POST" and FIELD in given.POST
        super().__init__(
            given.POST if is_sent and given else None, initial={"confirmation": digest}
        )
        field = self.fields[FIELD]
        field.label = f"Type {self.names[0]} to confirm"
        field.widget.attrs |= {
            "autocomplete": "off",
            "spellcheck": "false",
            "autocapitalize": "off",
        }

    def clean_typed_name(self) -> str:
        typed = str(self.cleaned_data[FIELD]).strip().rstrip(".").lower()
        if typed not in self.names:
            raise forms.ValidationError(f"This is not {self.names[0]}. Nothing was changed.")
        return typed

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and given.get("confirmation") != self.digest:
            self.data = {**self.data.dict(), "confirmation": self.digest}  # type: ignore[attr-defined]
            raise forms.ValidationError(
                "What goes dark has changed since it was shown. Look again, then type the name."
            )
        return given

    @property
    def is_agreed(self) -> bool:
        """Whether nothing is lost, or the person has typed the name."""
        return not self.losses or self.is_valid()
