"""Forms about mail records."""

import re
from typing import Any

from django import forms

from mpanel.core.forms import AddressField

PLATFORM_CARDS = [
    {
        "value": "mailserver",
        "title": "mPanel mail server",
        "text": "Inboxes on our own server. We make the DKIM key.",
        "icon": "server",
    },
    {
        "value": "google-workspace",
        "title": "Google Workspace",
        "text": "Records for Gmail. Give the DKIM key from Google's console.",
        "icon": "mail",
    },
    {
        "value": "microsoft-365",
        "title": "Microsoft 365",
        "text": "Records for Exchange Online. You name the MX host that Microsoft shows.",
        "icon": "mails",
    },
    {
        "value": "custom",
        "title": "Another mail server",
        "text": "You name the mail hosts; we do the rest.",
        "icon": "settings",
    },
]


class SetupForm(forms.Form):
    """How a domain shall handle mail."""

    platform = forms.ChoiceField(
        label="Where its mail is handled",
        choices=[(card["value"], card["title"]) for card in PLATFORM_CARDS],
        initial="mailserver",
        widget=forms.RadioSelect,
    )
    custom_mx = forms.CharField(
        label="Mail hosts",
        required=False,
        help_text="For another mail server: one a line, preference and host, such as "
        "“10 mail.example.com”.",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "10 mail.example.com"}),
    )
    microsoft_mx = forms.CharField(
        label="MX host of Microsoft 365",
        required=False,
        max_length=254,
        help_text="As the Microsoft 365 admin center shows it: Settings, Domains, DNS records.",
        widget=forms.TextInput(
            attrs={
                "placeholder": "example-com.mail.protection.outlook.com",
                "spellcheck": "false",
                "autocapitalize": "off",
            }
        ),
    )
    dkim_targets = forms.CharField(
        label="DKIM targets of Microsoft 365",
        required=False,
        max_length=600,
        help_text="The two CNAME targets that Microsoft shows for selector1 and selector2, one a "
        "line. Empty: those that the zone has already.",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    spf_includes = forms.CharField(
        label="Other senders",
        required=False,
        help_text="Names that your other senders tell you to include in SPF, one a line.",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "sendgrid.net"}),
    )
    dmarc_policy = forms.ChoiceField(
        label="Forged mail",
        choices=[
            ("none", "Report only (none): best to begin with"),
            ("quarantine", "Put into spam (quarantine)"),
            ("reject", "Refuse (reject)"),
        ],
        initial="none",
        help_text="What receivers do with mail that fails DMARC.",
    )
    dmarc_rua = AddressField(
        label="Daily reports to",
        required=False,
        help_text="Empty: dmarc@ your domain.",
    )
    dmarc_ruf = AddressField(label="Failure reports to", required=False)
    dkim_selector = forms.CharField(label="DKIM selector", required=False, max_length=63)
    dkim_value = forms.CharField(
        label="DKIM key",
        required=False,
        max_length=4000,
        help_text="If your platform signs with its own key: the public key or TXT value it shows.",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )
    tracking_provider = forms.ChoiceField(
        label="Tracking links",
        choices=[("none", "None"), ("smartlead", "Smartlead"), ("instantly", "Instantly")],
        initial="none",
    )
    tracking_subdomain = forms.CharField(
        label="Tracking subdomain", required=False, max_length=63, initial="track"
    )
    autoconfig = forms.BooleanField(
        label="Let mail programs find their settings",
        required=False,
        initial=True,
        help_text="For the mPanel mail server.",
    )
    mta_sts = forms.ChoiceField(
        label="TLS for incoming mail (MTA-STS)",
        choices=[
            ("none", "Not asked for"),
            ("testing", "Ask, but deliver all the same (testing)"),
            ("enforce", "Deliver over TLS only (enforce)"),
        ],
        initial="none",
        required=False,
        help_text="For the mPanel mail server.",
    )
    tls_rpt = AddressField(
        label="Reports on TLS to", required=False, help_text="For the mPanel mail server."
    )
    flatten = forms.BooleanField(label="Flatten SPF even when it fits ten lookups", required=False)

    def clean_custom_mx(self) -> tuple[tuple[int, str], ...]:
        pairs = []
        for line in filter(None, map(str.strip, self.cleaned_data["custom_mx"].splitlines())):
            found = re.fullmatch(r"(?:(\d{1,5})\s+)?(\S+)", line)
            if found is None:
                raise forms.ValidationError(f"“{line[:80]}” is no preference and host.")
            pairs.append((int(found[1] or 10), found[2].rstrip(".").lower()))
        return tuple(pairs)

    def clean_dkim_targets(self) -> tuple[str, ...]:
        return (
            tuple(re.split(r"[\s,;]+", self.cleaned_data["dkim_targets"].strip()))
            if (self.cleaned_data["dkim_targets"].strip())
            else ()
        )

    def clean_spf_includes(self) -> tuple[str, ...]:
        return (
            tuple(re.split(r"[\s,;]+", self.cleaned_data["spf_includes"].strip()))
            if (self.cleaned_data["spf_includes"].strip())
            else ()
        )

    def choices(self) -> dict[str, Any]:
        """The fields of `MailSetup` that a person chose."""
        chosen = dict(self.cleaned_data)
        if chosen["tracking_provider"] == "none":
            chosen["tracking_subdomain"] = ""
        if chosen["platform"] != "custom":
            chosen["custom_mx"] = ()
        if chosen["platform"] != "microsoft-365":
            chosen |= {"microsoft_mx": "", "dkim_targets": ()}
        chosen["mta_sts"] = chosen["mta_sts"] or "none"
        if chosen["platform"] != "mailserver":
            chosen |= {"mta_sts": "none", "tls_rpt": "", "autoconfig": False}
        return chosen

    @classmethod
    def from_setup(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Initial values from a stored setup."""
        return {
            **stored,
            "custom_mx": "\n".join(
                f"{preference} {host}" for preference, host in stored["custom_mx"]
            ),
            "spf_includes": "\n".join(stored["spf_includes"]),
            "dkim_targets": "\n".join(stored["dkim_targets"]),
        }
