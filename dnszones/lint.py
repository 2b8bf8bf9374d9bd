"""What is wrong with the text of an SPF or DMARC record, and what was probably meant."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dnszones import dmarc, spf

# Dashes and quotation marks that word processors put where ASCII is meant.
_TYPOGRAPHY: Final = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("‘’‚‛", "'"),
        "\u00a0": " ",
    }
)
_LIKE_SPF = re.compile(r"""[\s"'\\]*v\s*[=:]\s*spf\s*1?(?=[\s;,"']|$)""", re.IGNORECASE)
_LIKE_DMARC = re.compile(r"""[\s"'\\]*v\s*[=:]\s*dmarc\s*1?(?=[\s;,"'\\]|$)""", re.IGNORECASE)
_MECHANISMS: Final = ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")
_LOOKUPS: Final = frozenset({"include", "a", "mx", "ptr", "exists"})
_MISSPELT: Final = {
    **dict.fromkeys(("inlcude", "incldue", "inclde", "inculde", "includ", "includes"), "include"),
    **dict.fromkeys(("ipv4", "ip"), "ip4"),
    "ipv6": "ip6",
    "redirct": "redirect",
}
_WORD = re.compile(r"([+\-~?]?)([a-z][a-z0-9]*)([:=])(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """A sentence about a text. `is_fatal`: receivers cannot use the record at all.

    `proposal`: the text that was probably meant, "" where nobody can tell.
    """

    sentence: str
    is_fatal: bool = False
    proposal: str = ""


def findings(name: str, text: str) -> list[Finding]:
    """What is wrong with a TXT at this name; nothing for texts that are neither SPF nor DMARC."""
    straight = text[:40].translate(_TYPOGRAPHY)
    is_dmarc = _LIKE_DMARC.match(straight) is not None
    if is_dmarc and (name.startswith("_dmarc.") or "._report._dmarc." in name):
        return list(_dmarc(name, text))
    if name.startswith("_dmarc."):
        return [Finding("Receivers ignore this text: a DMARC record begins with v=DMARC1.")]
    if spf.is_spf(text) or _LIKE_SPF.match(straight):
        return list(_spf(text))
    if is_dmarc:
        sentence = "This is the text of a DMARC record, which receivers look for at _dmarc only."
        return [Finding(sentence)]
    return []


# --- SPF --------------------------------------------------------------------------------------


def _spf(text: str) -> Iterator[Finding]:
    trouble = _spf_trouble(text)
    if trouble:
        better = _corrected_spf(text)
        is_better = better != text and not _spf_trouble(better)
        sentence = f"Receivers cannot use this SPF record: {trouble}"
        yield Finding(sentence, is_fatal=True, proposal=better if is_better else "")
        return
    record = spf.parse(text)
    last = record.mechanisms[-1] if record.mechanisms else None
    names = [term.name for term in record.terms]
    if last is not None and last.name == "all" and last.passes:
        yield Finding("With +all this SPF record lets anyone send mail for the domain.")
    elif not record.has_all and record.redirect is None:
        yield Finding(
            "This SPF record has no “all”: end it with ~all or -all, or nothing is denied."
        )
    if record.has_all and "redirect" in names:
        yield Finding("Beside “all”, receivers ignore redirect= in this SPF record.")
    if len(record.mechanisms) < sum(isinstance(term, spf.Mechanism) for term in record.terms):
        yield Finding("Receivers ignore what comes after “all” in this SPF record.")
    if "ptr" in names:
        yield Finding("“ptr” must not be used any more (RFC 7208 §5.5); name the servers instead.")
    lookups = sum(mechanism.name in _LOOKUPS for mechanism in record.mechanisms)
    lookups += record.redirect is not None
    if lookups > spf.MAX_LOOKUPS:
        yield Finding(
            f"This SPF record alone needs {lookups} DNS lookups; receivers stop at "
            f"{spf.MAX_LOOKUPS} and then use none of it."
        )


def _spf_trouble(text: str) -> str:
    """Why receivers cannot use the text as an SPF record; "" where they can."""
    if not spf.is_spf(text):
        return "it must begin with “v=spf1” and a blank, without anything before."
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found and found[3] == "=" and found[2].lower() in {*_MECHANISMS, *_MISSPELT}:
            meant = _MISSPELT.get(found[2].lower(), found[2].lower())
            return f"“{word[:60]}” needs a colon, such as {meant}:example.com."
    try:
        spf.parse(text)
    except spf.SPFSyntaxError as error:
        return str(error)
    return ""


def _corrected_spf(text: str) -> str:
    """The text with the mistakes taken out that people make most."""
    plain = " ".join(text.translate(_TYPOGRAPHY).replace("\\", "").replace('"', "").split())
    start = _LIKE_SPF.match(plain)
    rest = plain[start.end() :] if start else plain
    rest = re.sub(r"(?<=[a-z0-9][:=]) (?=\S)", "", re.sub(r"[,;]", " ", rest), flags=re.IGNORECASE)
    words = (_corrected_term(word.strip("'")) for word in rest.split())
    return " ".join(["v=spf1", *filter(None, words)])


def _corrected_term(word: str) -> str:
    found = _WORD.fullmatch(word)
    if found is None:
        return word
    name = _MISSPELT.get(found[2].lower(), found[2])
    is_modifier = name.lower() in {"redirect", "exp"}
    between = "=" if is_modifier else ":" if name.lower() in _MECHANISMS else found[3]
    return f"{found[1]}{name}{between}{found[4]}"


# --- DMARC ------------------------------------------------------------------------------------


def _dmarc(name: str, text: str) -> Iterator[Finding]:
    problems = dmarc.validate(text, name=name)
    better = _corrected_dmarc(text)
    is_better = better != text and not _errors(better, name)
    for problem in problems:
        yield Finding(
            f"DMARC: {problem.sentence}",
            is_fatal=problem.severity == "error",
            proposal=better if is_better and problem.severity == "error" else "",
        )


def _errors(text: str, name: str) -> bool:
    return any(problem.severity == "error" for problem in dmarc.validate(text, name=name))


def _corrected_dmarc(text: str) -> str:
    """The text with the mistakes taken out that people make most."""
    plain = " ".join(text.translate(_TYPOGRAPHY).replace("\\", "").replace('"', "").split())
    start = _LIKE_DMARC.match(plain)
    rest = plain[start.end() :] if start else plain
    rest = re.sub(r"\s*=\s*", "=", rest).lstrip(" ;,")
    rest = re.sub(r"(?<=[=,])\s*(?=[^\s:;,@=]+@)", "mailto:", rest)
    return "; ".join(["v=DMARC1", *filter(None, map(str.strip, rest.split(";")))])
