"""Forms about who."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from mpanel.core.actor import SCOPES
from mpanel.core.forms import AddressField
from mpanel.core.registry import CredentialField, Provider
from mpanel.core.templatetags.ui import AVATARS
from tenants.services.passwords import LONGEST

GROUPS = {
    "domains": "Domains",
    "dns": "DNS",
    "mailboxes": "Mailboxes",
    "jobs": "Jobs",
    "account": "Account",
    "webhooks": "Webhooks",
    "audit": "Audit log",
    "operator": "Operator",
}
DEFAULT_DAYS = "90"
EXPIRIES = [
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    ("custom", "On a date of your choice"),
    ("never", "Never"),
]


def _password_field(label: str, *, autocomplete: str, **options: Any) -> forms.CharField:
    """A password: what is typed counts, spaces included."""
    return forms.CharField(
        label=label,
        strip=False,
        max_length=LONGEST,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete}),
        **options,
    )


def _new_password_field() -> forms.CharField:
    return _password_field(
        "New password",
        autocomplete="new-password",
        help_text="At least ten characters. A few words in a row are strong and easy to type.",
    )


class EmailForm(forms.Form):
    """The address to sign in with."""

    email = AddressField(
        label="E-mail address",
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "autofocus": True, "placeholder": "you@example.com"}
        ),
    )


class PasswordSignInForm(EmailForm):
    """Address and password."""

    password = _password_field("Password", autocomplete="current-password")


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


class NewPasswordForm(CodeForm):
    """A new password, for the code that was sent."""

    password = _new_password_field()
    revoke_api_keys = forms.BooleanField(
        label="Revoke my API keys as well",
        required=False,
        help_text="If somebody else was in your account, they may have made one.",
    )


class SecondFactorForm(forms.Form):
    """A code of the authenticator, or a recovery code."""

    # Recovery codes have letters, so this asks for no numeric keyboard.
    code = forms.CharField(
        label="Code",
        max_length=20,
        help_text="Six digits from your authenticator, or one of your recovery codes.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "autocapitalize": "none",
                "autofocus": True,
                "spellcheck": "false",
            }
        ),
    )


class AuthenticatorForm(forms.Form):
    """The first code of a new authenticator; what to scan stands above it, so no autofocus."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        help_text="The six digits that your app shows now.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )


class ChangePasswordForm(forms.Form):
    """A new password, and the present one."""

    present = _password_field("Present password", autocomplete="current-password")
    new = _new_password_field()


class FirstPasswordForm(CodeForm):
    """The first password, for the code that was sent."""

    new = _new_password_field()


class ProfileForm(forms.Form):
    """What a person says of themselves and, where they may, of their organisation."""

    name = forms.CharField(label="Your name", max_length=120, required=False)
    tenant_name = forms.CharField(label="Organisation", max_length=120)
    avatar = forms.ChoiceField(
        label="Picture",
        choices=[("", "Initials"), *AVATARS.items()],
        required=False,
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, is_admin: bool, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["tenant_name"].required = is_admin


class ChosenDayInput(forms.DateInput):
    """A day that is needed with one choice only: the server asks for it, the browser cannot."""

    input_type = "date"

    def use_required_attribute(self, initial: Any) -> bool:
        return False


class ApiKeyForm(forms.Form):
    """A key: its name, what it may do, until when and from where."""

    name = forms.CharField(
        label="Name",
        max_length=80,
        help_text="What will use the key, so that you know it again.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Nightly export"}),
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    expiry = forms.ChoiceField(
        label="Expires", choices=EXPIRIES, initial=DEFAULT_DAYS, widget=forms.RadioSelect
    )
    expires_on = forms.DateField(
        label="Last day",
        help_text="The key works until the end of this day (UTC).",
        error_messages={"required": "Choose a day."},
        widget=ChosenDayInput(format="%Y-%m-%d"),
    )
    allowed_networks = forms.CharField(
        label="Allowed networks",
        required=False,
        max_length=2000,
        help_text="Addresses or networks from which the key may be used, one a line, such as "
        "192.0.2.7 or 2001:db8::/32. Empty: from anywhere.",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, is_operator: bool, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not is_operator:
            self.fields["scopes"].choices = [  # type: ignore[attr-defined]
                (scope, text) for scope, text in SCOPES.items() if scope != "operator"
            ]
        if self.is_bound:
            self.fields["expires_on"].required = self.data.get("expiry") == "custom"

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        is_past = day is not None and day < timezone.now().date()
        if is_past and self.cleaned_data.get("expiry") == "custom":
            raise forms.ValidationError("This lies in the past.")
        return day

    def values(self) -> dict[str, Any]:
        """What `create_api_key` takes."""
        cleaned = self.cleaned_data
        return {
            "name": cleaned["name"],
            "scopes": cleaned["scopes"],
            "expires_at": self._expires_at(),
            "allowed_networks": cleaned["allowed_networks"].replace(",", " ").split(),
        }

    def _expires_at(self) -> datetime | None:
        expiry = self.cleaned_data["expiry"]
        if expiry == "never":
            return None
        if expiry == "custom":
            return datetime.combine(self.cleaned_data["expires_on"], time.max, tzinfo=UTC)
        return timezone.now() + timedelta(days=int(expiry))

    def groups(self) -> list[tuple[str, list[Any]]]:
        """The boxes of the scopes by what they are about, for the page."""
        grouped: dict[str, list[Any]] = {}
        for box in self["scopes"]:
            about = str(box.data["value"]).partition(":")[0]
            grouped.setdefault(GROUPS.get(about, about.capitalize()), []).append(box)
        return list(grouped.items())


KEPT = "Leave empty to keep the present one. If you change another value, enter it again."


class SecretText(forms.Textarea):
    """A secret of several lines. Like a password's field, it never shows what was entered."""

    def format_value(self, value: Any) -> str:
        return ""


class CredentialForm(forms.Form):
    """A provider's credential: the fields that the provider declares."""

    label = forms.CharField(label="Name", max_length=120)

    def __init__(self, *args: Any, provider: type[Provider], kept: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for field in provider.credential_fields:
            self.fields[field.name] = forms.CharField(
                label=field.label,
                required=field.required and not (field.secret and kept),
                help_text=(KEPT if field.secret and kept else field.help),
                max_length=8000,
                widget=_widget(field),
            )

    def provider_values(self) -> dict[str, str]:
        """What was given, by the provider's field names."""
        return {name: value for name, value in self.cleaned_data.items() if name != "label"}


def _widget(field: CredentialField) -> forms.Widget:
    attrs = {"autocomplete": "off", "spellcheck": "false"}
    if field.secret:
        long = {**attrs, "data-secret": True}  # as an input for passwords, kept nowhere
        return SecretText(long) if field.is_long else forms.PasswordInput(attrs)
    return forms.TextInput(attrs)
