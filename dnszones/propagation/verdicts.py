"""Whether what DNS shows is what was published: what counts as ours, and what competes with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from dnszones import dmarc, mail_tls, spf
from dnszones.dkim import records as dkim
from dnszones.records import RecordData, canonical, from_presentation, same_text, value_of

# Texts of these purposes have a marker, by which their readers find them among others at the name.
MARKED: Final[dict[str, Callable[[str], bool]]] = {
    "spf": spf.is_spf,
    "dmarc": dmarc.looks_like_dmarc,
    "mta-sts": mail_tls.is_sts_record,
    "tls-rpt": mail_tls.is_tls_rpt_record,
    # Two texts at a selector have undefined results (RFC 6376 §3.6.2.2), whatever they say.
    "dkim": lambda text: True,
}
QUOTES: Final = " \t\"'"


@dataclass(frozen=True)
class Expected:
    """What DNS should answer for one rrset. `values` as `value_of` gives them."""

    purpose: str
    name: str
    type: str
    values: frozenset[str]


@dataclass(frozen=True)
class Verdict:
    """`found`: the values that bear on the purpose, normalised; `foreign`: those not expected."""

    result: Literal["matches", "missing", "conflicts"]
    found: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def competes(purpose: str, text: str) -> bool:
    """Whether readers could take this TXT text for the one of the purpose at the same name.

    A text without a marker, such as a vendor's verification, stands beside any other.
    """
    is_one = MARKED.get(purpose)
    return is_one is not None and is_one(text)


def expectation_key(purpose: str, record: RecordData) -> tuple[str, str, str, str]:
    """What is expected together: an rrset of a purpose, but each text without a marker by itself.

    Such texts come and go one by one, so none of them says anything about another.
    """
    is_alone = record.type == "TXT" and purpose not in MARKED
    return (purpose, *record.key, record.content if is_alone else "")


def expectations(
    wanted: Iterable[tuple[str, RecordData]],
) -> dict[tuple[str, str, str, str], Expected]:
    """What is expected of the given (purpose, record) pairs, by `expectation_key`, in order."""
    values: dict[tuple[str, str, str, str], list[str]] = {}
    for purpose, record in wanted:
        values.setdefault(expectation_key(purpose, record), []).append(value_of(record))
    return {
        key: Expected(purpose, name, kind, frozenset(found))
        for key, found in values.items()
        for purpose, name, kind, _ in [key]
    }


def judge(expected: Expected, found: Iterable[str]) -> Verdict:
    """Compare the values of an answer, as `client.Answer` has them, with what is wanted.

    A TXT value is the text itself: quotes in it were published, and make it another text. A second
    SPF or DMARC record is a conflict even beside the right one, because receivers then use neither
    (RFC 7208 §4.5, RFC 9989 §4.7). Texts that do not compete are nobody's business. MX and CNAME
    are compared as sets.
    """
    if expected.type == "TXT":
        return _judge_texts(expected, list(found))
    records = [from_presentation(expected.name, expected.type, rdata) for rdata in found]
    return _verdict(expected, [value_of(canonical(record)) for record in records])


def _judge_texts(expected: Expected, texts: list[str]) -> Verdict:
    values = [
        text for text in texts if competes(expected.purpose, text) or _is_expected(text, expected)
    ]
    if expected.purpose == "dkim" and len(values) == 1:
        values = list(filter(dkim.is_dkim, values))  # a wildcard's text is no key
    if not values:
        # Readers pass over a record in quotes, and its owner should see what is wrong with it.
        values = [text for text in texts if _is_quoted(expected, text)]
    return _verdict(expected, values)


def _is_quoted(expected: Expected, text: str) -> bool:
    within = text.strip(QUOTES)
    is_one = dkim.is_dkim if expected.purpose == "dkim" else MARKED.get(expected.purpose)
    return within != text and (_is_expected(within, expected) or bool(is_one and is_one(within)))


def _verdict(expected: Expected, values: list[str]) -> Verdict:
    if not values:
        return Verdict("missing")
    foreign = tuple(value for value in values if not _is_expected(value, expected))
    if foreign or len(values) != len(expected.values):
        return Verdict("conflicts", tuple(values), foreign)
    return Verdict("matches", tuple(values))


def _is_expected(value: str, expected: Expected) -> bool:
    if value in expected.values:
        return True
    return expected.type == "TXT" and any(same_text(value, want) for want in expected.values)
