"""Forms about what happened."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from events.selectors import AuditFilter, Setting

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)


class ActionsField(forms.CharField):
    """Patterns of events, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        return super().clean(value).replace(",", " ").split()


class WebhookForm(forms.Form):
    """Where to tell, and of what."""

    url = forms.CharField(
        label="Address",
        max_length=2000,
        help_text="We send a POST request with JSON to this address for each event.",
        widget=forms.URLInput(
            attrs={"placeholder": "https://hooks.example.com/mpanel", "spellcheck": "false"}
        ),
    )
    actions = ActionsField(
        label="Events",
        max_length=4000,
        initial=["*"],
        help_text="One a line: * for all, mailbox.* for all about single mailboxes, or one such "
        "as domain.ready or mailboxes.proved.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    description = forms.CharField(label="Name", max_length=200, required=False)


class WebhookEditForm(WebhookForm):
    """The same for one that is there, with its switch."""

    enabled = forms.BooleanField(
        label="Switched on",
        required=False,
        help_text="While it is off, nothing is sent, and what happens is not told later.",
    )


class PreferencesForm(forms.Form):
    """Two ticks for each kind: in here, and by mail."""

    def __init__(self, *args: Any, settings: dict[str, Setting], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        for key, setting in settings.items():
            label = setting.kind.label
            self.fields[f"{key}:in_app"] = forms.BooleanField(
                required=False, initial=setting.in_app, label=f"{label}, in the panel"
            )
            self.fields[f"{key}:email"] = forms.BooleanField(
                required=False, initial=setting.email, label=f"{label}, by e-mail"
            )

    def rows(self) -> list[tuple[str, Any, Any]]:
        """For each kind its label and its two ticks."""
        return [
            (setting.kind.label, self[f"{key}:in_app"], self[f"{key}:email"])
            for key, setting in self._settings.items()
        ]

    def changes(self) -> dict[str, dict[str, bool]]:
        """What was ticked, by kind."""
        return {
            key: {way: self.cleaned_data[f"{key}:{way}"] for way in ("in_app", "email")}
            for key in self._settings
        }


class AuditForm(forms.Form):
    """What narrows the audit log."""

    q = forms.CharField(label="Search", max_length=200, required=False)
    who = forms.CharField(label="Who", max_length=254, required=False)
    action = forms.CharField(label="Action", max_length=64, required=False)
    subject = forms.CharField(label="About", max_length=32, required=False)
    since = forms.DateField(
        label="From",
        required=False,
        validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    until = forms.DateField(
        label="To",
        required=False,
        validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def wanted(self) -> AuditFilter:
        """The filter; what cannot be understood does not narrow, and says so beside its field."""
        self.is_valid()
        given = self.cleaned_data
        since, until = given.get("since"), given.get("until")
        return AuditFilter(
            search=given.get("q", ""),
            who=given.get("who", ""),
            action=given.get("action", ""),
            subject_type=given.get("subject", ""),
            since=_midnight(since) if since else None,
            until=_midnight(until + timedelta(days=1)) if until else None,
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
