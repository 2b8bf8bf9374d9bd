"""Whether a tenant controls a domain, as the outside world sees it.

Two things are asked for: the zone above delegates the domain to the nameservers of the tenant's
zone, and those nameservers, at the addresses that everybody has for them, answer with a record that
only we could have written into that zone. Beside it the DS records of the zone above are held
against the zone's keys: one that fits none makes every resolver that validates refuse the domain.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dns.dnssec
import dns.exception
import dns.name
import dns.rdata

from domains.delegation import (
    ASKED_AT_ONCE,
    PATIENCE,
    DelegationReport,
    SignerReport,
    observe_delegations,
    observe_signers,
)
from domains.referrals import Tree, Walk, Zone, zone_text
from mpanel.dns.client import Answer, DNSClient, Server
from mpanel.dns.messages import canonical_name

Proof = Literal["proved", "partly", "missing", "unknown", "not_asked"]
LABEL = "_mpanel"


def proof_name(domain: str) -> str:
    """The name of the TXT record that proves control of a domain."""
    return f"{LABEL}.{domain}"


def proof_text(token: str) -> str:
    """What it says."""
    return f"mpanel-verify={token}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A domain, the nameservers that its zone was assigned, and the token written into it."""

    domain: str
    nameservers: tuple[str, ...]
    token: str


@dataclass(frozen=True, slots=True)
class ControlReport:
    """What was seen of a claim.

    `proof`: "proved" (every nameserver that answered has the token), "partly" (some have it),
    "missing" (none has), "unknown" (none answered), "not_asked" (the domain is delegated to none of
    the zone's nameservers). `asked` holds each nameserver with what it said. `stale_ds`: the DS
    records of the zone above, as in a zone file, where none of them fits a key of the zone; `None`
    where that could not be seen. `message` is for the customer.
    """

    claim: Claim
    delegation: DelegationReport
    proof: Proof
    asked: tuple[tuple[Server, str], ...]
    stale_ds: tuple[str, ...] | None
    message: str

    @property
    def is_proved(self) -> bool:
        """Whether the domain is delegated to the zone, and the zone is the claimant's."""
        return self.delegation.verdict == "matches" and self.proof == "proved"

    @property
    def is_delegated_elsewhere(self) -> bool:
        """Whether the zone above names none of the zone's nameservers any more."""
        is_known = self.delegation.verdict in {"missing", "differs"}
        return is_known and not _is_shared(self.delegation)

    @property
    def is_kept(self) -> bool:
        """Whether somebody who was verified still controls it: one nameserver is enough."""
        return _is_shared(self.delegation) and self.proof in {"proved", "partly"}


async def observe_control(
    client: DNSClient,
    claims: Sequence[Claim],
    *,
    roots: Sequence[Server],
    port: int = 53,
    within: float | None = None,
) -> list[ControlReport]:
    """Ask for the proof of these claims, five at a time; the reports come in their order.

    Servers found on the way are asked on `port`. `within`: seconds for all of them together; what
    is not known by then is "unknown".
    """
    loop = asyncio.get_running_loop()
    end = None if within is None else loop.time() + within

    def left() -> float | None:
        return None if end is None else max(0.1, end - loop.time())

    pairs = [(claim.domain, claim.nameservers) for claim in claims]
    delegations = await observe_delegations(client, pairs, roots=roots, port=port, within=within)
    names = [claim.domain for claim in claims]
    tree, room = Tree(client, roots, port), asyncio.Semaphore(ASKED_AT_ONCE)

    async def bounded[T](work: Awaitable[T], otherwise: T) -> T:
        async with room:
            try:
                return await asyncio.wait_for(work, min(PATIENCE, left() or PATIENCE))
            except TimeoutError:
                return otherwise

    async def prove(claim: Claim, delegation: DelegationReport) -> list[tuple[Server, Answer]]:
        if not _is_shared(delegation):
            return []
        return await bounded(_ask_for_token(Walk(tree), claim), [])

    async def compare(claim: Claim, signers: SignerReport) -> tuple[str, ...] | None:
        if not signers.found:
            return signers.found
        return await bounded(_stale_ds(Walk(tree), claim, signers.found), None)

    signers, replies = await asyncio.gather(
        observe_signers(client, names, roots=roots, port=port, within=left()),
        asyncio.gather(*map(prove, claims, delegations)),
    )
    stale = await asyncio.gather(*map(compare, claims, signers))
    return [
        _judge(*seen) for seen in zip(claims, delegations, replies, signers, stale, strict=True)
    ]


def _is_shared(delegation: DelegationReport) -> bool:
    """Whether the domain is delegated to at least one of the zone's nameservers."""
    return bool(set(delegation.found) & set(delegation.expected))


async def _ask_for_token(walk: Walk, claim: Claim) -> list[tuple[Server, Answer]]:
    """What the zone's nameservers among the delegated ones say about the proof's name."""
    domain = canonical_name(claim.domain)
    ours = await _delegated_of(walk, claim)
    return await walk.ask_all(Zone(domain, ours), proof_name(domain), "TXT")


async def _delegated_of(walk: Walk, claim: Claim) -> tuple[Server, ...]:
    """The zone's nameservers to which the domain is delegated, where everybody finds them."""
    expected = {canonical_name(host) for host in claim.nameservers}
    zone = await walk.servers_of(canonical_name(claim.domain))
    return tuple(server for server in zone.servers if server.name in expected)


async def _stale_ds(walk: Walk, claim: Claim, found: Sequence[str]) -> tuple[str, ...] | None:
    """These DS records where the zone, asked at its own nameservers, has no key that one fits."""
    domain = canonical_name(claim.domain)
    servers = await _delegated_of(walk, claim)
    if not servers:  # the nameservers are not changed yet
        servers = await walk.addresses_of([canonical_name(host) for host in claim.nameservers])
    replies = await walk.ask_all(Zone(domain, servers), domain, "DNSKEY")
    useful = [answer for _, answer in replies if answer.authoritative and _is_final(answer)]
    if not useful:
        return None
    keys = {key for answer in useful for key in answer.values}
    known = [ds for ds in found if _is_understood(ds)]
    if any(_fits(domain, ds, key) for ds in known for key in keys):
        return ()
    return tuple(known)


def _is_final(answer: Answer) -> bool:
    return answer.status in {"answer", "nodata"}


def _is_understood(ds: str) -> bool:
    """Whether validators know the digest; they ignore what they do not (RFC 4509 §3)."""
    return ds.split()[2] in {"1", "2", "4"}


def _fits(domain: str, ds: str, key: str) -> bool:
    """Whether a DS record is of this key (RFC 4034 §5.2)."""
    try:
        wanted: Any = dns.rdata.from_text("IN", "DS", ds)
        made = dns.dnssec.make_ds(
            dns.name.from_text(domain),
            dns.rdata.from_text("IN", "DNSKEY", key),
            wanted.digest_type,
            validating=True,
        )
    except (ValueError, dns.exception.DNSException):
        return False
    return bool(made == wanted)


# --- The verdict -----------------------------------------------------------------------------


def _token_seen(answer: Answer, text: str) -> bool | None:
    """Whether one nameserver has the token; `None` where it is no use."""
    if answer.status == "unknown" or (answer.status == "answer" and not answer.authoritative):
        return None
    return answer.status == "answer" and not answer.aliases and text in answer.values


def _judge(
    claim: Claim,
    delegation: DelegationReport,
    replies: Sequence[tuple[Server, Answer]],
    signers: SignerReport,
    stale: tuple[str, ...] | None,
) -> ControlReport:
    text = proof_text(claim.token)
    views = [(server, answer, _token_seen(answer, text)) for server, answer in replies]
    seen = {view for _, _, view in views if view is not None}
    proof: Proof = "not_asked"
    if _is_shared(delegation):
        proof = "unknown" if not seen else "partly" if len(seen) == 2 else "missing"
        proof = "proved" if seen == {True} else proof
    told = {True: "has the record", False: "does not have the record"}
    return ControlReport(
        claim=claim,
        delegation=delegation,
        proof=proof,
        asked=tuple(
            (server, answer.why or "no usable answer" if view is None else told[view])
            for server, answer, view in views
        ),
        stale_ds=stale,
        message=" ".join(
            sentence
            for sentence in (
                delegation.message,
                _proof_sentence(claim, proof, views),
                _ds_sentence(claim, signers, stale),
            )
            if sentence
        ),
    )


def _proof_sentence(
    claim: Claim, proof: Proof, views: Sequence[tuple[Server, Answer, bool | None]]
) -> str:
    name = proof_name(claim.domain)
    without = ", ".join(str(server) for server, _, view in views if view is False)
    match proof:
        case "missing":
            return (
                f"These nameservers do not answer with the TXT record {name} that we wrote into "
                "your zone, so they do not show yet that the domain is yours."
            )
        case "partly":
            return f"Not every nameserver has the TXT record {name} yet; missing at {without}."
        case "unknown":
            return (
                f"None of its nameservers answered when asked for the TXT record {name}. This says "
                "nothing about the domain; they will be asked again."
            )
    return ""


def _ds_sentence(claim: Claim, signers: SignerReport, stale: tuple[str, ...] | None) -> str:
    """What must be removed at the registrar, or resolvers that validate refuse the domain."""
    if not stale:
        return ""
    tags = " and ".join(sorted({ds.split()[0] for ds in stale}))
    which = "a DS record" if len(stale) == 1 else f"{len(stale)} DS records"
    them = "it" if len(stale) == 1 else "them"
    above = zone_text(signers.parent)
    return (
        f"{above[:1].upper()}{above[1:]} has {which} for {claim.domain} (key tag {tags}) that "
        f"belongs to no key of its zone here. Remove {them} at your registrar, where {them} may be "
        "called DNSSEC: until then, resolvers that validate answer SERVFAIL and the domain does "
        "not work."
    )
