"""The Sieve script that stands for a mailbox's delivery rules (RFC 5228, 5230, 3894, 5260)."""

import hashlib
import re
from collections.abc import Sequence
from datetime import date

SCRIPT_NAME = "mpanel"
_MARK = "# Written by mPanel. To change it by hand, save it under another name. sha256="
_HEAD = re.compile(re.escape(_MARK) + r"([0-9a-f]{64})\n")


def script(
    *,
    forward_to: Sequence[str],
    keeps_copy: bool,
    vacation: tuple[str, str] | None,
    vacation_starts_on: date | None,
    vacation_ends_on: date | None,
    own_addresses: Sequence[str],
) -> str:
    """The script's text; empty where there is nothing to do.

    `vacation`: subject and text. `own_addresses`: the mailbox's aliases, for which the note is
    sent, too. Mail with a null sender (bounces) is never forwarded: it would come back for ever.
    """
    parts: list[str] = []
    if vacation is not None:
        subject, text = vacation
        also = f" :addresses [{', '.join(map(_quoted, own_addresses))}]" if own_addresses else ""
        note = f"vacation :days 1{also} :subject {_quoted(subject)} {_quoted(text)};"
        days = [
            f'currentdate :zone "+0000" :value "{compare}" "date" "{day.isoformat()}"'
            for compare, day in (("ge", vacation_starts_on), ("le", vacation_ends_on))
            if day is not None
        ]
        parts.append(f"if allof ({', '.join(days)}) {{\n  {note}\n}}" if days else note)
    if forward_to:
        copy = ":copy " if keeps_copy else ""
        lines = "".join(f"  redirect {copy}{_quoted(address)};\n" for address in forward_to)
        parts.append(f'if not envelope :is "from" "" {{\n{lines}}}')
    if not parts:
        return ""
    needs = 'require ["copy", "date", "envelope", "relational", "vacation"];\n'
    body = needs + "\n".join(parts) + "\n"
    return f"{_MARK}{_digest(body)}\n{body}"


def is_as_written(text: str) -> bool:
    """Whether a script is one of ours that nobody changed since."""
    text = text.replace("\r\n", "\n")
    found = _HEAD.match(text)
    return found is not None and found[1] == _digest(text[found.end() :])


def same(one: str, other: str) -> bool:
    """Whether two scripts say the same, however their lines end."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _digest(body: str) -> str:
    return hashlib.sha256(body.strip().encode()).hexdigest()


def _quoted(text: str) -> str:
    """A quoted string (RFC 5228, 2.4.2). Lines end in LF alone, so that the mark's digest holds."""
    lines = "\n".join(text.splitlines())
    return '"' + lines.replace("\\", "\\\\").replace('"', '\\"') + '"'
