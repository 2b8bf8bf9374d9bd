"""Lists as people paste and upload them: lines, the line `sep=;`, columns by their names."""

import csv
import re
import unicodedata
from collections.abc import Iterator

from mpanel.core.errors import Invalid
from mpanel.core.invisible import find_invisible, name_of

MAX_TEXT = 200_000  # characters of a pasted list
DELIMITERS = ",;\t|"

# Excel writes it above a file, and hides it: which delimiter the file has.
_SEPARATOR_LINE = re.compile(r'\A"?sep=([,;\t|])"?[^\S\n]*(?:\n|\Z)', re.IGNORECASE)
_FIRST_HEADERS = {"first", "firstname", "givenname"}
_LAST_HEADERS = {"last", "lastname", "surname", "familyname"}


def without_separator_line(text: str) -> tuple[str, str]:
    """The text with its line `sep=;` left empty, and the delimiter that it named, if any."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n")
    found = _SEPARATOR_LINE.match(text)
    return ("\n" + text[found.end() :], found[1]) if found else (text, "")


def one_space(text: str) -> str:
    """Letters with their accents (NFC), and each run of spaces of any kind as one plain space.

    Tabs and line breaks are no spaces: they are for the caller to refuse.
    """
    return re.sub(r"[^\S\t-\r]+", " ", unicodedata.normalize("NFC", text).strip())


def lines_of(text: str, field: str) -> list[str]:
    """The lines of a pasted list; spaces of any kind are plain ones.

    Raises `Invalid` for the field, naming line and column of every invisible character.
    """
    if len(text) > MAX_TEXT:
        raise Invalid.field(field, f"The list is longer than {MAX_TEXT:,} characters.")
    lines = without_separator_line(text)[0].splitlines()
    plain = [re.sub(r"[^\S\t]", " ", unicodedata.normalize("NFC", line)) for line in lines]
    errors = [
        f"Line {number}, column {at + 1}: there is an invisible character ({name_of(line[at])})."
        for number, line in enumerate(plain, 1)
        if (at := find_invisible(line)) is not None
    ]
    refuse(field, errors)
    return plain


def named_rows(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Line number, first name and last name of each row that is not blank."""
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    header = lines[start] if lines else ""
    delimiter = next((mark for mark in "\t;,|" if mark in header), ",")
    columns = [re.sub(r"[^a-z]", "", cell.lower()) for cell in header.split(delimiter)]
    first = next((at for at, name in enumerate(columns) if name in _FIRST_HEADERS), None)
    last = next((at for at, name in enumerate(columns) if name in _LAST_HEADERS), None)
    if first is None or last is None:
        for number, line in enumerate(lines, 1):
            if words := line.split(maxsplit=1):
                yield number, words[0], words[1] if len(words) > 1 else ""
        return
    # One line at a time: a quote that is never closed spoils its own row, not those below it.
    for number, line in enumerate(lines[start + 1 :], start + 2):
        cells = next(csv.reader([line], delimiter=delimiter), [])
        if any(cell.strip() for cell in cells):
            cells += [""] * len(columns)
            yield number, cells[first], cells[last]


def refuse(field: str, errors: list[str]) -> None:
    """Raise `Invalid` for the field where there are errors, with the first twenty of them."""
    if errors:
        rest = [f"… and {len(errors) - 20} more."] if len(errors) > 20 else []
        raise Invalid.field(field, *errors[:20], *rest)
