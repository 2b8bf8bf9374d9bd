"""From the root servers down to the zone that a name lies in, as a resolver finds it.

The referrals are followed label by label (RFC 9156). Caches are not asked: they tell the past.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mpanel.dns.client import Answer, DNSClient, Question, Server
from mpanel.dns.messages import is_within

_SERVERS = 6  # servers asked per zone, at most
_HEDGE = 0.7  # seconds before the next server is asked beside one that is slow
_QUESTIONS = 60  # per domain, at most: hostile delegations can be made endless
_DEPTH = 3  # a nameserver's name may need another's address, which may need another's


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone and servers that are said to serve it. `why` there are none."""

    name: str
    servers: tuple[Server, ...]
    why: str = ""


class Tree:
    """The zones met so far, from the root down; shared by the domains of a batch."""

    def __init__(self, client: DNSClient, roots: Sequence[Server], port: int) -> None:
        self.client = client
        self.port = port
        self.zones = {".": Zone(".", tuple(roots))}
        # Glue may say anything. Only with roots inside a private network are addresses in there
        # followed: else a customer could have us question our own network.
        self._private_too = not all(ipaddress.ip_address(root.address).is_global for root in roots)

    def may_ask(self, address: str) -> bool:
        return self._private_too or ipaddress.ip_address(address).is_global


class Walk:
    """The way down to one domain."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._questions_left = _QUESTIONS

    async def parent_of(self, name: str, chain: tuple[str, ...] = ()) -> Zone:
        """The closest zone above a name. `chain`: hosts whose addresses wait for this."""
        labels = name.split(".")
        zone = self._tree.zones["."]
        for start in range(len(labels) - 1, 0, -1):
            ancestor = ".".join(labels[start:])
            zone = await self._descend(zone, ancestor, chain)
        return zone

    async def servers_of(self, name: str) -> Zone:
        """The zone that starts at a name, with the servers to which it is delegated.

        Without servers where none starts there.
        """
        zone = await self._descend(await self.parent_of(name), name, ())
        if zone.name == name:
            return zone
        return Zone(name, (), zone.why or f"{name} is not delegated")

    async def addresses_of(self, hosts: Sequence[str]) -> tuple[Server, ...]:
        """One server for each of these nameservers whose address can be found."""
        return (await self.zone("", hosts, Answer("unknown"))).servers

    async def _descend(self, zone: Zone, name: str, chain: tuple[str, ...]) -> Zone:
        """The zone that starts at the name, or the one given if none starts there."""
        known = self._tree.zones.get(name)
        if known is not None:
            return known
        if not zone.servers:
            return zone
        answer = await self._first(zone, name, "NS")
        if answer.status == "unknown":
            return replace(zone, servers=(), why=answer.why)
        if answer.status == "referral":
            below = await self._zone(answer.zone, answer.nameservers, answer, chain)
        elif answer.status == "answer" and not answer.aliases:
            # The servers of this zone have the one below too, and know its nameservers.
            below = await self._zone(name, answer.values, answer, chain)
            below = below if below.servers else replace(zone, name=name)
        else:
            return zone  # no cut here; also "nxdomain", which some say of names between (RFC 8020)
        if below.servers:
            self._tree.zones[below.name] = below
        return below if below.name == name else await self._descend(below, name, chain)

    async def zone(self, name: str, nameservers: Sequence[str], answer: Answer) -> Zone:
        """A zone of these nameservers; `answer` has their glue."""
        return await self._zone(name, nameservers, answer, ())

    async def _zone(
        self, name: str, nameservers: Sequence[str], answer: Answer, chain: tuple[str, ...]
    ) -> Zone:
        """A zone with one server for each of its nameservers, by glue or by asking for it."""
        names = nameservers[:_SERVERS]
        glue: dict[str, list[str]] = {}
        for host, address in answer.addresses:
            glue.setdefault(host, []).append(address)
        asked = await asyncio.gather(
            *(self._addresses(host, chain) for host in names if host not in glue)
        )
        glue |= dict(zip((host for host in names if host not in glue), asked, strict=True))
        servers = []
        for host in names:
            usable = [address for address in glue[host] if self._tree.may_ask(address)]
            if usable:
                ipv4_first = min(usable, key=lambda address: (":" in address, address))
                servers.append(Server(ipv4_first, self._tree.port, host))
        return Zone(name, tuple(servers), f"no nameserver of {name} has an address that answers")

    async def _addresses(self, host: str, chain: tuple[str, ...]) -> list[str]:
        """The addresses of a nameserver without glue. Empty if they cannot be found."""
        if host in chain or len(chain) >= _DEPTH:
            return []
        chain = (*chain, host)
        zone = await self._descend(await self.parent_of(host, chain), host, chain)
        for rdtype in ("A", "AAAA"):
            answer = await self._first(zone, host, rdtype)
            if any(map(self._tree.may_ask, answer.values)):
                return list(answer.values)
        return []

    async def _first(self, zone: Zone, name: str, rdtype: str) -> Answer:
        """The first useful answer of the zone's servers; a slow one is overtaken by the next."""
        servers = iter(zone.servers)
        pending: set[asyncio.Task[Answer]] = set()
        last = Answer("unknown", why=zone.why)
        try:
            while True:
                server = next(servers, None)
                if server is not None:
                    pending.add(asyncio.create_task(self._ask(server, name, rdtype)))
                if not pending:
                    return last
                done, pending = await asyncio.wait(
                    pending,
                    timeout=None if server is None else _HEDGE,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    last = checked(task.result(), zone, name)
                    if last.status != "unknown":
                        return last
        finally:
            for task in pending:
                task.cancel()

    async def _ask(self, server: Server, name: str, rdtype: str) -> Answer:
        if self._questions_left <= 0:
            return Answer("unknown", why=f"more than {_QUESTIONS} questions were needed")
        self._questions_left -= 1
        return await self._tree.client.ask(server, name, rdtype, recursive=False)

    async def ask_all(
        self, zone: Zone, name: str, rdtype: str = "NS"
    ) -> list[tuple[Server, Answer]]:
        """What every server of the zone says about a name, by default about its nameservers."""
        servers = zone.servers[:_SERVERS]
        answers = await self._tree.client.ask_many(
            Question(server, name, rdtype, recursive=False) for server in servers
        )
        return [
            (server, checked(answer, zone, name))
            for server, answer in zip(servers, answers, strict=True)
        ]


def checked(answer: Answer, zone: Zone, name: str) -> Answer:
    """The answer, or "unknown" if it shows that the server does not serve the zone (RFC 8499).

    Such a server refers up or aside, or denies the name without authority.
    """
    if answer.status in {"nodata", "nxdomain"} and not answer.authoritative:
        return Answer("unknown", why=f"does not serve {zone_text(zone.name)}")
    if answer.status != "referral":
        return answer
    leads_down = answer.zone != zone.name and is_within(answer.zone, zone.name)
    if leads_down and is_within(name, answer.zone):
        return answer
    return Answer("unknown", why=f"referred to {answer.zone}")


def zone_text(zone: str) -> str:
    """The zone, in a sentence."""
    return "the root zone" if zone == "." else f"the {zone} zone"
