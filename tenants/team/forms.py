"""Forms about who works in a tenant."""

from collections.abc import Sequence
from typing import Any

from django import forms

from mpanel.core.actor import ADMIN, MEMBER, OWNER
from mpanel.core.forms import AddressField

ROLES = {
    MEMBER: "Member: sees everything but secrets",
    ADMIN: "Admin: changes everything, and invites",
    OWNER: "Owner: an admin whom only owners can remove",
}


class RoleForm(forms.Form):
    """A role, of those that the person may give."""

    role = forms.ChoiceField(label="Role", widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: Sequence[str], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (role, text) for role, text in ROLES.items() if role in roles
        ]


class InviteForm(RoleForm):
    """Whom to invite, and the role."""

    email = AddressField(
        label="E-mail address",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "bo@example.com"}),
    )
    field_order = ["email", "role"]
