"""Looking for the records of a zone at nameservers that are odd, slow or hostile."""

import json
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rrset
import pytest

from dnszones.discovery import questions
from dnszones.discovery.comparing import MOST_DIFFERENCES, Comparison, compare
from dnszones.discovery.found import Findings
from dnszones.discovery.gathering import Search
from dnszones.discovery.questions import MOST_QUESTIONS, Asker
from dnszones.record_types import TYPES
from mpanel.dns.client import Answer
from tests.dnsservers import FakeServer, Message, dns_servers, proper, silent, truncated

ZONE = "shop.test"
SOA = "ns1.shop.test. host.shop.test. 1 3600 600 86400 60"


@pytest.fixture
def servers() -> Iterator[tuple[FakeServer, FakeServer]]:
    with dns_servers("127.0.0.76", "127.0.0.77") as (one, other):
        for server in (one, other):
            server.serve(ZONE).add(ZONE, "SOA", SOA)
        yield one, other


def searched(*servers: FakeServer, timeout: float = 0.5) -> Search:
    places = [server.as_server() for server in servers]
    search = Search(Findings(ZONE, TYPES, "Our DNS"), Asker(ZONE, places, timeout=timeout))
    search.run(places, named=(), scanned=(), progress=lambda phase: None)
    return search


def found(search: Search) -> set[str]:
    return {str(one.record) for one in search.findings.records}


def sized(query: Message, reply: Message) -> list[bytes]:
    """The reply, cut where it is too long for a datagram."""
    is_long = len(reply.to_wire(max_size=65_535)) > 1232
    return truncated(query, reply) if is_long else proper(query, reply)


def zone_transfer(*rrsets: dns.rrset.RRset, ends: bool = True) -> object:
    """A zone transfer, one message for each rrset."""

    def send(query: Message, reply: Message) -> list[bytes]:
        if query.question[0].rdtype != dns.rdatatype.AXFR:
            return [reply.to_wire(max_size=65_535)]
        soa = dns.rrset.from_text(f"{ZONE}.", 60, "IN", "SOA", SOA)
        messages = []
        for rrset in (soa, *rrsets, *([soa] if ends else [])):
            message = dns.message.make_response(query)
            message.flags |= dns.flags.AA
            message.answer = [rrset]
            messages.append(message.to_wire())
        return messages

    return send


def test_a_server_that_is_silent_is_followed_by_the_next(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, other = servers
    one.always = one.over_tcp = silent
    other.add(f"www.{ZONE}", "A", "192.0.2.1").add(f"mail.{ZONE}", "MX", "5 mx.example.")
    search = searched(*servers, timeout=0.2)
    assert search.is_answered
    assert found(search) == {f"www.{ZONE} A 192.0.2.1", f"mail.{ZONE} MX 5 mx.example"}
    assert search.asker.unanswered == []


def test_servers_that_do_not_serve_the_zone_say_nothing(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, _ = servers
    lame = FakeServer(one.address, one.port)
    one.reply_to = lame.reply_to  # type: ignore[method-assign]
    search = searched(one)
    assert not search.is_answered
    assert search.findings.records == []


def test_names_outside_the_zone_are_never_taken_over(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, _ = servers
    outside = dns.rrset.from_text("www.bank.test.", 60, "IN", "A", "192.0.2.66")
    inside = dns.rrset.from_text(f"www.{ZONE}.", 60, "IN", "A", "192.0.2.1")
    one.over_tcp = zone_transfer(outside, inside)  # type: ignore[assignment]
    search = searched(one)
    assert search.is_transferred
    assert found(search) == {f"www.{ZONE} A 192.0.2.1"}
    assert list(search.findings.left_out.values()) == [
        "A www.bank.test is not taken over: it is not in this zone."
    ]


def test_an_alias_is_taken_over_as_it_is_and_not_followed(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, _ = servers
    one.add(f"www.{ZONE}", "CNAME", f"cdn.{ZONE}.").add(f"cdn.{ZONE}", "CNAME", "far.example.")
    one.add(f"shop.{ZONE}", "CNAME", "far.example.")
    search = searched(one)
    assert found(search) == {
        f"www.{ZONE} CNAME cdn.{ZONE}",
        f"cdn.{ZONE} CNAME far.example",
        f"shop.{ZONE} CNAME far.example",
    }


def test_a_name_beside_a_wildcard_keeps_all_of_its_records(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, _ = servers
    star = dns.rrset.from_text(f"*.{ZONE}.", 60, "IN", "A", "192.0.2.9")
    plain = one.reply_to

    def with_wildcard(query: Message) -> Message:
        reply = plain(query)
        name, kind = query.question[0].name, query.question[0].rdtype
        if name.is_subdomain(dns.name.from_text(f"www.{ZONE}")):
            return reply
        if reply.rcode() == dns.rcode.NXDOMAIN and kind == dns.rdatatype.A:
            reply.set_rcode(dns.rcode.NOERROR)
            reply.authority = []
            reply.answer = [dns.rrset.from_rdata_list(name, 60, list(star))]
        elif reply.rcode() == dns.rcode.NXDOMAIN:
            reply.set_rcode(dns.rcode.NOERROR)
        return reply

    one.reply_to = with_wildcard  # type: ignore[method-assign]
    one.add(f"www.{ZONE}", "A", "192.0.2.9").add(f"www.{ZONE}", "TXT", '"hello"')
    search = searched(one)
    # The address equals the wildcard's, but with a text of its own www gets nothing from that.
    assert found(search) == {
        f"*.{ZONE} A 192.0.2.9",
        f"www.{ZONE} A 192.0.2.9",
        f"www.{ZONE} TXT hello",
    }


def test_a_transfer_without_end_is_cut(servers: tuple[FakeServer, FakeServer]) -> None:
    one, _ = servers
    many = [
        dns.rrset.from_text(
            f"h{block}.{ZONE}.",
            60,
            "IN",
            "A",
            *(f"10.{block}.{i // 250}.{i % 250}" for i in range(600)),
        )
        for block in range(20)
    ]  # fmt: skip
    one.over_tcp = zone_transfer(*many, ends=False)  # type: ignore[assignment]
    one.add(f"www.{ZONE}", "A", "192.0.2.1")
    search = searched(one)
    assert not search.is_transferred
    assert found(search) == {f"www.{ZONE} A 192.0.2.1"}
    assert any("more records than are taken over at once" in note for note in search.notes)


def test_huge_texts_and_crowded_names_are_left_out_with_a_sentence(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, _ = servers
    one.add(f"www.{ZONE}", "TXT", " ".join(f'"{"x" * 250}"' for _ in range(10)))
    one.always = sized
    one.add(f"mail.{ZONE}", "A", *(f"10.0.{i // 250}.{i % 250}" for i in range(400)))
    search = searched(one)
    said = " ".join(search.findings.left_out.values())
    assert len(search.findings.found) == 200
    assert "TXT www.shop.test is not taken over: The text has between 1 and 2048 bytes." in said
    assert "its name has more than 200 records" in said


def test_a_zone_that_names_more_and_more_is_not_asked_for_ever(
    servers: tuple[FakeServer, FakeServer],
) -> None:
    one, _ = servers
    plain, made = one.reply_to, [0]

    def endless(query: Message) -> Message:
        reply = plain(query)
        if query.question[0].rdtype == dns.rdatatype.MX:
            made[0] += 1
            hosts = [f"1 m{made[0]}x{i}.{ZONE}." for i in range(40)]
            reply.set_rcode(dns.rcode.NOERROR)
            reply.authority = []
            reply.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "MX", *hosts)]
        elif reply.rcode() == dns.rcode.NXDOMAIN:
            reply.set_rcode(dns.rcode.NOERROR)
        return reply

    one.reply_to = endless  # type: ignore[method-assign]
    search = searched(one)
    assert len(search.asker.answers) <= MOST_QUESTIONS
    assert any("not all was asked" in note for note in search.notes)


def test_nameservers_that_mostly_keep_silent_are_given_up_in_the_middle(
    servers: tuple[FakeServer, FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer in twenty, so that they never count as dead; and a long list of names to ask."""
    monkeypatch.setattr(questions, "PATIENCE", 0.3)
    one, other = servers
    for server in servers:
        server.always = lambda query, reply: (
            proper(query, reply) if query.id % 20 == 0 else silent(query, reply)
        )
    asker = Asker(ZONE, [server.as_server() for server in servers], timeout=0.1)
    pairs = [(f"host{number}.{ZONE}", "A") for number in range(2_000)]
    asker.ask(pairs)
    assert len(one.asked) + len(other.asked) < len(pairs)
    assert asker.is_exhausted
    assert set(asker.answers) == set(pairs)
    assert asker.get(*pairs[-1]).status == "unknown"


def test_what_is_confirmed_covers_every_difference_and_not_only_those_that_are_shown() -> None:
    pairs = [(f"h{number}.ada.test", "A") for number in range(MOST_DIFFERENCES + 50)]

    def answered(value: str, **others: str) -> Asker:
        asker = Asker("ada.test", (), timeout=1)
        asker.answers = {
            pair: Answer("answer", values=(others.get(pair[0].partition(".")[0], value),))
            for pair in pairs
        }
        return asker

    old = answered("192.0.2.1")
    seen = compare(old, answered("192.0.2.2"), pairs, planned=())
    assert len(seen.differences) == MOST_DIFFERENCES < seen.different == len(pairs)
    assert f"{len(pairs)} different" in seen.sentence
    assert Comparison.from_json(json.loads(json.dumps(seen.to_json()))) == seen
    # One of those that are not shown is something else now.
    last = pairs[-1][0].partition(".")[0]
    other = compare(old, answered("192.0.2.2", **{last: "192.0.2.3"}), pairs, planned=())
    assert other.differences == seen.differences and other.digest != seen.digest
    again = compare(old, answered("192.0.2.2"), pairs, planned=())
    assert again.to_json() == seen.to_json()
