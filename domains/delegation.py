"""What the parent zone says about a domain's nameservers, as a resolver would find out.

From the root servers the referrals are followed down to the zone above the domain (referrals.py),
and then every server of that zone is asked.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from domains.referrals import Tree, Walk, Zone, zone_text
from mpanel.dns.client import Answer, DNSClient, Server
from mpanel.dns.messages import canonical_name

Verdict = Literal["matches", "missing", "differs", "unknown"]

ASKED_AT_ONCE = 5  # domains of one batch
PATIENCE = 30.0  # seconds for the way down to the zone above one domain
# What registrars announce to their customers.
_REGISTRY_DELAY = "Registries publish a change within minutes to 48 hours"


@dataclass(frozen=True, slots=True)
class DelegationReport:
    """Whether the parent zone delegates a domain to the nameservers that it should.

    `verdict`: "matches" (every server of the parent zone that answered names exactly the expected
    nameservers), "missing" (all of them say that there is no such domain or no delegation),
    "differs" (they name others, or disagree with each other), "unknown" (none answered).

    `found`, `expected`, `extra` (found and not expected) and `missing` (expected and not found)
    are sorted, lower-case and without trailing dot. `parent` is the zone that was asked, `asked`
    holds each of its servers with what it said. `ttl` is how many seconds a cache may keep what
    was found, if anything was. `message` is for the customer.
    """

    domain: str
    verdict: Verdict
    found: tuple[str, ...]
    expected: tuple[str, ...]
    asked: tuple[tuple[Server, str], ...]
    parent: str
    ttl: int | None
    message: str

    @property
    def extra(self) -> tuple[str, ...]:
        """Nameservers that do not belong there."""
        return tuple(sorted(set(self.found) - set(self.expected)))

    @property
    def missing(self) -> tuple[str, ...]:
        """Nameservers that should be there."""
        return tuple(sorted(set(self.expected) - set(self.found)))


@dataclass(frozen=True, slots=True)
class SignerReport:
    """Which DS records the parent zone has for a domain (RFC 4034 §5).

    `found`: what its servers name, together, as in a zone file; empty where all that answered have
    none; `None` where none answered, from which nothing follows. `ttl`: how many seconds a cache
    may keep what was found. `parent` and `asked` as in `DelegationReport`.
    """

    domain: str
    found: tuple[str, ...] | None
    ttl: int | None
    parent: str
    asked: tuple[tuple[Server, str], ...]

    @property
    def parent_text(self) -> str:
        """The parent zone, in a sentence."""
        return zone_text(self.parent)


async def observe_signers(
    client: DNSClient,
    domains: Sequence[str],
    *,
    roots: Sequence[Server],
    port: int = 53,
    within: float | None = None,
) -> list[SignerReport]:
    """The DS records of these domains, five at a time; as `observe_delegations` asks."""
    tree = Tree(client, roots, port)
    room = asyncio.Semaphore(ASKED_AT_ONCE)
    end = None if within is None else asyncio.get_running_loop().time() + within

    async def observe(domain: str) -> SignerReport:
        try:
            async with asyncio.timeout_at(end), room:
                return await _observe_signer(tree, canonical_name(domain))
        except TimeoutError:
            return SignerReport(domain, None, None, "", ())

    return await asyncio.gather(*map(observe, domains))


@dataclass(frozen=True, slots=True)
class Authority:
    """Which nameservers a domain is delegated to, and where they answer.

    `verdict`: "found", "missing" (all servers of the parent zone that answered say that there is no
    such domain or no delegation), "unknown" (none answered). `nameservers` are sorted; `servers`
    are those of them whose address could be found and may be asked. `why` nothing was found.
    """

    verdict: Literal["found", "missing", "unknown"]
    nameservers: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    why: str = ""


async def find_authority(
    client: DNSClient, domain: str, *, roots: Sequence[Server], port: int = 53
) -> Authority:
    """The nameservers of a domain, found from the roots down. Network trouble is "unknown"."""
    walk = Walk(Tree(client, roots, port))
    domain = canonical_name(domain)
    try:
        async with asyncio.timeout(PATIENCE):
            parent = await walk.parent_of(domain)
            replies = await walk.ask_all(parent, domain)
            report = _judge(domain, set(), parent, replies)
            if not report.found:
                verdict: Literal["missing", "unknown"] = "unknown"
                if any(_delegation(domain, answer) is not None for _, answer in replies):
                    verdict = "missing"
                return Authority(verdict, why=report.message if verdict == "unknown" else "")
            glue = tuple(pair for _, answer in replies for pair in answer.addresses)
            answer = Answer("referral", addresses=tuple(dict.fromkeys(glue)))
            zone = await walk.zone(domain, report.found, answer)
    except TimeoutError:
        return Authority("unknown", why=f"the servers took longer than {PATIENCE:.0f} s")
    return Authority("found", report.found, zone.servers, "" if zone.servers else zone.why)


async def observe_delegation(
    client: DNSClient,
    domain: str,
    expected: Sequence[str],
    *,
    roots: Sequence[Server],
    port: int = 53,
) -> DelegationReport:
    """Ask the zone above `domain`. Servers found on the way are asked on `port`.

    Raises `ValueError` for a name that cannot be a domain; network trouble ends as "unknown".
    """
    return await _observe(Tree(client, roots, port), domain, expected)


async def observe_delegations(
    client: DNSClient,
    domains: Iterable[tuple[str, Sequence[str]]],
    *,
    roots: Sequence[Server],
    port: int = 53,
    within: float | None = None,
) -> list[DelegationReport]:
    """`observe_delegation` for pairs of domain and expected nameservers, five at a time.

    The reports come in the order of the pairs. What lies above several domains is asked once.
    `within`: seconds for all of them together; what is not known by then is "unknown".
    """
    tree = Tree(client, roots, port)
    room = asyncio.Semaphore(ASKED_AT_ONCE)
    end = None if within is None else asyncio.get_running_loop().time() + within

    async def observe(domain: str, expected: Sequence[str]) -> DelegationReport:
        try:
            async with asyncio.timeout_at(end), room:
                return await _observe(tree, domain, expected)
        except TimeoutError:
            return _too_slow(domain, expected, f"no answer within {within:.0f} s")

    return await asyncio.gather(*(observe(domain, expected) for domain, expected in domains))


# --- The verdict -----------------------------------------------------------------------------


async def _observe(tree: Tree, domain: str, expected: Sequence[str]) -> DelegationReport:
    domain = canonical_name(domain)
    if not domain:
        raise ValueError("the root has no parent zone")
    walk = Walk(tree)
    try:
        async with asyncio.timeout(PATIENCE):
            parent = await walk.parent_of(domain)
    except TimeoutError:
        parent = Zone(".", (), f"the servers above it took longer than {PATIENCE:.0f} s")
    replies = await walk.ask_all(parent, domain)
    return _judge(domain, {canonical_name(name) for name in expected}, parent, replies)


async def _observe_signer(tree: Tree, domain: str) -> SignerReport:
    walk = Walk(tree)
    parent = await walk.parent_of(domain)
    replies = await walk.ask_all(parent, domain, "DS")
    useful = [answer for _, answer in replies if answer.status in {"answer", "nodata", "nxdomain"}]
    return SignerReport(
        domain,
        found=tuple(sorted({ds for answer in useful for ds in answer.values})) if useful else None,
        ttl=max((answer.ttl for answer in useful if answer.values and answer.ttl), default=None),
        parent=parent.name,
        asked=tuple((server, answer.why or answer.status) for server, answer in replies),
    )


def _delegation(domain: str, answer: Answer) -> frozenset[str] | None:
    """The nameservers that one parent server names; empty for none; `None` if it is no use."""
    if answer.status == "referral" and answer.zone == domain:
        return frozenset(answer.nameservers)
    if answer.status == "answer" and not answer.aliases:  # it has the domain's own zone too
        return frozenset(answer.values)
    if answer.status in {"nodata", "nxdomain"}:
        return frozenset()
    return None


def _outcome(domain: str, answer: Answer) -> str:
    found = _delegation(domain, answer)
    if found:
        return ", ".join(sorted(found))
    if found is not None:
        return "no such domain" if answer.status == "nxdomain" else "no delegation"
    return answer.why or "no usable answer"


def _too_slow(domain: str, expected: Sequence[str], why: str) -> DelegationReport:
    unseen = Zone(".", (), why)
    return _judge(canonical_name(domain), set(map(canonical_name, expected)), unseen, [])


def _judge(
    domain: str, wanted: set[str], parent: Zone, replies: Sequence[tuple[Server, Answer]]
) -> DelegationReport:
    useful = [
        (found, answer.ttl)
        for _, answer in replies
        if (found := _delegation(domain, answer)) is not None
    ]
    views = {found for found, _ in useful}
    found = frozenset().union(*views)
    expected = tuple(sorted(wanted))
    report = DelegationReport(
        domain=domain,
        verdict="unknown",
        found=tuple(sorted(found)),
        expected=expected,
        asked=tuple((server, _outcome(domain, answer)) for server, answer in replies),
        parent=parent.name,
        ttl=max((ttl for view, ttl in useful if view and ttl is not None), default=None),
        message="",
    )
    if not views:
        why = "; ".join(f"{server}: {outcome}" for server, outcome in report.asked) or parent.why
        return replace(
            report,
            message=f"None of the servers of {zone_text(parent.name)} could be asked about "
            f"{domain} ({why}). This says nothing about the domain; it will be asked again.",
        )
    if views == {frozenset(wanted)}:
        return replace(
            report, verdict="matches", message=f"{domain} is delegated to {_listed(expected)}."
        )
    if len(views) > 1:
        return replace(report, verdict="differs", message=_disagreement(report, views))
    if not found:
        return replace(report, verdict="missing", message=_absence(report, replies))
    return replace(report, verdict="differs", message=_difference(report))


def _absence(report: DelegationReport, replies: Sequence[tuple[Server, Answer]]) -> str:
    if any(answer.status == "nxdomain" for _, answer in replies):
        there = f"{zone_text(report.parent)} knows no domain {report.domain}. Is it registered?"
    else:
        there = f"{report.domain} exists, but has no nameservers in {zone_text(report.parent)}."
    return (
        f"{there} Expected: {_listed(report.expected)}. If you have just registered it or set "
        f"its nameservers, wait: {_REGISTRY_DELAY[0].lower()}{_REGISTRY_DELAY[1:]}."
    )


def _difference(report: DelegationReport) -> str:
    todo = f"Set {_listed(report.expected)} at your registrar."
    if set(report.found) & set(report.expected):
        steps = [f"add {_listed(report.missing)}"] if report.missing else []
        steps += [f"remove {_listed(report.extra)}"] if report.extra else []
        todo = f"{' and '.join(steps).capitalize()} at your registrar."
    return (
        f"{report.domain} is delegated to {_listed(report.found)}; expected: "
        f"{_listed(report.expected)}. {todo} {_REGISTRY_DELAY}{_cached(report.ttl)}."
    )


def _disagreement(report: DelegationReport, views: set[frozenset[str]]) -> str:
    new = frozenset(report.expected)
    others = [_listed(sorted(view)) if view else "no nameservers" for view in views - {new}]
    seen = " or ".join(sorted(others))
    if new in views:
        return (
            f"The change is on its way: some servers of {zone_text(report.parent)} name "
            f"{_listed(report.expected)} for {report.domain}, some still say {seen}. "
            f"{_REGISTRY_DELAY}{_cached(report.ttl)}."
        )
    return (
        f"The servers of {zone_text(report.parent)} disagree about {report.domain}, so a change "
        f"is on its way: they say {seen}; expected: {_listed(report.expected)}. "
        f"{_REGISTRY_DELAY}{_cached(report.ttl)}."
    )


def _cached(ttl: int | None) -> str:
    """The part of a sentence about other people's caches."""
    if ttl is None:
        return ""
    return f", and resolvers may remember the old nameservers for {_duration(ttl)} after it"


def _duration(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        count = round(seconds / size)
        if seconds >= size:
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "0 seconds"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names) or "nothing"
    return f"{', '.join(names[:-1])} and {names[-1]}"
