"""DNS servers for tests: real packets on loopback addresses, good, lame, slow and hostile ones."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mpanel.dns.client import Server

Message = dns.message.Message
# What is sent for a question and its proper reply: any number of datagrams.
Behaviour = Callable[[Message, Message], list[bytes]]


def proper(_query: Message, reply: Message) -> list[bytes]:
    return [reply.to_wire(max_size=65_535)]


def silent(_query: Message, _reply: Message) -> list[bytes]:
    return []


def failing(rcode: dns.rcode.Rcode, *, with_question: bool = True) -> Behaviour:
    def fail(query: Message, _reply: Message) -> list[bytes]:
        message = dns.message.make_response(query)
        message.set_rcode(rcode)
        if not with_question:
            message.question = []
        return [message.to_wire()]

    return fail


def truncated(query: Message, _reply: Message) -> list[bytes]:
    message = dns.message.make_response(query)
    message.flags |= dns.flags.TC
    return [message.to_wire()]


def after(*earlier: Callable[[bytes], bytes]) -> Behaviour:
    """The proper reply, after altered copies of it."""

    def send(_query: Message, reply: Message) -> list[bytes]:
        wire = reply.to_wire()
        return [*(alter(wire) for alter in earlier), wire]

    return send


def only(alter: Callable[[bytes], bytes]) -> Behaviour:
    """An altered reply instead of the proper one."""
    return lambda _query, reply: [alter(reply.to_wire())]


class FakeServer:
    """A server at one address. It refuses what is outside the zones that it serves."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.is_resolver = False  # answers without authority, recursion available
        self.delay = 0.0  # seconds before an answer over UDP
        self.tcp_delay = 0.0
        self.always: Behaviour = proper
        self.next: list[Behaviour] = []  # for the next questions over UDP, before `always`
        self.over_tcp: Behaviour = proper
        self.asked: list[tuple[str, str, str]] = []  # name, type, "udp" or "tcp"
        self._zones: dict[dns.name.Name, dns.rrset.RRset] = {}
        self._rrsets: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
        self._cuts: dict[dns.name.Name, tuple[dns.rrset.RRset, list[dns.rrset.RRset]]] = {}

    def as_server(self, name: str = "") -> Server:
        return Server(self.address, self.port, name)

    def serve(self, zone: str, *, soa_ttl: int = 3600, minimum: int = 60) -> "FakeServer":
        """Answer with authority for a zone ("." for the root)."""
        apex = dns.name.from_text(zone)
        text = f"ns.invalid. host.invalid. 1 3600 600 86400 {minimum}"
        self._zones[apex] = dns.rrset.from_text(apex, soa_ttl, "IN", "SOA", text)
        return self

    def add(self, name: str, rdtype: str, *values: str, ttl: int = 300) -> "FakeServer":
        """Put an rrset there, instead of one that is there. Values as in a zone file."""
        rrset = dns.rrset.from_text(dns.name.from_text(name), ttl, "IN", rdtype, *values)
        self._rrsets[rrset.name, rrset.rdtype] = rrset
        return self

    def delegate(
        self, zone: str, *nameservers: str, ttl: int = 7200, glue: dict[str, str] | None = None
    ) -> "FakeServer":
        """Refer to the nameservers for everything in a zone below; `glue` is host to address."""
        cut = dns.name.from_text(zone)
        hosts = [f"{host}." for host in nameservers]
        addresses = [
            dns.rrset.from_text(f"{host}.", ttl, "IN", "AAAA" if ":" in address else "A", address)
            for host, address in (glue or {}).items()
        ]
        self._cuts[cut] = (dns.rrset.from_text(cut, ttl, "IN", "NS", *hosts), addresses)
        return self

    def reply_to(self, query: Message) -> Message:
        """What the records say, as RFC 1034 §4.3.2 has it."""
        reply = dns.message.make_response(query)
        name, rdtype = query.question[0].name, query.question[0].rdtype
        reply.flags |= dns.flags.RA if self.is_resolver else dns.flags.AA
        for cut, (nameservers, addresses) in self._cuts.items():
            if name.is_subdomain(cut) and (name, rdtype) != (cut, dns.rdatatype.DS):
                reply.flags &= ~dns.flags.AA
                reply.authority.append(nameservers)
                reply.additional.extend(addresses)
                return reply
        soa = self._soa(name)
        if soa is None:
            reply.flags &= ~dns.flags.AA
            reply.set_rcode(dns.rcode.REFUSED)
            return reply
        while (name, rdtype) not in self._rrsets:
            alias = self._rrsets.get((name, dns.rdatatype.CNAME))
            if alias is None or alias in reply.answer:
                break
            reply.answer.append(alias)
            name = alias[0].target
        found = self._rrsets.get((name, rdtype))
        if found is not None:
            reply.answer.append(found)
        elif (soa := self._soa(name)) is not None:
            reply.authority.append(soa)
            known_names = [*self._cuts, *(known for known, _ in self._rrsets)]
            if not any(known.is_subdomain(name) for known in known_names):
                reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply

    def _soa(self, name: dns.name.Name) -> dns.rrset.RRset | None:
        apexes = [apex for apex in self._zones if name.is_subdomain(apex)]
        return self._zones[max(apexes, key=len)] if apexes else None

    def datagrams_for(self, wire: bytes, transport: str) -> list[bytes]:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype), transport))
        if transport == "tcp":
            behaviour = self.over_tcp
        else:
            behaviour = self.next.pop(0) if self.next else self.always
        return behaviour(query, self.reply_to(query))


class _UDP(asyncio.DatagramProtocol):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with suppress(dns.exception.DNSException):
            for datagram in self.server.datagrams_for(data, "udp"):
                loop = asyncio.get_running_loop()
                loop.call_later(self.server.delay, self.transport.sendto, datagram, addr)


def _tcp(
    server: FakeServer,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            size = int.from_bytes(await reader.readexactly(2))
            await asyncio.sleep(server.tcp_delay)
            for message in server.datagrams_for(await reader.readexactly(size), "tcp"):
                writer.write(len(message).to_bytes(2) + message)
            await writer.drain()
        writer.close()

    return serve


type Closers = list[Callable[[], None]]


async def _listen(addresses: tuple[str, ...]) -> tuple[list[FakeServer], Closers]:
    """Servers on all addresses and one port, which is free on each of them for UDP and TCP."""
    loop = asyncio.get_running_loop()
    while True:
        port = 0
        servers: list[FakeServer] = []
        closers: Closers = []
        try:
            for address in addresses:
                server = FakeServer(address, port)
                stream = await asyncio.start_server(_tcp(server), address, port)
                closers.append(stream.close)
                port = server.port = stream.sockets[0].getsockname()[1]
                transport, _ = await loop.create_datagram_endpoint(
                    partial(_UDP, server), local_addr=(address, port)
                )
                closers.append(transport.close)
                servers.append(server)
        except OSError:
            for close in closers:
                close()
        else:
            return servers, closers


async def _end(closers: Closers) -> None:
    for close in closers:
        close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def dns_servers(*addresses: str) -> Iterator[list[FakeServer]]:
    """A server on each address, all on one port, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers, closers = asyncio.run_coroutine_threadsafe(_listen(addresses), loop).result(10)
    try:
        yield servers
    finally:
        asyncio.run_coroutine_threadsafe(_end(closers), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
