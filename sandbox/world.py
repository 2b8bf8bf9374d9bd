"""What the DNS shows, now and a while ago: delegations, hosted zones, and the answers they give."""

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from . import internet
from .internet import Records, ancestors
from .nodes import Node, nodes_of_file, rrset_of, synthesized
from .records import Record
from .store import Store
from .timeline import Timeline

MAX_CHAIN = 8  # CNAMEs followed
SOA_TTL = 1800
DS_TTL = 30  # short, so that nobody here waits for the hours that it is outside


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One DNS answer. `authoritative` as the AA bit says when a nameserver gives it.

    `is_fleeting`: nobody tells us when it changes, so it must not be kept.
    """

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    answer: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()
    additional: tuple[dns.rrset.RRset, ...] = ()
    authoritative: bool = True
    is_fleeting: bool = False

    def says_the_same(self, other: "Answer") -> bool:
        """Whether a client learns the same; serial numbers and TTLs do not count."""
        return self.rcode == other.rcode and self.answer == other.answer


@dataclass(frozen=True, kw_only=True)
class HostedZone:
    """One zone as the nameservers that it was assigned serve it."""

    id: str
    name: str
    nameservers: tuple[str, ...]
    active: bool
    serial: int
    nodes: Mapping[str, Node]

    @cached_property
    def parents(self) -> frozenset[str]:
        """Names that exist only because there are names below them."""
        return frozenset(parent for name in self.nodes for parent in ancestors(name))

    def rrsets(self, name: str) -> Records | None:
        """The records of a name, the apex NS and SOA included; `None` if it does not exist."""
        node = self.nodes.get(name)
        found = node.rrsets if node else {} if name in self.parents else None
        if name == self.name:
            return {**(found or {}), **self._apex}
        return found if found is not None else self._from_wildcard(name)

    def _from_wildcard(self, name: str) -> Records | None:
        """What a wildcard gives for a name that does not exist (RFC 4592 §3.3)."""
        for encloser in ancestors(name):
            if encloser == self.name or encloser in self.nodes or encloser in self.parents:
                node = self.nodes.get(f"*.{encloser}")
                return synthesized(node, name) if node else None
        return None

    @cached_property
    def _apex(self) -> Records:
        nameservers = _nameservers(self.name, self.nameservers)
        soa = _soa(self.name, self.nameservers[0], self.serial)
        return {RdataType.NS: nameservers, RdataType.SOA: soa}

    @property
    def soa(self) -> dns.rrset.RRset:
        return self._apex[RdataType.SOA]

    def transfer(self) -> Answer:
        """The whole zone (RFC 5936)."""
        found = [rrset for rrset in self._apex.values() if rrset is not self.soa]
        found += [rrset for node in self.nodes.values() for rrset in node.rrsets.values()]
        return Answer(answer=(self.soa, *found, self.soa))

    def answer(self, name: str, kind: RdataType) -> Answer:
        """Answer with authority, following aliases inside the zone (RFC 1034 §4.3.2)."""
        chain: list[dns.rrset.RRset] = []
        while len(chain) <= MAX_CHAIN:
            cut = self._cut_above(name, kind)
            if cut is not None:
                return Answer(
                    answer=tuple(chain),
                    authority=(cut,),
                    additional=self._glue(cut),
                    authoritative=False,
                )
            rrsets = self.rrsets(name)
            if rrsets is None:
                return Answer(rcode=dns.rcode.NXDOMAIN, answer=tuple(chain), authority=(self.soa,))
            found = matching(rrsets, kind)
            if found:
                return Answer(answer=(*chain, *found))
            alias = rrsets.get(RdataType.CNAME)
            if alias is None:
                return Answer(answer=tuple(chain), authority=(self.soa,))
            chain.append(alias)
            name = text_of(alias[0].target)
            if name != self.name and not name.endswith(f".{self.name}"):
                break
        return Answer(answer=tuple(chain))

    def _glue(self, cut: dns.rrset.RRset) -> tuple[dns.rrset.RRset, ...]:
        hosts = [self.nodes.get(text_of(rdata.target)) for rdata in cut]
        return tuple(
            rrset
            for node in hosts
            if node
            for kind, rrset in node.rrsets.items()
            if kind in (RdataType.A, RdataType.AAAA)
        )

    def _cut_above(self, name: str, kind: RdataType) -> dns.rrset.RRset | None:
        """The NS records of a delegation inside the zone that the name lies in or below."""
        for owner in (name, *ancestors(name)):
            if owner == self.name:
                return None
            node = self.nodes.get(owner)
            if node and RdataType.NS in node.rrsets and (owner, kind) != (name, RdataType.NS):
                return node.rrsets[RdataType.NS]
        return None


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A domain at one moment. `delegation` is `None` while it is not registered."""

    name: str
    delegation: tuple[str, ...] | None = None
    ds_records: tuple[str, ...] = ()
    zones: tuple[HostedZone, ...] = ()
    elsewhere: HostedZone | None = None  # as another DNS host has it

    @cached_property
    def signer(self) -> Answer:
        """What the registry says about the domain's keys: DS records are the parent's."""
        if not self.ds_records:
            return parent_answer(self.name, RdataType.DS, domains_below=True)
        return Answer(answer=(rrset_of(self.name, DS_TTL, "DS", *self.ds_records),))

    @property
    def hosted(self) -> HostedZone | None:
        """The zone that our nameservers answer from: the active one, else the oldest."""
        return next((zone for zone in self.zones if zone.active), next(iter(self.zones), None))

    @cached_property
    def delegated_zone(self) -> HostedZone | None:
        """The zone that resolvers reach by following the delegation."""
        delegation = set(self.delegation or ())
        shared = [(len(delegation & set(zone.nameservers)), zone) for zone in self.zones]
        count, zone = max(shared, key=lambda found: found[0], default=(0, None))
        return zone if count else None

    @cached_property
    def referral(self) -> Answer:
        """What the registry says about the domain and all below it."""
        nameservers = self.delegation or ()
        glue = (
            internet.FIXED_NAMES[name][RdataType.A]
            for name in nameservers
            if RdataType.A in internet.FIXED_NAMES.get(name, {})
        )
        return Answer(
            authority=(_nameservers(self.name, nameservers),),
            additional=tuple(glue),
            authoritative=False,
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is delegated to a PowerDNS beside the sandbox."""
        return bool(set(self.delegation or ()) & set(internet.POWERDNS_NAMES))

    def resolve(self, name: str, kind: RdataType) -> Answer:
        """What a resolver learns by following the delegation.

        The other host and nameservers outside the sandbox serve an empty zone where they have
        none, as a registrar's parking does; those inside that do not know the domain refuse, so
        the resolver fails. It fails too where a zone delegates further, since nobody serves what
        is below.
        """
        if self.delegation is None:
            return parent_answer(name, kind)
        if kind == RdataType.DS and name == self.name:
            return self.signer
        if self.delegated_zone is not None:
            answer = self.delegated_zone.answer(name, kind)
            return answer if answer.authoritative else Answer(rcode=dns.rcode.SERVFAIL)
        if set(self.delegation) & set(internet.OTHER_NAMES):
            answer = self.other_zone.answer(name, kind)
            return answer if answer.authoritative else Answer(rcode=dns.rcode.SERVFAIL)
        if any(nameserver in internet.FIXED_NAMES for nameserver in self.delegation):
            return Answer(rcode=dns.rcode.SERVFAIL)
        return self._parked_zone.answer(name, kind)

    @property
    def other_zone(self) -> HostedZone:
        """The zone that the other DNS host serves."""
        return self.elsewhere or self._parked_zone

    @cached_property
    def _parked_zone(self) -> HostedZone:
        nameservers = self.delegation or internet.PARKING
        return HostedZone(
            id="", name=self.name, nameservers=nameservers, active=True, serial=1, nodes={}
        )


class World:
    """Every domain that was ever heard of, each with its past.

    `ask_elsewhere`: what the nameservers say of a domain that is delegated to a PowerDNS.
    """

    def __init__(self, store: Store, ask_elsewhere: Callable[[str, RdataType], Answer]) -> None:
        self._store = store
        self._ask_elsewhere = ask_elsewhere
        self._timelines: dict[str, Timeline[Domain]] = {}
        self._parents: set[str] = set()
        self.generation = 0  # counts changes, for whoever keeps answers
        self.load()

    def load(self) -> None:
        """Forget the past and take the present from the store."""
        self._timelines.clear()
        self._parents.clear()
        for row in self._store.rows("SELECT domain FROM registration"):
            domain = row["domain"]
            self._timelines[domain] = Timeline(self._present(Domain(name=domain), "", ()))
            self._parents.update(ancestors(domain))
        self.generation += 1

    def publish(self, domain: str, *, zone_id: str = "", names: Collection[str] = ()) -> None:
        """Show the store's present state of a domain from now on.

        Of the records of a known zone, only `names` in `zone_id` are read again.
        """
        timeline = self._timelines.setdefault(domain, Timeline(Domain(name=domain)))
        timeline.set(self._present(timeline.latest, zone_id, names), time.time())
        self._parents.update(ancestors(domain))
        self.generation += 1

    def find(self, name: str) -> Timeline[Domain] | None:
        """The domain that a name lies in or is."""
        for candidate in (name, *ancestors(name)):
            found = self._timelines.get(candidate)
            if found is not None:
                return found
        return None

    def registry_answer(self, name: str, kind: RdataType) -> Answer:
        """What the servers of the root and of every parent zone answer now."""
        timeline = self.find(name)
        if timeline is None or timeline.latest.delegation is None:
            return parent_answer(name, kind, domains_below=name in self._parents)
        if kind == RdataType.DS and name == timeline.latest.name:
            return timeline.latest.signer
        return timeline.latest.referral

    def hosting_answer(self, name: str, kind: RdataType) -> Answer:
        """What the nameservers of the DNS host answer now."""
        timeline = self.find(name)
        zone = timeline.latest.hosted if timeline else None
        if zone is None:
            return Answer(rcode=dns.rcode.REFUSED, authoritative=False)
        return zone.answer(name, kind)

    def other_answer(self, name: str, kind: RdataType) -> Answer:
        """What the nameservers of the other DNS host answer now, transfers included."""
        timeline = self.find(name)
        if timeline is None:
            return Answer(rcode=dns.rcode.REFUSED, authoritative=False)
        zone = timeline.latest.other_zone
        if kind != RdataType.AXFR:
            return zone.answer(name, kind)
        allowed = self._store.value("SELECT transfer FROM elsewhere WHERE domain = ?", name)
        if not allowed:
            return Answer(rcode=dns.rcode.REFUSED, authoritative=False)
        return zone.transfer()

    def resolve(
        self, name: str, kind: RdataType, at: float
    ) -> tuple[Answer, tuple[Timeline[Domain], ...]]:
        """What a resolver that sees the world as of `at` answers, and whose past decided it."""
        chain: list[dns.rrset.RRset] = []
        seen: list[Timeline[Domain]] = []
        is_fleeting = False
        while True:
            timeline = self.find(name)
            if timeline is None:
                answer = parent_answer(name, kind, domains_below=name in self._parents)
            else:
                seen.append(timeline)
                domain = timeline.at(at)
                if domain.is_elsewhere and (kind, name) != (RdataType.DS, domain.name):
                    answer = self._ask_elsewhere(name, kind)
                else:
                    answer = domain.resolve(name, kind)
            chain.extend(answer.answer)
            is_fleeting = is_fleeting or answer.is_fleeting
            last = chain[-1] if answer.answer else None
            unfinished = (
                last is not None
                and last.rdtype == RdataType.CNAME
                and kind not in (RdataType.CNAME, RdataType.ANY)
                and not answer.authority
            )
            if last is None or not unfinished or len(chain) > MAX_CHAIN:
                break
            name = text_of(last[0].target)
        whole = Answer(
            rcode=answer.rcode,
            answer=tuple(chain),
            authority=answer.authority,
            is_fleeting=is_fleeting,
        )
        return whole, tuple(seen)

    def _present(self, before: Domain, zone_id: str, names: Collection[str]) -> Domain:
        nameservers = self._store.value(
            "SELECT nameservers FROM registration WHERE domain = ?", before.name
        )
        ds_records = self._store.value(
            "SELECT records FROM delegation_signer WHERE domain = ?", before.name
        )
        known = {zone.id: zone for zone in before.zones}
        zones = []
        for row in self._store.rows(
            "SELECT * FROM zone WHERE name = ? ORDER BY created_on", before.name
        ):
            was = known.get(row["id"])
            changed = names if was and row["id"] == zone_id else () if was else None
            zone = HostedZone(
                id=row["id"],
                name=row["name"],
                nameservers=tuple(json.loads(row["nameservers"])),
                active=row["status"] == "active",
                serial=was.serial + bool(changed) if was else int(row["modified_on"]),
                nodes=self._nodes(row["id"], was.nodes if was else {}, changed),
            )
            zones.append(zone)
        return Domain(
            name=before.name,
            delegation=tuple(json.loads(nameservers)) if nameservers else None,
            ds_records=tuple(json.loads(ds_records)) if ds_records else (),
            zones=tuple(zones),
            elsewhere=self._elsewhere(before.name),
        )

    def _elsewhere(self, domain: str) -> HostedZone | None:
        text = self._store.value("SELECT zone_file FROM elsewhere WHERE domain = ?", domain)
        if text is None:
            return None
        return HostedZone(
            id="",
            name=domain,
            nameservers=internet.ELSEWHERE,
            active=True,
            serial=1,
            nodes=nodes_of_file(domain, text),
        )

    def _nodes(
        self, zone_id: str, before: Mapping[str, Node], names: Collection[str] | None
    ) -> Mapping[str, Node]:
        """The nodes of a zone: `before` with `names` read again, or all if `names` is `None`."""
        if names is not None and not names:
            return before
        by_name: dict[str, list[Record]] = {}
        rows = []
        if names is None:
            rows = self._store.rows("SELECT * FROM record WHERE zone_id = ?", zone_id)
        else:
            for name in names:
                rows += self._store.rows(
                    "SELECT * FROM record WHERE zone_id = ? AND name = ?", zone_id, name
                )
        for row in rows:
            by_name.setdefault(row["name"], []).append(Record.from_row(row))
        nodes = dict(before)
        for name in names or ():
            nodes.pop(name, None)
        nodes.update((name, Node(name, records)) for name, records in by_name.items())
        return nodes


def parent_answer(name: str, kind: RdataType, *, domains_below: bool = False) -> Answer:
    """What the root and the parent zones say about a name that lies in no registered domain.

    The root, every one-label name and every name above a registered domain (`domains_below`)
    exist; all are served by the one registry.
    """
    top = name.rsplit(".", 1)[-1]
    soa = _soa(top, internet.REGISTRY_NAME, 1)
    rrsets = internet.fixed_records(name)
    if rrsets is None and ("." not in name or domains_below):
        rrsets = {}
    if rrsets is None:
        return Answer(rcode=dns.rcode.NXDOMAIN, authority=(soa,))
    if name == top:
        nameservers = _nameservers(name, (internet.REGISTRY_NAME,))
        rrsets = {**rrsets, RdataType.NS: nameservers, RdataType.SOA: soa}
    found = matching(rrsets, kind)
    return Answer(answer=found) if found else Answer(authority=(soa,))


def matching(rrsets: Records, kind: RdataType) -> tuple[dns.rrset.RRset, ...]:
    """The records of the type asked for; ANY asks for all."""
    if kind == RdataType.ANY:
        return tuple(rrsets.values())
    found = rrsets.get(kind)
    return (found,) if found is not None else ()


def text_of(name: dns.name.Name) -> str:
    """A name as the key under which we keep it: lower case, no trailing dot, the root empty."""
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _nameservers(name: str, nameservers: Iterable[str]) -> dns.rrset.RRset:
    return rrset_of(name, 86_400, "NS", *(f"{nameserver}." for nameserver in nameservers))


def _soa(name: str, nameserver: str, serial: int) -> dns.rrset.RRset:
    text = f"{nameserver}. dns.cloudflare-sandbox.test. {serial} 10000 2400 604800 {SOA_TTL}"
    return rrset_of(name, SOA_TTL, "SOA", text)
