"""The DNS client against real packets from good, slow, lame and hostile servers."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpanel.dns import messages as dnsmessages
from mpanel.dns.client import (
    SILENT_AFTER,
    Answer,
    DNSClient,
    Question,
    RecursiveResolver,
    Server,
    TemporaryFailure,
    ask_now,
    reason_of,
)
from mpanel.dns.messages import canonical_name, is_within
from tests.dnsservers import (
    FakeServer,
    after,
    dns_servers,
    failing,
    only,
    proper,
    silent,
    truncated,
)
from tests.work import counted_steps


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with dns_servers("127.0.0.61") as [server]:
        yield server.serve("example.test")


def ask(server: Server, name: str, rdtype: str, *, timeout: float = 0.9) -> Answer:
    [answer] = ask_now([Question(server, name, rdtype)], timeout=timeout)
    return answer


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_machine_without_ipv6_says_so(number: int) -> None:
    error = OSError(number, os.strerror(number))
    assert "this machine has no IPv6" in reason_of(error, Server("2001:db8::1"))
    assert "IPv6" not in reason_of(error, Server("192.0.2.1"))


# --- What servers say ------------------------------------------------------------------------


def test_values_are_plain_text(server: FakeServer) -> None:
    server.add("example.test", "TXT", '"v=spf1 include:_spf." "example.test -all"', '"b \\"q\\""')
    server.add("example.test", "MX", "20 Backup.Example.TEST.", "5 mx.example.test.", ttl=60)
    server.add("example.test", "A", "192.0.2.7")
    server.add("example.test", "AAAA", "2001:db8:0::7")
    server.add("_sip._tcp.example.test", "SRV", "1 2 5060 Host.example.test.")
    server.add("example.test", "CAA", '0 issue "ca.test"')
    at = server.as_server()
    txt = ask(at, "example.test", "TXT")
    assert (txt.status, txt.rcode, txt.ttl, txt.authoritative) == ("answer", "NOERROR", 300, True)
    assert txt.values == ('b "q"', "v=spf1 include:_spf.example.test -all")
    mx = ask(at, "Example.TEST.", "MX")
    assert (mx.values, mx.ttl) == (("20 backup.example.test", "5 mx.example.test"), 60)
    assert ask(at, "example.test", "A").values == ("192.0.2.7",)
    assert ask(at, "example.test", "AAAA").values == ("2001:db8::7",)
    assert ask(at, "_sip._tcp.example.test", "SRV").values == ("1 2 5060 host.example.test",)
    assert ask(at, "example.test", "CAA").values == ('0 issue "ca.test"',)


def test_a_null_mx_names_the_root(server: FakeServer) -> None:
    server.add("example.test", "MX", "0 .")
    assert ask(server.as_server(), "example.test", "MX").values == ("0 .",)


def test_bytes_that_are_no_text_can_still_be_stored(server: FakeServer) -> None:
    server.add("example.test", "TXT", '"a\\000\\255"')
    assert ask(server.as_server(), "example.test", "TXT").values == ("a\\000\\xff",)


def test_absence_tells_how_long_it_may_be_cached(server: FakeServer) -> None:
    server.serve("short.test", soa_ttl=30, minimum=900)
    server.add("www.example.test", "A", "192.0.2.7")
    at = server.as_server()
    assert ask(at, "gone.example.test", "A") == Answer(
        "nxdomain", "NXDOMAIN", ttl=60, authoritative=True, zone="example.test"
    )
    assert ask(at, "www.example.test", "TXT") == Answer(
        "nodata", "NOERROR", ttl=60, authoritative=True, zone="example.test"
    )
    assert ask(at, "gone.short.test", "A").ttl == 30


def test_aliases_are_followed_within_the_answer(server: FakeServer) -> None:
    server.add("a.example.test", "CNAME", "b.example.test.", ttl=20)
    server.add("b.example.test", "CNAME", "c.example.test.", ttl=900)
    server.add("c.example.test", "TXT", '"here"')
    answer = ask(server.as_server(), "a.example.test", "TXT")
    assert (answer.values, answer.ttl) == (("here",), 20)
    assert answer.aliases == ("b.example.test", "c.example.test")
    assert ask(server.as_server(), "a.example.test", "CNAME").values == ("b.example.test",)


def test_an_alias_out_of_the_zone_is_unknown_at_a_nameserver_and_nodata_at_a_resolver(
    server: FakeServer,
) -> None:
    server.add("a.example.test", "CNAME", "else.where.")
    answer = ask(server.as_server(), "a.example.test", "TXT")
    assert (answer.status, answer.aliases) == ("unknown", ("else.where",))
    server.is_resolver = True
    assert ask(server.as_server(), "a.example.test", "TXT").status == "nodata"


def test_aliases_that_go_round_are_malformed(server: FakeServer) -> None:
    server.add("a.example.test", "CNAME", "b.example.test.")
    server.add("b.example.test", "CNAME", "a.example.test.")
    answer = ask(server.as_server(), "a.example.test", "TXT")
    assert (answer.status, answer.why) == ("unknown", "malformed answer")


def test_a_referral_carries_nameservers_and_glue(server: FakeServer) -> None:
    server.delegate(
        "child.example.test", "NS2.child.example.test", "ns1.other.test",
        glue={"ns2.child.example.test": "192.0.2.2", "ns1.other.test": "2001:db8::1"},
    )  # fmt: skip
    answer = ask(server.as_server(), "www.child.example.test", "A")
    assert answer == Answer(
        "referral",
        "NOERROR",
        ttl=7200,
        zone="child.example.test",
        nameservers=("ns1.other.test", "ns2.child.example.test"),
        addresses=(("ns2.child.example.test", "192.0.2.2"), ("ns1.other.test", "2001:db8::1")),
    )


@pytest.mark.parametrize("address", ["127.0.0.61", "::1"])
def test_both_families_of_addresses_are_asked(address: str) -> None:
    with dns_servers(address) as [server]:
        server.serve("example.test").add("example.test", "A", "192.0.2.7")
        assert ask(server.as_server(), "example.test", "A").values == ("192.0.2.7",)


# --- What goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rcode", "why"),
    [
        (dns.rcode.SERVFAIL, "SERVFAIL"),
        (dns.rcode.REFUSED, "refused"),
        (dns.rcode.NOTIMP, "NOTIMP"),
    ],
)
@pytest.mark.parametrize("with_question", [True, False])
def test_errors_are_unknown(
    server: FakeServer, rcode: dns.rcode.Rcode, why: str, *, with_question: bool
) -> None:
    server.always = failing(rcode, with_question=with_question)
    answer = ask(server.as_server(), "example.test", "A")
    assert (answer.status, answer.rcode, answer.why) == ("unknown", rcode.name, why)


def test_a_missing_name_without_the_question_is_not_believed(server: FakeServer) -> None:
    server.always = failing(dns.rcode.NXDOMAIN, with_question=False)
    assert ask(server.as_server(), "example.test", "A").why == "did not answer within 0.9 s"


def test_silence_is_asked_twice_and_then_unknown(server: FakeServer) -> None:
    server.always = silent
    started = time.monotonic()
    answer = ask(server.as_server(), "example.test", "A")
    assert answer == Answer("unknown", why="did not answer within 0.9 s")
    assert len(server.asked) == 2
    assert time.monotonic() - started >= 1.8


def test_a_lost_datagram_is_made_up_for(server: FakeServer) -> None:
    server.add("example.test", "A", "192.0.2.7").next = [silent]
    assert ask(server.as_server(), "example.test", "A").values == ("192.0.2.7",)


def test_a_slow_answer_still_counts_after_the_question_was_sent_again(server: FakeServer) -> None:
    server.add("example.test", "A", "192.0.2.7").delay = 1.0
    assert ask(server.as_server(), "example.test", "A").status == "answer"


def test_nobody_there_is_known_at_once() -> None:
    with dns_servers("127.0.0.61") as [server]:
        port = server.port
    # Had it waited for an answer, the test would not end.
    answer = ask(Server("127.0.0.61", port), "example.test", "A", timeout=3600)
    assert (answer.status, answer.why) == ("unknown", "nothing listens there")


@pytest.mark.parametrize(
    ("server", "name", "rdtype", "why"),
    [
        (Server("ns.example.test"), "example.test", "A", "not an IP address"),
        (Server("127.0.0.61"), "a..test", "A", "'a..test' A cannot be asked"),
        (Server("127.0.0.61"), "x" * 64, "A", f"'{'x' * 64}' A cannot be asked"),
        (Server("127.0.0.61"), "example.test", "NO SUCH", "'example.test' NO SUCH cannot be asked"),
    ],
)
def test_what_cannot_be_asked_is_unknown(server: Server, name: str, rdtype: str, why: str) -> None:
    assert ask(server, name, rdtype) == Answer("unknown", why=why)


def other_id(wire: bytes) -> bytes:
    return bytes((wire[0] ^ 1,)) + wire[1:]


def other_question(wire: bytes) -> bytes:
    return wire.replace(b"\7example", b"\7exbmple")


def as_query(wire: bytes) -> bytes:
    return wire[:2] + bytes((wire[2] & 0x7F,)) + wire[3:]


def shouted(wire: bytes) -> bytes:
    return wire.replace(b"\7example", b"\7EXAMPLE", 1)


@pytest.mark.parametrize("forge", [other_id, other_question, as_query, lambda _: b"\0\1", shouted])
def test_forged_answers_are_passed_over(server: FakeServer, forge) -> None:
    server.add("example.test", "A", "192.0.2.7").always = after(forge)
    assert ask(server.as_server(), "example.test", "A").values == ("192.0.2.7",)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wire: wire[:-13],  # the record is longer than its message (OPT has eleven bytes)
        lambda wire: wire[:6] + b"\xff\xff" + wire[8:],  # counts records that are not there
        lambda wire: wire[:30] + b"\xc0\x1e" + wire[32:],  # a pointer to itself
        lambda wire: wire[:30] + b"\xc0\xff" + wire[32:],  # a pointer forward
        lambda wire: wire[:30] + b"\x41a" + wire[32:],  # no kind of label
    ],
)
def test_malformed_answers_are_unknown(server: FakeServer, spoil) -> None:
    server.add("example.test", "A", "192.0.2.7").always = only(spoil)
    answer = ask(server.as_server(), "example.test", "A")
    assert answer == Answer("unknown", why="malformed answer")


def test_noise_is_no_answer(server: FakeServer) -> None:
    server.always = lambda _query, _reply: [os.urandom(60_000), b"", os.urandom(30)]
    assert ask(server.as_server(), "example.test", "A").why == "did not answer within 0.9 s"


def test_answers_from_elsewhere_are_not_heard(server: FakeServer) -> None:
    """A datagram with the right id and question, but from another port (RFC 5452 §9.1)."""
    server.add("example.test", "A", "192.0.2.7").delay = 0.2

    async def story() -> Answer:
        async with DNSClient(timeout=1) as client:
            asking = asyncio.create_task(client.ask(server.as_server(), "example.test", "A"))
            while not server.asked:
                await asyncio.sleep(0.01)
            [lane] = client._lanes.values()
            [(ident, query)] = lane.waiting.items()
            assert lane.sock is not None
            forged = dns.message.make_response(dns.message.from_wire(query.packet))
            forged.answer.append(dns.rrset.from_text("example.test.", 9, "IN", "A", "203.0.113.9"))
            assert forged.id == ident
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
                attacker.bind(("127.0.0.61", 0))
                attacker.sendto(forged.to_wire(), lane.sock.getsockname())
            return await asking

    assert asyncio.run(story()).values == ("192.0.2.7",)


# --- TCP -------------------------------------------------------------------------------------


def test_a_cut_answer_is_fetched_over_tcp(server: FakeServer) -> None:
    texts = [f'"{number} {"x" * 200}"' for number in range(40)]
    server.add("example.test", "TXT", *texts).always = truncated
    assert len(ask(server.as_server(), "example.test", "TXT").values) == 40
    assert [transport for *_, transport in server.asked] == ["udp", "tcp"]


@pytest.mark.parametrize(
    ("over_tcp", "why"),
    [
        (silent, "hung up over TCP"),
        (only(other_id), "malformed answer"),
        (only(other_question), "malformed answer"),
        (only(lambda _: b""), "malformed answer"),
        (only(lambda wire: wire[:-13]), "malformed answer"),
    ],
)
def test_trouble_over_tcp_is_unknown(server: FakeServer, over_tcp, why: str) -> None:
    server.add("example.test", "TXT", '"x"').always = truncated
    server.over_tcp = over_tcp
    assert ask(server.as_server(), "example.test", "TXT") == Answer("unknown", why=why)


# --- Many questions --------------------------------------------------------------------------


def test_thousands_of_answers_come_in_the_order_of_the_questions() -> None:
    with dns_servers("127.0.0.61", "127.0.0.62") as servers:
        for server in servers:
            server.serve("example.test")
            for number in range(1000):
                server.add(f"n{number}.example.test", "TXT", f'"{server.address} {number}"')
        questions = [
            Question(server.as_server(), f"n{number}.example.test", "TXT")
            for number in range(1000)
            for server in servers
        ]
        answers = ask_now(questions)
        assert [answer.values for answer in answers] == [
            (f"{question.server.address} {question.name[1:-13]}",) for question in questions
        ]
        assert [len(server.asked) for server in servers] == [1000, 1000]


def test_every_third_datagram_may_get_lost(server: FakeServer) -> None:
    def lossy(query: dns.message.Message, reply: dns.message.Message) -> list[bytes]:
        return [] if len(server.asked) % 3 == 0 else proper(query, reply)

    server.add("example.test", "A", "192.0.2.7").always = lossy

    async def story() -> list[Answer]:
        async with DNSClient(timeout=0.9, retries=6) as client:
            return await client.ask_many([Question(server.as_server(), "example.test", "A")] * 300)

    assert {answer.status for answer in asyncio.run(story())} == {"answer"}


def test_no_more_questions_are_open_than_the_bounds_allow(server: FakeServer) -> None:
    server.always = silent

    async def story() -> int:
        async with DNSClient(timeout=5, in_flight=30, per_server=20) as client:
            asking = asyncio.create_task(
                client.ask_many([Question(server.as_server(), "example.test", "A")] * 100)
            )
            await asyncio.sleep(0.3)
            asking.cancel()
            return len(server.asked)

    assert asyncio.run(story()) == 20


def test_a_dead_server_does_not_hold_up_the_others_nor_every_question_of_its_own() -> None:
    with dns_servers("127.0.0.61", "127.0.0.62") as [alive, dead]:
        alive.serve("example.test").add("example.test", "A", "192.0.2.7")
        dead.always = silent
        count = 1000
        questions = [
            Question(server.as_server(), "example.test", "A")
            for server in (dead, alive)
            for _ in range(count)
        ]
        answers = ask_now(questions, timeout=0.9)
        assert {a.why for a in answers[:count]} == {"did not answer within 0.9 s"}
        assert {a.status for a in answers[count:]} == {"answer"}
        assert SILENT_AFTER <= len(dead.asked) < count


def test_closing_ends_what_is_open_and_leaves_no_socket(server: FakeServer) -> None:
    server.always = silent
    server.next = [truncated]
    server.tcp_delay = 1

    async def story() -> list[Answer]:
        before = open_files()
        client = DNSClient(timeout=5, per_server=3)
        async with client:
            asking = [
                asyncio.create_task(client.ask(server.as_server(), f"{n}.example.test", "A"))
                for n in range(10)
            ]
            await asyncio.sleep(0.2)
            assert open_files() == before + 3  # UDP, TCP, and the server's end of that
        answers = await asyncio.gather(*asking)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_files() <= before + 1
        with pytest.raises(RuntimeError):
            await client.ask(server.as_server(), "example.test", "A")
        return answers

    assert asyncio.run(story()) == [Answer("unknown", why="the client was closed")] * 10


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_who_stops_waiting_leaves_room_for_others(server: FakeServer) -> None:
    server.add("example.test", "A", "192.0.2.7").next = [silent] * 4

    async def story() -> tuple[str, bool]:
        async with DNSClient(timeout=2, per_server=2) as client:
            at = server.as_server()
            asking = asyncio.create_task(client.ask_many([Question(at, "example.test", "A")] * 50))
            await asyncio.sleep(0.05)
            asking.cancel()
            answer = await client.ask(at, "example.test", "A")
            return answer.status, bool(client._lanes)

    assert asyncio.run(story()) == ("answer", False)
    assert len(server.asked) < 10


def test_no_questions_no_answers() -> None:
    assert ask_now([]) == []


# --- Messages, against dnspython -------------------------------------------------------------

labels = st.from_regex(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
texts = st.lists(st.binary(max_size=60), min_size=1, max_size=3)


@given(name=hosts, found=st.lists(texts, min_size=1, max_size=4, unique_by=b"".join))
def test_texts_are_read_as_dnspython_reads_them(name: str, found: list[list[bytes]]) -> None:
    quoted = [
        " ".join('"' + "".join(f"\\{byte:03d}" for byte in part) + '"' for part in parts)
        for parts in found
    ]
    rrset = dns.rrset.from_text(f"{name}.", 77, "IN", "TXT", *quoted)
    expected = {
        b"".join(parts).decode("utf-8", "backslashreplace").replace("\0", "\\000")
        for parts in found
    }
    answer = answered(name, rrset)
    assert (answer.status, set(answer.values), answer.ttl) == ("answer", expected, 77)


@given(name=hosts, found=st.lists(st.tuples(st.integers(0, 65_535), hosts), min_size=1, max_size=6))
def test_compressed_hosts_are_read_as_dnspython_reads_them(
    name: str, found: list[tuple[int, str]]
) -> None:
    records = [f"{number} {host}.{name}." for number, host in found]
    rrset = dns.rrset.from_text(f"{name}.", 5, "IN", "MX", *records)
    assert set(answered(name, rrset).values) == {text.lower().rstrip(".") for text in records}


def answered(name: str, rrset: dns.rrset.RRset) -> Answer:
    asked = dnsmessages.asked_for(name, dns.rdatatype.to_text(rrset.rdtype))
    wire = dnsmessages.query(7, asked, recursive=True)
    reply = dns.message.make_response(dns.message.from_wire(wire))
    reply.answer.append(rrset)
    assert dnsmessages.is_answer_to(asked, reply.to_wire())
    return dnsmessages.read_answer(asked, reply.to_wire())


@given(
    rest=st.binary(max_size=300),
    counts=st.binary(min_size=6, max_size=6),
    rdtype=st.sampled_from(["TXT", "NS", "MX", "CAA", "SVCB"]),
)
def test_no_bytes_can_do_more_than_be_malformed(rest: bytes, counts: bytes, rdtype: str) -> None:
    asked = dnsmessages.asked_for("example.test", rdtype)
    wire = b"\0\7\x80\0\0\1" + counts + asked.wire + rest
    assert dnsmessages.is_answer_to(asked, wire)
    statuses = {"answer", "nodata", "nxdomain", "referral", "unknown"}
    assert dnsmessages.read_answer(asked, wire).status in statuses


@given(wire=st.binary(max_size=100))
def test_any_bytes_can_be_looked_at(wire: bytes) -> None:
    assert not dnsmessages.is_answer_to(dnsmessages.asked_for("example.test", "A"), wire)


@given(at=st.integers(0, 90), bit=st.integers(0, 7))
def test_a_flipped_bit_never_crashes_and_never_adds_a_record(at: int, bit: int) -> None:
    reply = dns.message.make_response(dns.message.make_query("example.test", "MX"))
    reply.answer.append(
        dns.rrset.from_text("example.test.", 5, "IN", "MX", "1 a.example.test.", "2 b.test.")
    )
    spoiled = bytearray(reply.to_wire())
    spoiled[at % len(spoiled)] ^= 1 << bit
    asked = dnsmessages.asked_for("example.test", "MX")
    if dnsmessages.is_answer_to(asked, bytes(spoiled)):
        assert len(dnsmessages.read_answer(asked, bytes(spoiled)).values) <= 2


def test_hostile_compression_costs_little() -> None:
    """Thousands of records whose names jump thousands of times through the message."""
    asked = dnsmessages.asked_for("example.test", "NS")
    jumps = b"".join((at - 2).to_bytes(2) for at in range(0xC000 + 33, 0xFFF0, 2))
    filler = b"\xc0\x0c\0\x10\0\1\0\0\0\0" + len(jumps).to_bytes(2) + jumps
    record = b"\xff\xee\0\2\0\1\0\0\0\0\0\0"
    count = 4000
    wire = b"\0\7\x80\0\0\1" + (count + 1).to_bytes(2) + b"\0\0\0\0" + asked.wire
    answer, steps = counted_steps(
        lambda: dnsmessages.read_answer(asked, wire + filler + record * count)
    )
    assert answer.status == "unknown"
    assert steps < 10 * count


# --- Names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("Example.TEST.", "example.test"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("_dmarc.example.test", "_dmarc.example.test"),
        (".", ""),
    ],
)
def test_names_have_one_form(given_name: str, name: str) -> None:
    assert canonical_name(given_name) == name


@pytest.mark.parametrize("name", ["a..b", ".a", "x" * 64, "a." * 127 + "b", "a\N{BULLET}..b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        canonical_name(name)


def test_a_name_is_within_its_zone_and_the_root_but_not_its_namesake() -> None:
    assert is_within("example.test", "example.test")
    assert is_within("www.example.test", "example.test")
    assert is_within("example.test", ".")
    assert not is_within("notexample.test", "example.test")


# --- The resolver that SPF uses --------------------------------------------------------------


def test_a_resolver_that_fails_is_followed_by_the_next() -> None:
    with dns_servers("127.0.0.61", "127.0.0.62") as [broken, good]:
        broken.always = failing(dns.rcode.SERVFAIL)
        good.is_resolver = True
        good.serve("example.test").add("example.test", "MX", "20 b.example.test.", "5 a.test.")
        good.add("null.example.test", "MX", "0 .").add("example.test", "A", "192.0.2.7")

        async def story() -> list[list[str]]:
            async with DNSClient(timeout=0.3) as client:
                dns = RecursiveResolver(client, [broken.as_server(), good.as_server()])
                return [
                    await dns.mx("example.test"),
                    await dns.mx("null.example.test"),
                    await dns.a("example.test"),
                    await dns.txt("example.test"),
                    await dns.aaaa("gone.example.test"),
                ]

        assert asyncio.run(story()) == [["a.test", "b.example.test"], [], ["192.0.2.7"], [], []]


def test_a_time_out_is_never_an_absent_record() -> None:
    with dns_servers("127.0.0.61") as [broken]:
        broken.always = silent

        async def story() -> None:
            async with DNSClient(timeout=0.2) as client:
                await RecursiveResolver(client, [broken.as_server("East")]).txt("example.test")

        with pytest.raises(TemporaryFailure) as failure:
            asyncio.run(story())
        assert failure.value.retryable
        assert "East: did not answer within 0.2 s" in failure.value.message
