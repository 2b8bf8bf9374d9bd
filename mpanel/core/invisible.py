"""Characters that nobody sees: found, and named so that a person can remove them."""

import unicodedata

# Blank in most fonts, although Unicode files them as letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Controls, format characters (zero width, bidi, soft hyphen), spaces but the plain one, line and
# paragraph separators, and what has no meaning between two programs.
_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})


def is_invisible(character: str) -> bool:
    """Whether this leaves no mark on a screen; people know of plain spaces and tabs."""
    if " " <= character <= "~" or character == "\t":
        return False
    return (
        character in _BLANK
        or "\ufe00" <= character <= "\ufe0f"  # variation selectors
        or "\U000e0100" <= character <= "\U000e01ef"
        or unicodedata.category(character) in _CATEGORIES
    )


def find_invisible(text: str) -> int | None:
    """Where the first invisible character of a text stands, None where all can be seen."""
    return next((at for at, character in enumerate(text) if is_invisible(character)), None)


def name_of(character: str) -> str:
    """`U+200B ZERO WIDTH SPACE`."""
    name = unicodedata.name(character, "control character")
    return f"U+{ord(character):04X} {name}"


def invisible_problem(text: str) -> str:
    """A sentence that names the first invisible character of a text; "" where there is none."""
    at = find_invisible(text)
    if at is None:
        return ""
    name = name_of(text[at])
    if not text[:at]:
        return f"This begins with an invisible character ({name}). Remove it."
    return (
        f"There is an invisible character ({name}) after “{text[max(0, at - 40) : at]}”. Remove it."
    )
