"""What is wrong with a DMARC record, for the person who writes it (RFC 9989 §4.7)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .syntax import (
    BLANKS,
    POLICIES,
    PUBLIC_SUFFIX,
    address_of,
    is_address,
    is_dmarc,
    tags_of,
    uris_of,
)

Severity = Literal["error", "warning"]

# Tags of RFC 7489 that RFC 9989 took back.
RETIRED: Final = {"pct": "percentage", "rf": "report format", "ri": "report interval"}
VALUES: Final[dict[str, Sequence[str]]] = {
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": PUBLIC_SUFFIX,
    "fo": ("0", "1", "d", "s", "d:s", "s:d"),
}
KNOWN: Final = frozenset({"p", "sp", "np", "rua", "ruf", *VALUES, *RETIRED})
REPORTS_OF_OTHERS: Final = "._report._dmarc."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `error`: receivers use the record otherwise than it was meant."""

    code: str
    severity: Severity
    sentence: str


def validate(text: str, *, name: str = "") -> list[Problem]:
    """Every problem of a record, errors first. Never raises.

    `name`: where it stands; below `_report._dmarc` it allows reports about another domain, and has
    no policy.
    """
    if not is_dmarc(text):
        return [Problem("not_dmarc", "error", _why_not_dmarc(text))]
    found = list(_problems(text, is_policy=REPORTS_OF_OTHERS not in f".{name}"))
    return sorted(found, key=lambda problem: problem.severity != "error")


def _problems(text: str, *, is_policy: bool) -> Iterator[Problem]:
    pairs = tags_of(text)
    tags = dict(pairs)
    names = [tag for tag, _ in pairs]
    if not (text.isascii() and text.replace("\t", " ").isprintable()):
        sentence = "The record has characters that are not plain ASCII, which receivers pass over."
        yield Problem("characters", "error", sentence)
    if "\\;" in text:
        sentence = "Semicolons are written without a backslash: receivers would read it, too."
        yield Problem("escaped_semicolon", "error", sentence)
    for tag in sorted({tag for tag in names if names.count(tag) > 1}):
        sentence = f"The tag {_short(tag)} is there more than once, so receivers use none of it."
        yield Problem("repeated_tag", "error", sentence)
    for part in text.split(";")[1:]:
        if part.strip(BLANKS) and not ("=" in part and part.partition("=")[0].strip(BLANKS)):
            sentence = f"{_short(part.strip(BLANKS))} is no tag with a value, and is ignored."
            yield Problem("not_a_tag", "warning", sentence)
    for tag in dict.fromkeys(names):
        if tag in RETIRED:
            sentence = f"The tag {tag} ({RETIRED[tag]}) was retired with RFC 9989. Leave it out."
            yield Problem("retired_tag", "warning", sentence)
        elif tag not in KNOWN:
            yield Problem("unknown_tag", "warning", f"Receivers ignore the tag {_short(tag)}.")
    if is_policy:
        yield from _policies(tags, names)
    yield from _values(tags)
    for tag in ("rua", "ruf"):
        if tag in tags:
            yield from _destinations(tag, tags[tag])


def _policies(tags: dict[str, str], names: Sequence[str]) -> Iterator[Problem]:
    for tag in ("p", "sp", "np"):
        if tag in tags and tags[tag].lower() not in POLICIES:
            sentence = f"{tag}={_short(tags[tag])} is not a policy. Use none, quarantine or reject."
            yield Problem("bad_policy", "error", sentence)
    if "p" not in tags and uris_of(tags.get("rua", "")):
        sentence = "Without p= the policy is none, and older receivers ignore the record."
        yield Problem("missing_policy", "warning", sentence)
    elif "p" not in tags:
        sentence = "Without p= and without rua= receivers do nothing with the record."
        yield Problem("missing_policy", "error", sentence)
    elif names[0] != "p":
        sentence = "Older receivers expect p= right behind v=DMARC1."
        yield Problem("policy_not_first", "warning", sentence)


def _values(tags: dict[str, str]) -> Iterator[Problem]:
    for tag, values in VALUES.items():
        if tag in tags and tags[tag].lower() not in values:
            sentence = f"{tag}={_short(tags[tag])} is ignored. It is one of {', '.join(values)}."
            yield Problem("bad_value", "warning", sentence)
    if tags.get("psd", "").lower() == "y":
        sentence = "psd=y is for operators of public suffixes: each name below stands for itself."
        yield Problem("public_suffix", "warning", sentence)
    if "fo" in tags and not uris_of(tags.get("ruf", "")):
        yield Problem("fo_without_ruf", "warning", "fo= is ignored where there is no ruf=.")


def _destinations(tag: str, value: str) -> Iterator[Problem]:
    uris = uris_of(value)
    if not uris:
        yield Problem("no_destination", "warning", f"{tag}= names nobody, so no report is sent.")
    for uri in uris:
        shown = _short(uri)
        address = address_of(uri)
        if address is None and ":" not in uri:
            sentence = f"{tag}={shown} needs mailto: before the address, or no report is sent."
            yield Problem("no_mailto", "error", sentence)
        elif address is None:
            sentence = f"Receivers need not send reports to {shown}, only to mailto: addresses."
            yield Problem("not_mailto", "warning", sentence)
        elif not is_address(address):
            yield Problem("bad_address", "error", f"{shown} is not an e-mail address.")
        elif "!" in uri:
            sentence = f"Receivers ignore the size limit in {shown}. Leave it out."
            yield Problem("size_limit", "warning", sentence)


def _why_not_dmarc(text: str) -> str:
    meant = "A DMARC record begins with v=DMARC1; exactly so"
    if text[:1] in {'"', "'", "\\"}:
        return f"{meant}, and without quotes."
    if text[:1].isspace():
        return f"{meant}, and without a blank before it."
    if "\\;" in text:
        return f"{meant}, and without a backslash before the semicolon."
    return f"{meant}. Receivers ignore this one."


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
