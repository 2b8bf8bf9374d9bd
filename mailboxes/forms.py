"""Forms about mailboxes."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.core.files.uploadedfile import UploadedFile

from domains.models import Domain
from mailboxes.imports import MOST_BYTES, MOST_ROWS
from mailboxes.naming import CONVENTIONS, MAX_ADDRESSES, Persona, parse_custom, parse_personas
from mailboxes.services import MOST_SUBJECT, MOST_TEXT, QUOTAS_MB, Vacation
from mailservers.configuration import MOST_REDIRECTS
from mailservers.selectors import Region
from mpanel.core.errors import Invalid


class DateInput(forms.DateInput):
    """A day, as browsers let people choose one."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


GIVEN_OR_MADE = "12 to 72 letters, digits and signs. Leave it empty and we make a strong one."


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

    def arguments(self) -> dict[str, Any]:
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


class QuotaField(forms.IntegerField):
    """Megabytes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label="Quota in MB", min_value=QUOTAS_MB[0], max_value=QUOTAS_MB[-1], **kwargs
        )


def password_field() -> forms.CharField:
    """A password that may be chosen."""
    return forms.CharField(
        label="Password",
        required=False,
        max_length=200,
        strip=False,
        help_text=GIVEN_OR_MADE,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class NewMailboxForm(forms.Form):
    """One mailbox with a name of its own."""

    domain_id = forms.TypedChoiceField(label="Domain", coerce=UUID)
    local_part = forms.CharField(
        label="Before the @",
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "placeholder": "anna.schmidt"}
        ),
    )
    first_name = forms.CharField(label="First name", max_length=60, required=False)
    last_name = forms.CharField(label="Last name", max_length=60, required=False)
    password = password_field()
    quota_mb = QuotaField(initial=1024)

    def __init__(self, *args: Any, domains: Iterable[Domain], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["domain_id"]
        choices.choices = [(str(domain.pk), str(domain)) for domain in domains]


class ImportForm(forms.Form):
    """A list of mailboxes, as a file or pasted."""

    file = forms.FileField(
        label="CSV file",
        required=False,
        allow_empty_file=True,
        help_text=f"With a header: email, first_name, last_name, password, quota_mb. "
        f"At most {MOST_ROWS:,} rows.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        max_length=MOST_BYTES,
        widget=forms.Textarea(
            attrs={"rows": 6, "spellcheck": "false", "placeholder": "email\nanna@example.com"}
        ),
    )

    def raw(self) -> bytes:
        """What was given; a file is read no further than is allowed."""
        file: UploadedFile | None = self.cleaned_data["file"]
        if file is not None:
            return bytes(file.read(MOST_BYTES + 1))
        return str(self.cleaned_data["text"]).encode()


class PasswordForm(RevealForm):
    """A new password, or none to have one made, for a fresh code."""

    password = password_field()
    field_order = ("password", "code")


class QuotaForm(forms.Form):
    """How much mail it may hold."""

    quota_mb = QuotaField()


class NeededField(forms.CharField):
    """What is needed now, although it may be left empty: it is not shown as optional."""

    is_needed = True


class RulesForm(forms.Form):
    """Forwarding and the vacation note of a mailbox."""

    forward_to = forms.CharField(
        label="Forward to",
        required=False,
        max_length=2_000,
        help_text=f"One address a line, {MOST_REDIRECTS} at most. Bounces and spam stay here.",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "ada@example.org"}),
    )
    keeps_copy = forms.BooleanField(label="Keep a copy in this mailbox", required=False)
    vacation_is_on = forms.BooleanField(label="Answer with a vacation note", required=False)
    vacation_subject = forms.CharField(label="Subject", required=False, max_length=MOST_SUBJECT)
    vacation_text = forms.CharField(
        label="Note",
        required=False,
        max_length=MOST_TEXT,
        help_text="Who writes gets it once a day.",
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    vacation_starts_on = forms.DateField(label="From", required=False, widget=DateInput())
    vacation_ends_on = forms.DateField(
        label="Until", required=False, widget=DateInput(), help_text="The last day, in UTC."
    )
    replaces_script = forms.BooleanField(
        label="Switch off the script that a mail program made", required=False
    )

    # Left out until somebody forwards to a new address; left empty, it has another code sent.
    code = NeededField(
        label="Code from the e-mail",
        required=False,
        max_length=20,
        help_text="Leave it empty and save to get another one.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )

    def __init__(
        self, *args: Any, asks_consent: bool, asks_code: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if not asks_consent:
            del self.fields["replaces_script"]
        if not asks_code:
            del self.fields["code"]

    def ask_for_code(self, why: str) -> None:
        """Put the question at the code's field, to which the page scrolls. Nothing is wrong yet."""
        code = self.fields["code"]
        code.help_text = f"{why} {code.help_text}"
        code.widget.attrs["autofocus"] = True

    @property
    def wanted(self) -> dict[str, Any]:
        """What `set_rules` takes."""
        given = self.cleaned_data
        vacation = Vacation(
            subject=given["vacation_subject"],
            text=given["vacation_text"],
            starts_on=given["vacation_starts_on"],
            ends_on=given["vacation_ends_on"],
        )
        return {
            "forward_to": given["forward_to"].split(),
            "keeps_copy": given["keeps_copy"],
            "vacation": vacation if given["vacation_is_on"] else None,
            "replaces_script": given.get("replaces_script", False),
        }


class AliasForm(forms.Form):
    """A further address of a mailbox; `*` for the catch-all of the domain."""

    local_part = forms.CharField(
        label="Alias",
        max_length=64,
        help_text="The part before the @. Use * for all addresses that no other mailbox has.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "placeholder": "sales"}
        ),
    )


class DomainAliasForm(AliasForm):
    """An alias, and in which mailbox its mail arrives."""

    mailbox = forms.CharField(
        label="Arrives in",
        max_length=320,
        help_text="A mailbox of this domain.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "mailboxes-of-domain"}),
    )


class RegionForm(forms.Form):
    """Where the domain's mailboxes will be."""

    region = forms.ChoiceField(label="Region")

    def __init__(self, *args: Any, regions: Iterable[Region], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["region"]
        choices.choices = [(found.region, found.label) for found in regions]


class AttachForm(forms.Form):
    """To which vendor a domain's mail is attached, and with which credential."""

    provider = forms.CharField(max_length=32)
    credential = forms.UUIDField(required=False)
