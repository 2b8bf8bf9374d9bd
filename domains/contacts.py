"""Who a domain is registered for: from what a person types to what every registrar takes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields

from domains.providers.base import Contact
from mpanel.core.errors import Invalid

LABELS = {
    "first_name": "first name",
    "last_name": "last name",
    "organization": "organisation",
    "email": "e-mail address",
    "phone": "phone number",
    "address1": "street and number",
    "address2": "second line of the address",
    "city": "city",
    "state": "state or province",
    "postal_code": "postal code",
    "country": "country",
}
OPTIONAL = frozenset({"organization", "address2", "state"})
LONGEST = {"country": 2, "phone": 40, "postal_code": 20}

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_COUNTRY = re.compile(r"[A-Za-z]{2}", re.ASCII)
# Country codes of ITU-T E.164: of one digit, of two, else of three.
_CALLING_CODE = re.compile(
    r"(1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2})([0-9]{4,12})",
    re.ASCII,
)


def clean_contact(given: Mapping[str, object]) -> Contact:
    """The contact that was meant. Raises `Invalid` with every field that is missing or off.

    A phone number may be written with spaces, dots and dashes; it must begin with + and the
    country's code.
    """
    known = [field.name for field in fields(Contact)]
    wrong: dict[str, list[str]] = {
        name: ["There is no such field."] for name in given if name not in known
    }
    values: dict[str, str] = {}
    for name in known:
        value = given.get(name, "")
        if not isinstance(value, str):
            wrong[name] = ["This must be a text."]
            continue
        values[name] = " ".join(value.split())
        if trouble := _trouble(name, values[name]):
            wrong[name] = [trouble]
    if wrong:
        raise Invalid("Please correct the contact for the domain.", details=wrong)
    values["country"] = values["country"].upper()
    values["phone"] = _phone(values["phone"])
    return Contact(**values)


def _trouble(name: str, value: str) -> str:
    if not value:
        return "" if name in OPTIONAL else f"Please give the {LABELS[name]}."
    if not value.isprintable():
        return "Please use plain text."
    if len(value) > LONGEST.get(name, 120):
        return f"This is too long for the {LABELS[name]}."
    is_fine, advice = _RULES.get(name, (bool, ""))
    return "" if is_fine(value) else advice


def _phone(text: str) -> str:
    """`+<country>.<number>`; empty for what is no international number."""
    if not text.startswith("+") or re.search(r"[^0-9 ().+/-]", text[1:], re.ASCII):
        return ""
    found = _CALLING_CODE.fullmatch(re.sub(r"[^0-9]", "", text))
    return f"+{found[1]}.{found[2]}" if found else ""


_RULES: dict[str, tuple[Callable[[str], object], str]] = {
    "email": (_EMAIL.fullmatch, "This is not an e-mail address."),
    "country": (_COUNTRY.fullmatch, "Give the country's two letters, such as DE or US."),
    "phone": (_phone, "Give the number with its country code, such as +49 30 1234567."),
}
