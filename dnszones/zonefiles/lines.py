"""What each line of a zone file says: a directive, or name, TTL, type and content of a record."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.ttl

from dnszones.records import DEFAULT_TTL, normal_name
from mpanel.core.errors import Invalid

from .entries import Entry, Word

_TTL = re.compile(r"\d[\dwdhms]*", re.IGNORECASE | re.ASCII)
_CLASSES: Final = frozenset({"IN", "CH", "HS", "CS", "ANY", "NONE"})


class UnreadableLine(Exception):
    """The line cannot be read; why."""


@dataclass(frozen=True)
class Line:
    """One record as it stands in the file. `name` is absolute, `type` in capitals.

    `meant_name`: what the name probably is, where its last dot seems to be missing; else "".
    """

    name: str
    meant_name: str
    ttl: int
    type: str
    words: tuple[Word, ...]


class Lines:
    """Reads line after line, as each may rest on those before it.

    `origin`: what is added to names without a last dot; without its own, so "" is the root.
    """

    def __init__(self, zone_name: str) -> None:
        self.zone_name = self.origin = zone_name
        self._owner = ("", "")
        self._default_ttl: int | None = None
        self._last_ttl = DEFAULT_TTL

    def record(self, entry: Entry) -> Line | None:
        """The record of an entry; None for a directive.

        Raises `UnreadableLine`, and `Invalid` for `zone_file` where what follows would get wrong
        names. After a line that cannot be read, a line without a name of its own has none.
        """
        if entry.trouble:
            self._owner = ("", "")
            raise UnreadableLine(entry.trouble)
        if entry.is_directive:
            self._direct(entry.line, *(word.text for word in entry.words))
            return None
        return self._record(entry)

    def _direct(self, line: int, directive: str, *values: str) -> None:
        directive = directive.upper()
        if directive == "$TTL" and values:
            self._default_ttl = _ttl(values[0])
        elif directive == "$ORIGIN":
            if not values:
                raise Invalid.field("zone_file", f"Line {line}: $ORIGIN has no name.")
            self.origin = self.absolute(values[0])
        elif directive in {"$INCLUDE", "$GENERATE"}:
            raise UnreadableLine(f"{directive} is not followed; write the records themselves.")
        else:
            raise UnreadableLine(
                f"{directive[:40]} is not a known directive, or its value is missing."
            )

    def _record(self, entry: Entry) -> Line:
        """What is not said is as before."""
        words = list(entry.words)
        if not entry.is_indented:
            self._owner = self._names(words.pop(0))
        if not self._owner[0]:
            raise UnreadableLine("The line has no name, and no readable line before it has one.")
        ttl = None
        while words and not words[0].is_quoted:
            word = words[0].text
            if _TTL.fullmatch(word):
                ttl = self._last_ttl = _ttl(word)
            elif word.upper() in _CLASSES - {"IN"}:
                raise UnreadableLine(f"{word} is a class other than IN.")
            elif word.upper() != "IN":
                break
            words.pop(0)
        if not words or words[0].is_quoted:
            raise UnreadableLine("The record type is missing.")
        if ttl is None:
            ttl = self._last_ttl if self._default_ttl is None else self._default_ttl
        return Line(*self._owner, ttl, words[0].text.upper(), tuple(words[1:]))

    def _names(self, word: Word) -> tuple[str, str]:
        """The name of a record; and what it probably is, where its last dot seems to be missing."""
        self._owner = ("", "")
        if word.is_quoted:
            raise UnreadableLine("A name must not be in quotes.")
        if "@" in word.text and word.text != "@":
            raise UnreadableLine(f"“{word.text[:80]}”: “@” cannot be part of a name.")
        return self.absolute(word.text), self.unfinished(word.text)

    def unfinished(self, text: str) -> str:
        """The name of the zone or below it that stands there without its last dot; else ""."""
        name = normal_name(text)
        is_whole = name == self.zone_name or name.endswith(f".{self.zone_name}")
        return name if is_whole and name != self.absolute(text) else ""

    def rdata(self, kind: str, words: Sequence[Word]) -> str:
        """The content with absolute names, in presentation form."""
        text = ""
        for word in words:
            is_value = word.is_quoted and not word.is_apart  # as in alpn="h2"
            text += ("" if is_value else " ") + (f'"{word.text}"' if word.is_quoted else word.text)
        try:
            origin = dns.name.from_text(f"{self.origin}.")
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN, kind, text, origin=origin, relativize=False
            )
        except (dns.exception.DNSException, ValueError) as error:
            why = str(error) or "it cannot be read"
            raise UnreadableLine(
                f"This is not the content of a {kind} record: {why[:120]}."
            ) from None
        return rdata.to_text()

    def absolute(self, text: str) -> str:
        """A name of the file as it is in DNS, without its last dot."""
        if text == "@":
            return self.origin
        is_relative = not text.endswith(".") and self.origin
        return normal_name(f"{text}.{self.origin}" if is_relative else text)[:500]


def bytes_of(word: Word) -> bytes:
    """A word without its escapes. Raises `DNSException` for a bad one."""
    token = dns.tokenizer.Token(dns.tokenizer.QUOTED_STRING, word.text, "\\" in word.text)
    found: bytes = token.unescape_to_bytes().value
    return found


def type_of(word: str) -> str:
    """The usual name of a type. Raises `UnreadableLine` for what is none."""
    try:
        return dns.rdatatype.to_text(dns.rdatatype.from_text(word))
    except (dns.exception.DNSException, ValueError):
        raise UnreadableLine(f"{word[:40]!r} is not a record type.") from None


def _ttl(text: str) -> int:
    try:
        return dns.ttl.from_text(text[:40])
    except dns.exception.DNSException:
        raise UnreadableLine(f"{text[:40]!r} is not a TTL.") from None
