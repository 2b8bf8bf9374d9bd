"""The DNS servers: the registry, the host's two nameservers, and four resolvers with caches."""

import asyncio
import contextlib
import math
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rrset
from dns.rdatatype import RdataType

from . import internet
from .journal import Journal
from .store import Store
from .timeline import KEEP_SECONDS
from .world import Answer, World, text_of

STATES = ("up", "down", "servfail", "slow")
DEFAULT_DELAYS = (2.0, 5.0, 9.0, 14.0)  # seconds that each resolver lags behind
OUR_PAYLOAD = 1232  # https://www.dnsflagday.net/2020/
PLAIN_PAYLOAD = 512  # RFC 1035 §4.2.1
HEADER_LENGTH = 12
TCP_IDLE = 30.0  # seconds
RENDERED_LIMIT = 50_000  # wire answers kept per server


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """An answer, the ceiling of its TTLs, and the Unix time until which it may be repeated."""

    answer: Answer
    max_ttl: int | None = None
    until: float = math.inf


class InvalidState(Exception):
    """A nameserver has no such state, address or delay."""


class Nameserver:
    """One server on its own loopback address. Subclasses decide what it answers."""

    recursive = False

    def __init__(self, address: str, world: World, journal: Journal) -> None:
        self.address = address
        self.state = "up"
        self.slowness = 0.0  # seconds, while the state is "slow"
        self._world = world
        self._journal = journal
        self._rendered: dict[bytes, tuple[bytes, float]] = {}
        self._rendered_at = -1

    def decide(self, name: str, kind: RdataType) -> Verdict:
        """What to answer now to a question of class IN."""
        raise NotImplementedError

    def reply(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The answer to a query as bytes; `None` for what deserves none."""
        self._journal.count("dns", "QUERY", self.address)
        if len(wire) < HEADER_LENGTH or wire[2] & 0x80:  # too short, or itself an answer
            return None
        # All but the id: the same question gets the same bytes until something changes.
        key = wire[2:] if udp else b"\0\0" + wire[2:]
        self._forget_stale()
        known = self._rendered.get(key)
        if known and known[1] > time.time() and self.state != "servfail":
            return wire[:2] + known[0]
        verdict, reply = self._render(wire, udp=udp)
        if verdict and reply:
            self._rendered[key] = (reply[2:], verdict.until)
        return reply

    def _forget_stale(self) -> None:
        stale = self._rendered_at != self._world.generation
        if stale or len(self._rendered) > RENDERED_LIMIT:
            self._rendered.clear()
            self._rendered_at = self._world.generation

    def forget(self) -> None:
        """Answer everything anew, after a setting of this server changed."""
        self._rendered_at = -1

    def _render(self, wire: bytes, *, udp: bool) -> tuple[Verdict | None, bytes | None]:
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None, _bare_error(wire, dns.rcode.FORMERR)
        if query.opcode() != dns.opcode.QUERY:
            return None, _bare_error(wire, dns.rcode.NOTIMP)
        if len(query.question) != 1:
            return None, _bare_error(wire, dns.rcode.FORMERR)
        response = dns.message.make_response(
            query, recursion_available=self.recursive, our_payload=OUR_PAYLOAD
        )
        question = query.question[0]
        verdict = None
        if self.state == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif question.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
        else:
            verdict = self.decide(text_of(question.name), question.rdtype)
            self._fill(response, verdict)
        limit = max(query.payload, PLAIN_PAYLOAD) if udp else 65_535
        return verdict, response.to_wire(max_size=limit, prefer_truncation=True)

    def _fill(self, response: dns.message.Message, verdict: Verdict) -> None:
        answer = verdict.answer
        response.set_rcode(answer.rcode)
        if answer.authoritative and not self.recursive:
            response.flags |= dns.flags.AA
        response.answer = [_limited(rrset, verdict.max_ttl) for rrset in answer.answer]
        response.authority = [_limited(rrset, verdict.max_ttl) for rrset in answer.authority]
        response.additional = list(answer.additional)


class RegistryServer(Nameserver):
    """The root and every parent zone: it refers to the nameservers of a domain."""

    def decide(self, name: str, kind: RdataType) -> Verdict:
        return Verdict(answer=self._world.registry_answer(name, kind))


class HostingServer(Nameserver):
    """A nameserver of the DNS host: it answers with authority from the zones hosted there."""

    def decide(self, name: str, kind: RdataType) -> Verdict:
        return Verdict(answer=self._world.hosting_answer(name, kind))


class OtherServer(Nameserver):
    """The nameserver of another DNS host, at which domains are before they come here."""

    def decide(self, name: str, kind: RdataType) -> Verdict:
        return Verdict(answer=self._world.other_answer(name, kind))


class Resolver(Nameserver):
    """A recursive resolver whose cache lags `delay` seconds behind.

    After a change it repeats the old answer until the delay has passed, and its TTLs count down to
    that moment, as those of a cached record do.
    """

    recursive = True

    def __init__(self, address: str, world: World, journal: Journal, delay: float) -> None:
        super().__init__(address, world, journal)
        self.delay = delay

    def decide(self, name: str, kind: RdataType) -> Verdict:
        now = time.time()
        past = now - self.delay
        answer, domains = self._world.resolve(name, kind, past)
        if answer.is_fleeting:
            return Verdict(answer=answer, until=now)
        changes = sorted({at for domain in domains for at in domain.changes(past, now)})
        for at in changes:
            later, _ = self._world.resolve(name, kind, at)
            if not answer.says_the_same(later):
                left = at + self.delay - now
                ttl = max(1, math.ceil(left))
                return Verdict(answer=answer, max_ttl=ttl, until=now + left - (ttl - 1))
        # Changes that alter nothing here may still be followed by some that do.
        until = changes[0] + self.delay if changes else math.inf
        return Verdict(answer=answer, until=until)


def _limited(rrset: dns.rrset.RRset, ttl: int | None) -> dns.rrset.RRset:
    if ttl is None or rrset.ttl <= ttl:
        return rrset
    return dns.rrset.from_rdata_list(rrset.name, ttl, list(rrset))


def _bare_error(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A header alone that says what is wrong with a query that cannot be read."""
    opcode_and_rd = wire[2] & 0x79
    return wire[:2] + bytes((0x80 | opcode_and_rd, rcode)) + bytes(8)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Nameserver) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._server.state == "slow":
            asyncio.get_running_loop().call_later(self._server.slowness, self._answer, data, addr)
        else:
            self._answer(data, addr)

    def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._server.state == "down" or self._transport.is_closing():
            return
        reply = self._server.reply(data, udp=True)
        if reply and isinstance(self._transport, asyncio.DatagramTransport):
            self._transport.sendto(reply, addr)


def _tcp(
    server: Nameserver,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A connection handler: each message is preceded by its length (RFC 1035 §4.2.2)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while server.state != "down":
                async with asyncio.timeout(TCP_IDLE):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                if server.state == "slow":
                    await asyncio.sleep(server.slowness)
                reply = server.reply(wire, udp=False)
                if reply is None or server.state == "down":
                    break
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        writer.close()

    return serve


class DnsServers:
    """All DNS servers of the sandbox, by address."""

    def __init__(
        self, world: World, store: Store, journal: Journal, delays: Mapping[str, float]
    ) -> None:
        self._store = store
        self.resolvers = [
            Resolver(address, world, journal, delay) for address, delay in delays.items()
        ]
        servers: list[Nameserver] = [
            RegistryServer(internet.REGISTRY_ADDRESS, world, journal),
            *(HostingServer(address, world, journal) for address in internet.HOSTING_ADDRESSES),
            OtherServer(internet.OTHER_ADDRESS, world, journal),
            *self.resolvers,
        ]
        self.servers = {server.address: server for server in servers}
        self._transports: list[asyncio.DatagramTransport] = []
        self._listeners: list[asyncio.Server] = []
        self.load()

    def load(self) -> None:
        """Put every server into the state that the store remembers."""
        for server in self.servers.values():
            row = self._store.row("SELECT * FROM nameserver WHERE address = ?", server.address)
            server.state = row["state"] if row else "up"
            server.slowness = row["delay"] if row else 0.0
            server.forget()

    async def start(self, port: int) -> None:
        """Listen on UDP and TCP. Raises `OSError` if an address is taken."""
        loop = asyncio.get_running_loop()
        for server in self.servers.values():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # A propagation sweep asks thousands of questions at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
            sock.setblocking(False)
            sock.bind((server.address, port))
            transport, _ = await loop.create_datagram_endpoint(
                lambda server=server: _Udp(server),  # type: ignore[misc]
                sock=sock,
            )
            self._transports.append(transport)
            self._listeners.append(await asyncio.start_server(_tcp(server), server.address, port))

    async def stop(self) -> None:
        for transport in self._transports:
            transport.close()
        for listener in self._listeners:
            listener.close()

    def set_state(self, address: str, state: str, *, delay: float = 2.0) -> None:
        """Break or mend one server: "down" is silent, "slow" takes `delay` seconds to answer.

        Raises `InvalidState`.
        """
        server = self.servers.get(address)
        if server is None or state not in STATES or not 0 <= delay <= 60:
            raise InvalidState(f"address: one of {list(self.servers)}; state: one of {STATES}")
        self._store.write(
            "INSERT INTO nameserver (address, state, delay) VALUES (?, ?, ?) ON CONFLICT (address)"
            " DO UPDATE SET state = excluded.state, delay = excluded.delay",
            address,
            state,
            delay,
        )
        self.load()

    def set_delay(self, address: str, delay: float) -> None:
        """Let a resolver's cache lag that many seconds. Raises `InvalidState`."""
        server = self.servers.get(address)
        if not isinstance(server, Resolver) or not 0 <= delay <= KEEP_SECONDS:
            raise InvalidState(f"a resolver's address and 0 to {KEEP_SECONDS} seconds")
        server.delay = delay
        server.forget()
