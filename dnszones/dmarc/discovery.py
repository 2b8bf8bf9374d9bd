"""Which DMARC policy applies to a name, and who may get reports about it: asked of DNS.

Callers give a resolver, and handle its failures: from a time-out nothing follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mpanel.core.errors import ProviderError

from .syntax import POLICIES, DMARCRecord, DMARCSyntaxError, Policy, address_of, is_dmarc, parse
from .validation import Problem

MOST_QUERIES: Final = 8  # of one tree walk
MOST_DESTINATIONS: Final = 10  # hosts of reports that are looked at


class Resolver(Protocol):
    """What is asked of DNS."""

    async def txt(self, name: str) -> list[str]:
        """The TXT records, each with its strings joined; none where there are none."""
        ...


@dataclass(frozen=True)
class AppliedPolicy:
    """The record that receivers use for a name: where it stands, and what it asks for that name."""

    domain: str
    text: str
    record: DMARCRecord
    policy: Policy


def walk_targets(domain: str) -> list[str]:
    """The names at which a tree walk looks, `_dmarc.` left out: eight at most (RFC 9989 §4.10)."""
    labels = domain.split(".")
    rest = labels[1:] if len(labels) < MOST_QUERIES else labels[-(MOST_QUERIES - 1) :]
    return [domain, *(".".join(rest[start:]) for start in range(len(rest)))]


async def discover(domain: str, resolver: Resolver) -> AppliedPolicy | None:
    """The policy that applies to a domain (RFC 9989 §4.10.1). Raises what the resolver raises.

    It stands at the domain itself, at its organizational domain, or at its public suffix.
    """
    found = await _walk(domain, resolver, {})
    if own := found.get(domain):
        text, record = own
        return None if record is None else AppliedPolicy(domain, text, record, record.policy)
    valid = _valid(found)
    candidates = [_organizational(domain, valid)]
    candidates += [name for name, record in valid.items() if record.public_suffix == "y"]
    for name in candidates:
        if name in valid:
            return AppliedPolicy(name, found[name][0], valid[name], valid[name].subdomain_policy)
    return None


async def replaced_policy(domain: str, text: str, resolver: Resolver) -> list[Problem]:
    """What a new record takes the place of: the policy of a parent, which applied until now.

    Raises what the resolver raises.
    """
    above = await discover(domain.partition(".")[2], resolver) if "." in domain else None
    if above is None or above.record.public_suffix == "y":
        return []
    policy = above.record.subdomain_policy
    is_weaker = POLICIES.index(parse(text).policy) < POLICIES.index(policy)
    weaker = f", and is weaker than that ({policy})" if is_weaker else ""
    sentence = (
        f"Until now the DMARC policy of {above.domain} applies to mail of {domain}, too: "
        f"{above.text}. The record of this plan takes its place{weaker}."
    )
    return [Problem("replaces_parent_policy", "warning", sentence)]


async def organizational_domain(
    domain: str, resolver: Resolver, *, planned: Mapping[str, str] | None = None
) -> str:
    """The domain with which a name is aligned (RFC 9989 §4.10.2).

    `planned`: records that domains are about to have. Raises what the resolver raises.
    """
    return _organizational(domain, _valid(await _walk(domain, resolver, planned or {})))


async def report_problems(domain: str, text: str, resolver: Resolver) -> list[Problem]:
    """Destinations in a record of the domain that receivers would not send reports to.

    A host of another organization must allow it by a record (RFC 9990 §4). What could not be asked
    is said to be unknown. Never raises for that.
    """
    try:
        record = parse(text)
    except DMARCSyntaxError:
        return []
    addresses = dict.fromkeys(filter(None, map(address_of, (*record.rua, *record.ruf))))
    hosts = dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses)
    problems = []
    for host in [host for host in hosts if host][:MOST_DESTINATIONS]:
        question = f"{domain}._report._dmarc.{host}"
        if host == domain or len(question) > 253:
            continue
        try:
            if await _is_allowed(domain, host, text, resolver):
                continue
        except ProviderError:
            sentence = f"Whether {host} takes reports about {domain} could not be asked just now."
            problems.append(Problem("reports_unknown", "warning", sentence))
            continue
        sentence = (
            f"Reports go to {host}, which does not allow it: receivers send none until "
            f"{question} has the TXT record v=DMARC1."
        )
        problems.append(Problem("reports_not_allowed", "warning", sentence))
    return problems


async def _is_allowed(domain: str, host: str, text: str, resolver: Resolver) -> bool:
    if any(map(is_dmarc, await resolver.txt(f"{domain}._report._dmarc.{host}"))):
        return True
    planned = {domain: text}
    ours = await organizational_domain(domain, resolver, planned=planned)
    return ours == await organizational_domain(host, resolver, planned=planned)


# A domain's one DMARC record, and what it says; None where it cannot be read.
_Found = Mapping[str, tuple[str, DMARCRecord | None]]


async def _walk(domain: str, resolver: Resolver, planned: Mapping[str, str]) -> _Found:
    """The record of each domain that has one, from the name itself upwards.

    Where there are several, receivers use none of them.
    """
    found: dict[str, tuple[str, DMARCRecord | None]] = {}
    for target in walk_targets(domain):
        texts = [planned[target]] if target in planned else await resolver.txt(f"_dmarc.{target}")
        records = [text for text in texts if is_dmarc(text)]
        if len(records) != 1:
            continue
        try:
            record = parse(records[0])
        except DMARCSyntaxError:
            record = None
        found[target] = records[0], record
        if record and record.public_suffix in ({"n"} if target == domain else {"n", "y"}):
            break
    return found


def _valid(found: _Found) -> dict[str, DMARCRecord]:
    return {name: record for name, (_, record) in found.items() if record is not None}


def _organizational(domain: str, found: Mapping[str, DMARCRecord]) -> str:
    """RFC 9989 §4.10.2, of the records of a walk, from the longest name to the shortest."""
    for name, record in found.items():
        if record.public_suffix == "n":
            return name
        if record.public_suffix == "y" and name != domain:
            below = len(domain.split(".")) - len(name.split(".")) - 1
            return ".".join(domain.split(".")[below:])
    return list(found)[-1] if found else domain
