"""The entries of a zone file, by dnspython's tokenizer: words, comments, and what is unreadable."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.tokenizer

from mpanel.core.errors import Invalid, TooLarge

LARGEST: Final = 1_000_000  # bytes
DEEPEST: Final = 8  # parentheses in each other
LONGEST_ENTRY: Final = 16_384  # characters

# White space of web pages and word processors, which zone files do not know.
_SPACES: Final = str.maketrans(dict.fromkeys("\u00a0\u2007\u202f\u3000\v\f", " "))


@dataclass(frozen=True)
class Word:
    """A word as it stands in the file, with its escapes. `is_apart`: white space is before it."""

    text: str
    is_quoted: bool = False
    is_apart: bool = True


@dataclass(frozen=True)
class Entry:
    """One entry. `line`: where it begins; `is_indented`: it has no name of its own.

    `comment`: what stands after `;` on its line, if the entry has no parentheses. `trouble`: why it
    cannot be read, "" where it can.
    """

    line: int
    words: tuple[Word, ...] = ()
    is_indented: bool = False
    comment: str = ""
    trouble: str = ""

    @property
    def is_directive(self) -> bool:
        """Whether it is for the reader, such as $TTL."""
        return bool(self.words) and self.words[0].text.startswith("$") and not self.is_indented


def entries(text: str) -> Iterator[Entry]:
    """The entries of a file, in time that grows with its length.

    Raises `TooLarge`, and `Invalid` for `zone_file` where it cannot be told where an entry ends.
    """
    if len(text) > LARGEST or len(text.encode(errors="replace")) > LARGEST:
        raise TooLarge(f"A zone file may have {LARGEST:,} bytes.")
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    tokens = _Tokens(plain.translate(_SPACES))
    while not tokens.is_at_end:
        entry = tokens.entry()
        if entry.words or entry.trouble:
            yield entry


class _Tokens(dns.tokenizer.Tokenizer):
    """A tokenizer that goes on with the next line after one that cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text
        self._plain_delimiters = self.delimiters
        self.is_at_end = False

    def entry(self) -> Entry:
        """Read up to the end of an entry; without words at an empty line."""
        line = self.line_number
        try:
            return self._entry(line)
        except dns.exception.DNSException:
            if self.multiline:
                raise _unreadable(line, "a parenthesis is not closed.") from None
            why = "a quoted text does not end." if self.quoting else "it has a lone “)” or “\\”."
            self._skip_line()
            return Entry(line, trouble=why)

    def _entry(self, line: int) -> Entry:
        words: list[Word] = []
        is_indented, is_apart, had_parentheses = False, False, False
        comment, size = "", 0
        while True:
            token = self.get(want_leading=True, want_comment=True)
            had_parentheses = had_parentheses or self.multiline > 0
            if self.multiline > DEEPEST:
                raise _unreadable(line, f"parentheses may be {DEEPEST} deep.")
            if token.is_whitespace():
                is_indented = is_indented or not words
                is_apart = True
            elif token.is_comment():
                comment = token.value
            elif token.is_eol_or_eof():
                self.is_at_end = token.is_eof()
                break
            else:
                size += len(token.value) + 1
                if size <= LONGEST_ENTRY:
                    words.append(Word(token.value, token.is_quoted_string(), is_apart))
                # The tokenizer swallows white space after a quoted text.
                is_apart = token.is_quoted_string()
        if size > LONGEST_ENTRY:
            return Entry(line, trouble=f"it is longer than {LONGEST_ENTRY:,} characters.")
        return Entry(line, tuple(words), is_indented, "" if had_parentheses else comment)

    def _skip_line(self) -> None:
        """Forget what was begun, and go to the next line."""
        self.quoting, self.multiline, self.delimiters = False, 0, self._plain_delimiters
        self.ungotten_char = self.ungotten_token = None
        here = self.file.tell()
        if here and self._text[here - 1] == "\n":
            return
        end = self._text.find("\n", here)
        self.is_at_end = end < 0
        if not self.is_at_end:
            self.file.seek(end + 1)
            self.line_number += 1


def _unreadable(line: int, why: str) -> Invalid:
    return Invalid.field("zone_file", f"Line {line}: {why}")
