"""What a DMARC policy record says, and writing one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import quote, unquote

from mpanel.core.addresses import clean_address
from mpanel.core.errors import Invalid

Policy = Literal["none", "quarantine", "reject"]
Alignment = Literal["r", "s"]

POLICIES: Final[tuple[Policy, ...]] = ("none", "quarantine", "reject")  # from weak to strict

PUBLIC_SUFFIX: Final = ("y", "n", "u")  # values of psd
BLANKS: Final = " \t"

# The tag's name in either case, its value in this one only (RFC 9989 §4.8).
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_BEGINNING = re.compile(r"\W{0,20}v\W{0,20}?=\W{0,20}dmarc", re.IGNORECASE)
_SIZE_LIMIT = re.compile(r"!\d+[kmgt]?\Z", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:.", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]{1,64}@[a-z0-9_-]+(?:\.[a-z0-9_-]+)+", re.IGNORECASE)


class DMARCSyntaxError(ValueError):
    """The text is not a valid DMARC record."""


@dataclass(frozen=True)
class DMARCRecord:
    """A policy as a receiver understands it; what was left out has its default.

    `percent` is the retired pct tag, which receivers older than RFC 9989 still follow.
    `public_suffix` is the psd tag.
    """

    policy: Policy
    subdomain_policy: Policy
    nonexistent_policy: Policy
    rua: tuple[str, ...] = ()
    ruf: tuple[str, ...] = ()
    adkim: Alignment = "r"
    aspf: Alignment = "r"
    is_testing: bool = False
    percent: int = 100
    failure_options: str = "0"
    public_suffix: str = "u"


def build(
    policy: str,
    *,
    subdomain_policy: str | None = None,
    nonexistent_policy: str | None = None,
    rua: Sequence[str] = (),
    ruf: Sequence[str] = (),
    adkim: str = "r",
    aspf: str = "r",
) -> str:
    """The text of a record. `rua` and `ruf` are e-mail addresses for reports.

    Raises `Invalid` for `dmarc_policy`, `dmarc_rua`, `dmarc_ruf` or `dmarc_alignment`.
    """
    for given in (policy, subdomain_policy, nonexistent_policy):
        if given is not None and given not in POLICIES:
            raise Invalid.field("dmarc_policy", "The policy is none, quarantine or reject.")
    if not {adkim, aspf} <= {"r", "s"}:
        raise Invalid.field("dmarc_alignment", "Alignment is r (relaxed) or s (strict).")
    tags = ["v=DMARC1", f"p={policy}"]
    if subdomain_policy:
        tags.append(f"sp={subdomain_policy}")
    if nonexistent_policy:
        tags.append(f"np={nonexistent_policy}")
    if rua:
        tags.append("rua=" + ",".join(_report_uri(address, "dmarc_rua") for address in rua))
    if ruf:
        tags.append("ruf=" + ",".join(_report_uri(address, "dmarc_ruf") for address in ruf))
    if adkim != "r":
        tags.append(f"adkim={adkim}")
    if aspf != "r":
        tags.append(f"aspf={aspf}")
    return "; ".join(tags)


def is_dmarc(text: str) -> bool:
    """Whether receivers take this TXT record for a DMARC record (RFC 9989 §4.7)."""
    return _VERSION.match(text) is not None


def looks_like_dmarc(text: str) -> bool:
    """Whether the text was meant as a DMARC record, whatever its case, blanks and quotes.

    Some receivers count one that others ignore, so none of these may stand beside another.
    """
    return _BEGINNING.match(text) is not None


def tags_of(text: str) -> list[tuple[str, str]]:
    """The tags after the version with their values, names in lower case; what is none is left out.

    A tag without a name or without `=` is none.
    """
    found = []
    for part in text.split(";")[1:]:
        name, equals, value = part.partition("=")
        if equals and name.strip(BLANKS):
            found.append((name.strip(BLANKS).lower(), value.strip(BLANKS)))
    return found


def parse(text: str) -> DMARCRecord:
    """Read a record as receivers do (RFC 9989 §4.7 and §4.10.1).

    Unknown tags, and values that cannot be read, are passed over. Where `p` is missing, or `p`,
    `sp` or `np` cannot be read, every policy is none if there is somebody to report to; otherwise
    receivers apply nothing, and `DMARCSyntaxError` is raised, as for a text that is no DMARC record
    and for a tag that is repeated (RFC 6376 §3.2).
    """
    if not is_dmarc(text):
        raise DMARCSyntaxError("A DMARC record starts with v=DMARC1.")
    pairs = tags_of(text)
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise DMARCSyntaxError("A tag of the record is repeated, so receivers use none of it.")
    rua, ruf = _addresses(tags.get("rua", "")), _addresses(tags.get("ruf", ""))
    policies = {name: _policy(tags[name]) for name in ("p", "sp", "np") if name in tags}
    policy = policies.get("p")
    if policy is None or None in policies.values():
        if not any(_SCHEME.match(uri) for uri in uris_of(tags.get("rua", ""))):
            raise DMARCSyntaxError("The policy (p=) is neither none, quarantine nor reject.")
        policy, policies = "none", {}
    subdomains = policies.get("sp") or policy
    percent = tags.get("pct", "")
    return DMARCRecord(
        policy=policy,
        subdomain_policy=subdomains,
        nonexistent_policy=policies.get("np") or subdomains,
        rua=rua,
        ruf=ruf,
        adkim="s" if tags.get("adkim", "").lower() == "s" else "r",
        aspf="s" if tags.get("aspf", "").lower() == "s" else "r",
        is_testing=tags.get("t", "").lower() == "y",
        percent=int(percent) if re.fullmatch(r"[0-9]{1,2}", percent) else 100,
        failure_options=tags.get("fo", "0").lower() if ruf else "0",
        public_suffix=_one_of(PUBLIC_SUFFIX, tags.get("psd", ""), "u"),
    )


def same(one: str, other: str) -> bool:
    """Whether two texts say the same to a receiver; order, case and white space do not matter."""
    if one == other:
        return True
    try:
        return _unordered(parse(one)) == _unordered(parse(other))
    except DMARCSyntaxError:
        return one.lower().split() == other.lower().split()


def at_least_as_strict(found: DMARCRecord, wanted: DMARCRecord) -> bool:
    """Whether `found` protects the domain as much as `wanted` would. Report addresses do not count.

    A testing record (t=y) acts one policy lower (RFC 9989 §4.7), and one for a percentage is
    taken likewise, because older receivers apply it to a part only.
    """
    levels = zip(_levels(found), _levels(wanted), strict=True)
    alignment = (found.adkim >= wanted.adkim) and (found.aspf >= wanted.aspf)  # "s" > "r"
    return alignment and all(have >= want for have, want in levels)


def _levels(record: DMARCRecord) -> tuple[int, ...]:
    policies = record.policy, record.subdomain_policy, record.nonexistent_policy
    lowered = 1 if record.is_testing or record.percent < 100 else 0
    return tuple(max(POLICIES.index(policy) - lowered, 0) for policy in policies)


def _unordered(record: DMARCRecord) -> DMARCRecord:
    return replace(record, rua=tuple(sorted(record.rua)), ruf=tuple(sorted(record.ruf)))


def _policy(value: str) -> Policy | None:
    lowered = value.lower()
    return lowered if lowered in POLICIES else None


def _one_of(values: Sequence[str], value: str, default: str) -> str:
    return value.lower() if value.lower() in values else default


def uris_of(value: str) -> list[str]:
    """The URIs of a rua or ruf tag as they stand there; empty ones are left out."""
    return [uri.strip(BLANKS) for uri in value.split(",") if uri.strip(BLANKS)]


def address_of(uri: str) -> str | None:
    """The e-mail address of a report URI, without a size limit; None for what is no mailto."""
    if not uri.lower().startswith("mailto:"):
        return None
    return unquote(_SIZE_LIMIT.sub("", uri[len("mailto:") :]).partition("?")[0])


def is_address(text: str) -> bool:
    """Whether reports could be sent to this e-mail address."""
    return len(text) <= 254 and text.isascii() and _ADDRESS.fullmatch(text) is not None


def _addresses(value: str) -> tuple[str, ...]:
    """The mailto URIs, without size limits, which nobody heeds any more (RFC 9989 §4.6)."""
    return tuple(
        f"mailto:{_SIZE_LIMIT.sub('', uri[len('mailto:') :])}"
        for uri in uris_of(value)
        if uri.lower().startswith("mailto:")
    )


def _report_uri(address: str, field: str) -> str:
    """The mailto URI of an address; `!` would start a size limit and is escaped too."""
    plain = address.strip().removeprefix("mailto:")
    local, _, domain = clean_address(plain, field=field).rpartition("@")
    return f"mailto:{quote(local, safe='+=_~.-')}@{domain}"
