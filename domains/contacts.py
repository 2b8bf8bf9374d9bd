"""Who a domain is registered for: from what a person types to what every registrar takes."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import fields

from domains.providers.base import Contact
from mpanel.core.addresses import address_problem, clean_address
from mpanel.core.countries import country_problem
from mpanel.core.errors import Invalid
from mpanel.core.invisible import invisible_problem

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

# Country codes of ITU-T E.164: of one digit, of two, else of three.
_CALLING_CODE = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}", re.ASCII
)
_REST = re.compile(r"[0-9]{4,12}", re.ASCII)
# Where a leading zero is dialled from abroad too: Côte d'Ivoire, Benin, Gabon, Congo, San Marino,
# the Vatican, Italy. Elsewhere a zero in parentheses is dialled only inside the country.
_ZERO_STAYS = frozenset({"225", "229", "241", "242", "378", "379", "39"})
# Where no number begins with a zero when dialled from abroad, so that one in front goes without
# parentheses, too: GB, DE, FR, BE, CH, AT, SE, NL, RO, IE, FI, AU, NZ, ZA, JP, KR, CN, IN, TR, ID,
# VN, TH, UA, IL.
_ZERO_GOES = frozenset(
    "44 49 33 32 41 43 46 31 40 353 358 61 64 27 81 82 86 91 90 62 84 66 380 972".split()  # noqa: SIM905
)
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
# Hyphens and dashes that word processors put between digits.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def clean_contact(given: Mapping[str, object]) -> Contact:
    """The contact that was meant. Raises `Invalid` with every field that is missing or off.

    A phone number may be written with spaces, dots, dashes and parentheses; it must begin with +
    and the country's code. A zero that is dialled only inside the country, `+44 (0)20`, goes.
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
        values[name] = unicodedata.normalize("NFC", " ".join(value.split()))
        if trouble := _trouble(name, values[name]):
            wrong[name] = [trouble]
    if wrong:
        raise Invalid("Please correct the contact for the domain.", details=wrong)
    values["email"] = clean_address(values["email"])
    values["country"] = values["country"].upper()
    values["phone"] = _phone(values["phone"])
    return Contact(**values)


def _trouble(name: str, value: str) -> str:
    if not value:
        return "" if name in OPTIONAL else f"Please give the {LABELS[name]}."
    if problem := invisible_problem(value):
        return problem
    if len(value) > LONGEST.get(name, 120):
        return f"This is too long for the {LABELS[name]}."
    return _PROBLEMS[name](value) if name in _PROBLEMS else ""


def _phone(text: str) -> str:
    """`+<country>.<number>`; empty for what is no international number."""
    text = text.translate(_DASHES)
    if not text.startswith("+") or re.search(r"[^0-9 ().+/-]", text[1:], re.ASCII):
        return ""
    with_zero = re.sub(r"[^0-9]", "", text)
    code = _CALLING_CODE.match(with_zero)
    if code is None:
        return ""
    number = with_zero[code.end() :]
    if code[0] not in _ZERO_STAYS:
        digits = re.sub(r"[^0-9]", "", _TRUNK_ZERO.sub("", text, count=1))
        number = digits[code.end() :]
    if code[0] in _ZERO_GOES:
        number = number.removeprefix("0")
    return f"+{code[0]}.{number}" if _REST.fullmatch(number) else ""


def _phone_problem(text: str) -> str:
    return "" if _phone(text) else "Give the number with its country code, such as +49 30 1234567."


_PROBLEMS: dict[str, Callable[[str], str]] = {
    "email": address_problem,
    "country": country_problem,
    "phone": _phone_problem,
}
