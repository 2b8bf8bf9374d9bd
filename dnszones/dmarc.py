"""DMARC policy records (RFC 9989). Its retired tags pct, rf and ri are read, never written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import quote

from mpanel.core.errors import Invalid

Policy = Literal["none", "quarantine", "reject"]
Alignment = Literal["r", "s"]

POLICIES: Final[tuple[Policy, ...]] = ("none", "quarantine", "reject")  # from weak to strict

_MARKER = re.compile(r"v\s*=\s*DMARC1\s*(?:;|$)")
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]{1,64}@[a-z0-9_-]+(?:\.[a-z0-9_-]+)+", re.IGNORECASE)


class DMARCSyntaxError(ValueError):
    """The text is not a valid DMARC record."""


@dataclass(frozen=True)
class DMARCRecord:
    """A policy as a receiver understands it; what was left out has its default.

    `percent` is the retired pct tag, which receivers older than RFC 9989 still follow.
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
    return _MARKER.match(text) is not None


def parse(text: str) -> DMARCRecord:
    """Read a record as receivers do: unknown tags and bad values are passed over.

    Without `p` the policy is none; so it is for a `p` that cannot be read, where there is somebody
    to report to. Otherwise raises `DMARCSyntaxError`.
    """
    if not is_dmarc(text):
        raise DMARCSyntaxError("A DMARC record starts with v=DMARC1.")
    tags: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, _, value = part.partition("=")
        tags.setdefault(name.strip().lower(), value.strip())
    rua, ruf = _addresses(tags.get("rua", "")), _addresses(tags.get("ruf", ""))
    policy = _policy(tags.get("p"))
    if policy is None:
        if "p" in tags and not rua:
            raise DMARCSyntaxError("The policy (p=) is neither none, quarantine nor reject.")
        policy = "none"
    subdomains = _policy(tags.get("sp")) or policy
    percent = tags.get("pct", "")
    return DMARCRecord(
        policy=policy,
        subdomain_policy=subdomains,
        nonexistent_policy=_policy(tags.get("np")) or subdomains,
        rua=rua,
        ruf=ruf,
        adkim="s" if tags.get("adkim", "").lower() == "s" else "r",
        aspf="s" if tags.get("aspf", "").lower() == "s" else "r",
        is_testing=tags.get("t", "").lower() == "y",
        percent=int(percent) if re.fullmatch(r"\d{1,2}", percent) else 100,
        failure_options=tags.get("fo", "0").lower(),
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


def _policy(value: str | None) -> Policy | None:
    lowered = (value or "").lower()
    return lowered if lowered in POLICIES else None


def _addresses(value: str) -> tuple[str, ...]:
    uris = (uri.strip() for uri in value.split(","))
    return tuple(uri for uri in uris if uri.lower().startswith("mailto:"))


def _report_uri(address: str, field: str) -> str:
    """The mailto URI of an address; `!` would start a size limit and is escaped too."""
    plain = address.strip().removeprefix("mailto:")
    if len(plain) > 254 or not _ADDRESS.fullmatch(plain) or not plain.isascii():
        raise Invalid.field(field, f"{address} is not an e-mail address.")
    local, _, domain = plain.rpartition("@")
    return f"mailto:{quote(local, safe='+=_~.-')}@{domain.lower()}"
