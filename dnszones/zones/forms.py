"""Forms about records and zone files."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from dnszones import zonefiles
from dnszones.record_types import TYPES
from dnszones.records import (
    DEFAULT_TTL,
    GREATEST_TTL,
    LONGEST,
    PRIORITY_TYPES,
    PROXIABLE_TYPES,
    RecordData,
    quote_txt,
    unquote_txt,
)

TTLS = {60: "1 minute", 300: "5 minutes", 3_600: "1 hour", 43_200: "12 hours", 86_400: "1 day"}


@dataclass(frozen=True)
class Part:
    """One word of a content that has several. `quoted`: it stands in quotes in the zone."""

    name: str
    label: str
    example: str
    quoted: bool = False


# Types whose content is filled in word by word.
PARTS: dict[str, tuple[Part, ...]] = {
    "SRV": (
        Part("weight", "Weight", "5"),
        Part("port", "Port", "5060"),
        Part("target", "Host name", "sip.example.net"),
    ),
    "CAA": (
        Part("flags", "Flags", "0"),
        Part("tag", "Tag", "issue"),
        Part("value", "Value", "letsencrypt.org", quoted=True),
    ),
    "TLSA": (
        Part("usage", "Usage", "3"),
        Part("selector", "Selector", "1"),
        Part("matching", "Matching type", "1"),
        Part("digest", "Hash", "8c" * 32),
    ),
    "SSHFP": (
        Part("algorithm", "Algorithm", "4"),
        Part("digest_type", "Fingerprint type", "2"),
        Part("digest", "Fingerprint", "1f" * 32),
    ),
    "DS": (
        Part("key_tag", "Key tag", "60485"),
        Part("algorithm", "Algorithm", "13"),
        Part("digest_type", "Digest type", "2"),
        Part("digest", "Digest", "d4" * 32),
    ),
}
WHOLE = (Part("content", "Content", ""),)


class RecordForm(forms.Form):
    """One record of a type; `shown` is the value that the person looks at while changing it.

    `can_proxy`: whether the provider has a proxy that records can be put behind.
    """

    name = forms.CharField(
        label="Name",
        required=False,
        max_length=254,
        help_text="Within the zone, such as www. Empty or @ for the zone itself.",
    )
    ttl = forms.IntegerField(
        label="TTL", min_value=1, max_value=GREATEST_TTL, help_text="How long caches keep it."
    )
    shown = forms.CharField(required=False, widget=forms.HiddenInput, max_length=LONGEST + 10)
    proposal = ""  # what was probably meant, where the record was refused

    def __init__(self, kind: str, *args: Any, can_proxy: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        if kind in PRIORITY_TYPES:
            self.fields["priority"] = forms.IntegerField(
                label="Priority", min_value=0, max_value=65_535, help_text="The lowest comes first."
            )
        for part in PARTS.get(kind, WHOLE):
            self.fields[part.name] = self._field(part)
        if can_proxy and kind in PROXIABLE_TYPES:
            self.fields["proxied"] = forms.BooleanField(
                label="Proxied",
                required=False,
                help_text="For websites only: DNS then shows the provider's addresses, and mail "
                "cannot be delivered to this name. The TTL is automatic.",
            )
        present = self.initial.get("ttl", DEFAULT_TTL)
        choices = {**TTLS, present: TTLS.get(present) or _seconds(present)}
        self.fields["ttl"].widget = forms.Select(choices=sorted(choices.items()))
        self.fields["ttl"].initial = DEFAULT_TTL
        first = ("shown", "name", "priority", *(part.name for part in PARTS.get(kind, WHOLE)))
        self.order_fields([*first, "ttl"])

    def _field(self, part: Part) -> forms.CharField:
        example = part.example or TYPES[self.kind].example
        is_text = self.kind == "TXT"
        widget = forms.Textarea(attrs={"rows": 3}) if is_text else forms.TextInput()
        widget.attrs |= {"placeholder": example, "spellcheck": "false", "autocomplete": "off"}
        holds = f"{TYPES[self.kind].holds[0].upper()}{TYPES[self.kind].holds[1:]}."
        return forms.CharField(
            label=part.label,
            max_length=LONGEST,
            help_text=holds if part in WHOLE else "",
            widget=widget,
            strip=not is_text,
        )

    def add_refusal(self, field: str, *texts: str) -> None:
        """Show what a service said about a field of the record."""
        if field == "content" and field not in self.fields:
            field = PARTS[self.kind][-1].name
        for text in texts:
            self.add_error(field if field in self.fields else None, text)

    def record(self) -> RecordData:
        """The record as it was filled in."""
        given = self.cleaned_data
        words = [
            quote_txt(unquote_txt(given[part.name])) if part.quoted else given[part.name]
            for part in PARTS.get(self.kind, WHOLE)
        ]
        content = " ".join(words)
        return RecordData(
            given["name"],
            self.kind,
            content,
            given["ttl"],
            given.get("priority"),
            given.get("proxied", False),
        )

    @staticmethod
    def initial_of(data: RecordData, *, name: str) -> dict[str, Any]:
        """The fields of a record that is there. `name`: as the page shows it."""
        parts = PARTS.get(data.type, WHOLE)
        words = data.content.split(maxsplit=len(parts) - 1) if len(parts) > 1 else [data.content]
        if data.type == "TXT" and data.content.lstrip().startswith('"'):
            words = [quote_txt(data.content)]
        filled = {
            part.name: unquote_txt(word) if part.quoted else word
            for part, word in zip(parts, words, strict=False)
        }
        if data.priority is not None:
            filled["priority"] = str(data.priority)
        return {"name": name, "ttl": data.ttl, "proxied": data.proxied, **filled}


class ZoneFileForm(forms.Form):
    """A zone file, pasted or chosen."""

    file = forms.FileField(label="File", required=False, help_text="Up to a megabyte, in UTF-8.")
    zone_file = forms.CharField(
        label="Or its text",
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 10, "spellcheck": "false", "placeholder": "www 300 IN A 192.0.2.10"}
        ),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        chosen: UploadedFile | None = given.get("file")
        if chosen is not None:
            given["zone_file"] = _text_of(chosen)
        if not given.get("zone_file", "").strip() and not self.errors:
            raise forms.ValidationError("Choose a file, or paste its text.")
        return given


def _text_of(chosen: UploadedFile) -> str:
    if (chosen.size or 0) > zonefiles.LARGEST:
        raise forms.ValidationError(f"A zone file may have {zonefiles.LARGEST:,} bytes.")
    try:
        return str(chosen.read().decode())
    except UnicodeDecodeError:
        raise forms.ValidationError("The file is not a text in UTF-8.") from None


def _seconds(ttl: int) -> str:
    return "Automatic" if ttl == 1 else f"{ttl:,} seconds"
