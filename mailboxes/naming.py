"""Addresses by convention. What a preview shows is what is created: same seed, same addresses.

Local parts are lower-case ASCII: letters, digits, `-`, `_`, and single dots inside, beginning with
a letter or digit; at most 64 octets (RFC 5321, 4.5.3.1.1). That is less than RFC 5322 allows,
because Dovecot's default `auth_username_chars` and Postfix' recipient delimiter allow less.
"""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailboxes.pasted import lines_of, named_rows, refuse
from mailboxes.personas import FIRST_NAMES, LAST_NAMES, ROLES
from mpanel.core.addresses import HostRefused, ascii_host
from mpanel.core.errors import Invalid
from mpanel.core.invisible import invisible_problem

MAX_ADDRESSES = 1_000  # in one call, and so for each pasted list
MAX_LOCAL_PART = 64
MAX_NAME = 60

# Not given by a convention, only where a customer's own list names them: mailboxes with a fixed
# purpose (RFC 2142), those by which certificate authorities and others take someone for the
# domain's owner (CA/Browser Forum, 3.2.2.4.4), and those to which machines send.
RESERVED = frozenset(
    """
    abuse admin administrator daemon dmarc dmarc-reports ftp hostmaster mailer-daemon mta-sts news
    no-reply nobody noc noreply postmaster root security sysadmin tls-reports tlsrpt usenet uucp
    webmaster www
    """.split()  # noqa: SIM905  (words are read as words)
)


@dataclass(frozen=True)
class Persona:
    """The person an inbox is made for. Both names are given, in any Latin spelling."""

    first_name: str
    last_name: str


@dataclass(frozen=True)
class Address:
    """A planned inbox: its part before the `@`, and the names that its mail will show.

    A role is shown as `Sales Team`; the last name of an address from a list may be empty.
    """

    local_part: str
    first_name: str
    last_name: str


@dataclass(frozen=True)
class Convention:
    """A way of naming, as the wizard offers it."""

    key: str
    label: str
    example: str


CONVENTIONS = {
    convention.key: convention
    for convention in (
        Convention("firstname", "First name", "anna"),
        Convention("firstname.lastname", "First and last name", "anna.schmidt"),
        Convention("firstinitial.lastname", "Initial, dot, last name", "a.schmidt"),
        Convention("firstinitiallastname", "Initial and last name", "aschmidt"),
        Convention("role", "Role", "sales"),
        Convention("custom", "Your own list", ""),
    )
}

_PATTERNS: dict[str, Callable[[str, str], str]] = {
    "firstname": lambda first, last: first,
    "firstname.lastname": lambda first, last: f"{first}.{last}",
    "firstinitial.lastname": lambda first, last: f"{first[0]}.{last}",
    "firstinitiallastname": lambda first, last: first[0] + last,
}

_LOCAL_PART = re.compile(r"[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9_-]+)*", re.ASCII)
_SEPARATORS = re.compile(r"[,;\s]+")
# Letters that Unicode does not take apart into a base letter and accents.
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | {"ħ": "h", "ŋ": "n", "ŧ": "t", "ə": "e", "‐": "-", "–": "-"}
    | dict.fromkeys(" '’‘ʼʻʹ`´.·", "")
)
_HEADER_MISSING = "Write “First Last”, or begin the list with the line first_name,last_name."


def plan_addresses(
    count: int,
    convention: str,
    *,
    personas: Sequence[Persona] = (),
    custom: Sequence[str] = (),
    taken: Collection[str],
    seed: str,
) -> list[Address]:
    """`count` addresses of one domain, by a key of `CONVENTIONS`; none is in `taken` or twice.

    `taken`: the local parts that the domain has. `seed` (the domain's id, say) sets the order of
    the built-in names; the same input always gives the same addresses in the same order.

    Each persona gets one address first, in the order given, with a number where the plain one is
    not free (`anna2`); then the built-in names follow, each only where its plain address is free,
    and numbered ones when these run out. Roles come in a fixed order, the commonest first. For
    the convention `custom`, the local parts of `custom` (see `parse_custom`) are taken as they
    are, `count` of them.

    Raises `Invalid` for the fields `inbox_count` (no integer of 1 to 1,000), `naming_convention`,
    `personas` (a name that cannot be written in ASCII letters) and `custom`.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_ADDRESSES:
        raise Invalid.field("inbox_count", f"Enter a whole number from 1 to {MAX_ADDRESSES:,}.")
    if convention not in CONVENTIONS:
        raise Invalid.field("naming_convention", f"Choose one of {', '.join(CONVENTIONS)}.")
    in_use = {local_part.lower() for local_part in taken}
    if convention == "custom":
        return _custom_addresses(count, custom, in_use)
    in_use |= RESERVED
    wanted = [] if convention == "role" else _persona_addresses(personas, convention)
    planned = []
    for address in wanted[:count]:
        planned.append(_free(address, in_use))
        in_use.add(planned[-1].local_part)
    for address in _spare_addresses(_pool(convention, seed), in_use):
        if len(planned) == count:
            break
        planned.append(address)
        in_use.add(address.local_part)
    return planned


def parse_custom(text: str, domain: str) -> list[str]:
    """The local parts of a pasted list, in its order and in small letters.

    Entries stand on lines of their own or between commas, semicolons or spaces; each is a local
    part or an address of `domain` (ASCII). Raises `Invalid` for the field `custom`, naming the
    line of every entry that cannot be used or is there twice.
    """
    lines: dict[str, int] = {}
    errors: list[str] = []
    for number, line in enumerate(lines_of(text, "custom"), 1):
        for entry in filter(None, _SEPARATORS.split(line)):
            local_part, at, at_domain = entry.lower().rpartition("@")
            if not at:
                local_part = at_domain
            elif not _is_at(at_domain, domain):
                errors.append(f"Line {number}: “{_shown(entry)}” is not an address of {domain}.")
                continue
            if error := local_part_error(local_part):
                errors.append(f"Line {number}: {error}")
            elif local_part in lines:
                errors.append(
                    f"Line {number}: “{local_part}” is already on line {lines[local_part]}."
                )
            else:
                lines[local_part] = number
    if not lines and not errors:
        errors.append("Enter at least one address.")
    _check_length(lines, "addresses", errors)
    refuse("custom", errors)
    return list(lines)


def _is_at(written: str, domain: str) -> bool:
    """Whether this is the domain, in any of its spellings."""
    try:
        return ascii_host(written) == domain
    except HostRefused:
        return False


def parse_personas(text: str) -> list[Persona]:
    """The people of a pasted list: `First Last` on each line, or CSV with a header.

    On a plain line the first word is the first name. A CSV header names a first-name and a
    last-name column (`first_name,last_name`, `Given name;Surname`, ...), separated by comma,
    semicolon or tab; other columns are ignored. Blank lines are skipped. Raises `Invalid` for the
    field `personas`, naming every line that cannot be used, and for more than 1,000 people.
    """
    lines = lines_of(text, "personas")
    personas: list[Persona] = []
    errors: list[str] = []
    for number, first_name, last_name in named_rows(lines):
        persona = _tidy(Persona(first_name, last_name))
        try:
            _local_part(persona, "firstname.lastname")
        except ValueError as error:
            unsplit = re.search("[,;]", first_name + last_name)
            errors.append(f"Line {number}: {_HEADER_MISSING if unsplit else error}")
        else:
            personas.append(persona)
    if not personas and not errors:
        errors.append("Enter at least one name.")
    _check_length(personas, "names", errors)
    refuse("personas", errors)
    return personas


def _custom_addresses(count: int, custom: Sequence[str], in_use: set[str]) -> list[Address]:
    errors: list[str] = []
    seen: set[str] = set()
    for entry in custom:
        if error := local_part_error(entry):
            errors.append(error)
        elif entry in seen:
            errors.append(f"“{entry}” is given twice.")
        elif entry in in_use:
            errors.append(f"“{entry}” already exists on this domain.")
        seen.add(entry)
    if len(custom) != count:
        errors.append(f"Your list has {len(custom)} addresses, but {count} are to be made.")
    refuse("custom", errors)
    return [_address_from_list(local_part) for local_part in custom]


def _address_from_list(local_part: str) -> Address:
    first, *rest = [word.capitalize() for word in re.split(r"[._-]+", local_part) if word]
    return Address(local_part, first, " ".join(rest))


def _persona_addresses(personas: Sequence[Persona], convention: str) -> list[Address]:
    addresses: list[Address] = []
    errors: list[str] = []
    _check_length(personas, "names", errors)
    for row, persona in enumerate(map(_tidy, personas), 1):
        try:
            local_part = _local_part(persona, convention)
        except ValueError as error:
            errors.append(f"Name {row}: {error}")
        else:
            addresses.append(Address(local_part, persona.first_name, persona.last_name))
    refuse("personas", errors)
    return addresses


def _local_part(persona: Persona, convention: str) -> str:
    """Raises `ValueError` with a sentence for the person who gave the name."""
    first, last = _letters(persona.first_name, "first"), _letters(persona.last_name, "last")
    local_part = _PATTERNS[convention](first, last)
    if len(local_part) > MAX_LOCAL_PART:
        raise ValueError(f"“{_shown(local_part)}” is longer than {MAX_LOCAL_PART} characters.")
    return local_part


def _letters(name: str, which: str) -> str:
    """A name as a local part spells it: é is e, ß is ss, O'Brien is obrien, Jean-Luc stays.

    Only Latin letters are spelt: how a Cyrillic, Greek or Chinese name is romanised depends on
    the language and on its bearer, so the person is asked rather than given a guess.
    """
    if not name.strip():
        raise ValueError(f"The {which} name is missing; give a first and a last name.")
    if len(name) > MAX_NAME:
        raise ValueError(f"“{_shown(name)}” is longer than {MAX_NAME} characters.")
    apart = unicodedata.normalize("NFKD", name)
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    letters = re.sub("-+", "-", bare.casefold().translate(_LETTERS)).strip("-")
    if not re.fullmatch("[a-z0-9-]+", letters):
        raise ValueError(f"“{_shown(name)}” cannot be spelt in an address; use the letters A to Z.")
    return letters


def _pool(convention: str, seed: str) -> Iterator[Address]:
    """Built-in addresses, in an order that the seed decides; roles in their own."""
    if convention == "role":
        for role in ROLES:
            yield Address(role, role.replace("-", " ").title(), "Team")
        return
    firsts, lasts = _shuffled(FIRST_NAMES, seed), _shuffled(LAST_NAMES, seed)
    # Every pair once, and each first name once before any comes again.
    for shift in range(len(lasts)):
        for place, first in enumerate(firsts):
            last = lasts[(place + shift) % len(lasts)]
            if first != last:
                yield Address(_PATTERNS[convention](first.lower(), last.lower()), first, last)


def _shuffled(names: Iterable[str], seed: str) -> list[str]:
    def place(name: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{name}".encode()).digest()

    return sorted(names, key=place)


def _spare_addresses(pool: Iterator[Address], in_use: Collection[str]) -> Iterator[Address]:
    """Endless free addresses: plain ones first, then numbered ones.

    Numbers go first to people whose plain address somebody else has, so that `anna2` is another
    Anna. The caller adds what it takes to `in_use` before it asks for the next.
    """
    everyone, numbered = [], []
    for address in pool:
        everyone.append(address)
        if address.local_part in in_use:
            numbered.append(address)
        else:
            yield address
    for address in itertools.chain(numbered, itertools.cycle(everyone)):
        yield _free(address, in_use)


def _free(address: Address, in_use: Collection[str]) -> Address:
    """The address itself, or with the first number from 2 that makes it free."""
    local_part = address.local_part
    numbers = itertools.count(2)
    while local_part in in_use:
        ending = str(next(numbers))
        local_part = address.local_part[: MAX_LOCAL_PART - len(ending)] + ending
    return Address(local_part, address.first_name, address.last_name)


def name_error(name: str) -> str | None:
    """Why this is no person's name, None where it is one, or none was given.

    What a spreadsheet takes for a formula is refused, since names leave in CSV files.
    """
    if problem := invisible_problem(name):
        return problem
    if len(name) > MAX_NAME or not name.isprintable():
        return f"Use plain text of at most {MAX_NAME} characters."
    if name.startswith(("=", "+", "-", "@")):
        return "Begin a name with a letter."
    return None


def local_part_error(local_part: str) -> str | None:
    """Why this cannot be used before the `@` of an inbox, None where it can."""
    if len(local_part) > MAX_LOCAL_PART:
        return f"“{_shown(local_part)}” is longer than {MAX_LOCAL_PART} characters."
    if not _LOCAL_PART.fullmatch(local_part):
        return (
            f"“{_shown(local_part)}” cannot be used before the @. Use the letters a to z, digits, "
            "hyphens, underscores and single dots, beginning with a letter or digit."
        )
    return None


def _tidy(persona: Persona) -> Persona:
    first, last = (
        unicodedata.normalize("NFC", " ".join(name.split()))
        for name in (persona.first_name, persona.last_name)
    )
    return Persona(first, last)


def _shown(entry: str) -> str:
    return entry if len(entry) <= 40 else f"{entry[:40]}…"


def _check_length(entries: Collection[object], noun: str, errors: list[str]) -> None:
    if len(entries) > MAX_ADDRESSES:
        errors.append(f"The list has {len(entries):,} {noun}; {MAX_ADDRESSES:,} are the most.")
