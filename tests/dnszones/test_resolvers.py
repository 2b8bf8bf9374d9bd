"""A propagation sweep over real packets, and what its sightings mean."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnszones.propagation.checks import (
    Observed,
    RecordStatus,
    Sighting,
    Watch,
    combine,
    estimated_completion,
    overall_percentage,
    summarise,
    sweep,
)
from dnszones.propagation.verdicts import Expected
from mpanel.dns.client import DNSClient
from tests.dnsservers import FakeServer, dns_servers, failing, silent

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
SPF = "v=spf1 include:_spf.example.test -all"
MX = Expected("mx", "example.test", "MX", frozenset({"10 mx.example.test"}))
SPF_WANTED = Expected("spf", "example.test", "TXT", frozenset({SPF}))


@pytest.fixture
def servers() -> Iterator[list[FakeServer]]:
    """One nameserver of example.test, and three resolvers."""
    with dns_servers("127.0.0.81", "127.0.0.82", "127.0.0.83", "127.0.0.84") as servers:
        for server in servers:
            server.serve("example.test", minimum=90).is_resolver = server is not servers[0]
        yield servers


def look(servers: list[FakeServer], *watched: Expected) -> list[Observed]:
    own, *resolvers = servers

    async def story() -> list[Observed]:
        async with DNSClient(timeout=0.3) as client:
            return await sweep(
                client,
                [
                    Watch(at, (own.as_server("ada.ns"),), wanted)
                    for at, wanted in enumerate(watched)
                ],
                [server.as_server(f"R{at}") for at, server in enumerate(resolvers, 1)],
            )

    return asyncio.run(story())


def test_each_server_is_reported_with_what_it_shows(servers: list[FakeServer]) -> None:
    own, new, old, down = servers
    own.add("example.test", "TXT", f'"{SPF}"', '"site-verification=1"')
    new.add("example.test", "TXT", f'"{SPF}"', ttl=250)
    old.add("example.test", "TXT", '"v=spf1 -all"', ttl=120)
    down.always = silent
    [observed] = look(servers, SPF_WANTED)
    assert observed.key == 0
    assert observed.nameservers == (Sighting("ada.ns", "matches", (SPF,), 300),)
    assert observed.resolvers == (
        Sighting("R1", "matches", (SPF,), 250),
        Sighting("R2", "conflicts", ("v=spf1 -all",), 120),
        Sighting("R3", "unknown", why="did not answer within 0.3 s"),
    )
    status = summarise(observed.own, observed.resolvers, now=NOW)
    assert status == RecordStatus("propagating", 50, 1, 2, 3, NOW + timedelta(seconds=120))


def test_absence_is_missing_and_trouble_is_unknown(servers: list[FakeServer]) -> None:
    own, *resolvers = servers
    own.add("example.test", "A", "192.0.2.7")
    resolvers[1].always = failing(dns.rcode.SERVFAIL)
    resolvers[2].delegate("example.test", "ns.example.test")
    [observed] = look(servers, MX)
    assert observed.own.verdict == "missing"
    assert [(s.verdict, s.ttl, s.why) for s in observed.resolvers] == [
        ("missing", 90, ""),
        ("unknown", None, "SERVFAIL"),
        ("unknown", None, "does not resolve"),
    ]


def test_a_nameserver_without_authority_says_nothing(servers: list[FakeServer]) -> None:
    own, *_ = servers
    own.add("example.test", "MX", "10 other.test.").is_resolver = True
    [observed] = look(servers, MX)
    assert (observed.own.verdict, observed.own.why) == (
        "unknown",
        "ada.ns: does not serve this zone",
    )


def test_shared_questions_are_asked_once(servers: list[FakeServer]) -> None:
    for server in servers:
        server.add("example.test", "TXT", f'"{SPF}"').add("example.test", "MX", "5 b.test.")
    dmarc = Expected("dmarc", "example.test", "TXT", frozenset({"v=DMARC1; p=none"}))
    observed = look(servers, SPF_WANTED, MX, dmarc, SPF_WANTED)
    assert [o.own.verdict for o in observed] == ["matches", "conflicts", "missing", "matches"]
    for server in servers:
        assert sorted(rdtype for _, rdtype, _ in server.asked) == ["MX", "TXT"]


def test_a_resolver_may_also_be_a_nameserver(servers: list[FakeServer]) -> None:
    """One address, asked in both roles: with and without recursion are two questions."""
    own = servers[0]
    own.add("example.test", "MX", "10 mx.example.test.")
    [observed] = look([own, own], MX)
    assert (observed.own.verdict, observed.resolvers[0].verdict) == ("matches", "matches")
    assert len(own.asked) == 2


def test_nothing_to_watch_is_nothing_seen(servers: list[FakeServer]) -> None:
    assert look(servers) == []


# --- The rules -------------------------------------------------------------------------------


def seen(word: str) -> Sighting:
    """`matches`, `missing:60` (with a TTL), ..."""
    verdict, _, ttl = word.partition(":")
    return Sighting("R", verdict, ttl=int(ttl) if ttl else None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "resolvers", "status", "percentage", "cached_for"),
    [
        # Nobody has it.
        ("missing", "missing missing", "pending", 0, None),
        ("missing", "missing:60 conflicts:60", "pending", 0, None),
        ("unknown", "missing:60 unknown", "pending", 0, None),
        ("unknown", "unknown unknown", "pending", 0, None),
        ("missing", "", "pending", 0, None),
        # Some have it.
        ("matches", "missing:60 conflicts:300 unknown", "propagating", 0, 300),
        ("matches", "matches missing:60", "propagating", 50, 60),
        ("matches", "matches matches missing", "propagating", 66, None),
        ("matches", "unknown unknown", "propagating", 0, None),
        ("unknown", "matches conflicts:60", "propagating", 50, None),
        ("missing", "matches missing:60", "propagating", 50, None),
        ("missing", "matches matches", "propagating", 99, None),
        ("matches", "missing:99999999", "propagating", 0, 7 * 86_400),
        # All who answered have it.
        ("matches", "matches matches", "propagated", 100, None),
        ("matches", "matches matches unknown", "propagated", 100, None),
        ("unknown", "matches matches unknown", "propagated", 100, None),
        # Too few answered.
        ("matches", "matches unknown", "propagating", 99, None),
        ("matches", "matches unknown unknown unknown", "propagating", 99, None),
        ("unknown", "matches unknown", "propagating", 99, None),
        ("matches", "matches matches unknown unknown", "propagating", 99, None),
        ("matches", "matches matches matches unknown", "propagated", 100, None),
        # The zone itself says something else.
        ("conflicts", "missing missing", "failed", 0, None),
        ("conflicts:60", "matches matches", "failed", 99, None),
        ("conflicts", "unknown", "failed", 0, None),
    ],
)
def test_the_status_of_a_record(
    own: str, resolvers: str, status: str, percentage: int, cached_for: int | None
) -> None:
    found = summarise(seen(own), [seen(word) for word in resolvers.split()], now=NOW)
    assert (found.status, found.percentage) == (status, percentage)
    assert found.cached_until == (
        None if cached_for is None else NOW + timedelta(seconds=cached_for)
    )


@pytest.mark.parametrize(
    ("nameservers", "together", "why"),
    [
        ("matches matches", "matches", ""),
        ("matches unknown", "matches", ""),
        ("matches missing", "missing", "R: matches; R: missing"),
        ("missing conflicts", "conflicts", "R: missing; R: conflicts"),
        ("unknown unknown", "unknown", "R: ; R: "),
        ("", "unknown", "none was asked"),
    ],
)
def test_nameservers_speak_together(nameservers: str, together: str, why: str) -> None:
    own = combine([seen(word) for word in nameservers.split()])
    assert (own.verdict, own.why) == (together, why)


verdicts = st.sampled_from(["matches", "missing:60", "conflicts:60"])


@given(own=verdicts | st.just("unknown"), resolvers=st.lists(verdicts), silent=st.integers(0, 5))
def test_resolvers_that_do_not_answer_can_only_hold_a_record_back(
    own: str, resolvers: list[str], silent: int
) -> None:
    heard = [seen(word) for word in resolvers]
    without = summarise(seen(own), heard, now=NOW)
    with_them = summarise(seen(own), [*heard, *[seen("unknown")] * silent], now=NOW)
    assert with_them.asked == without.asked + silent
    assert with_them.cached_until == without.cached_until
    if without.status == "propagated" and silent >= len(heard):
        assert (with_them.status, with_them.percentage) == ("propagating", 99)
    else:
        assert (with_them.status, with_them.percentage) == (without.status, without.percentage)


@pytest.mark.parametrize(
    ("resolvers", "told"),
    [
        ("matches matches missing matches", "seen by 3 of 4"),
        ("matches unknown unknown unknown", "seen by 1 of 1 that answered; 3 did not answer"),
        ("matches missing matches unknown", "seen by 2 of 3 that answered; 1 did not answer"),
        ("unknown unknown", "none of 2 resolvers answered"),
    ],
)
def test_what_is_known_is_told_with_what_is_not(resolvers: str, told: str) -> None:
    found = summarise(seen("matches"), [seen(word) for word in resolvers.split()], now=NOW)
    assert str(found) == told


def record(status: str, percentage: int, cached_for: int | None = None) -> RecordStatus:
    until = None if cached_for is None else NOW + timedelta(seconds=cached_for)
    return RecordStatus(status, percentage, 0, 0, 4, until)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "percentage", "done_in"),
    [
        ([], 0, None),
        ([record("propagated", 100)], 100, None),
        ([record("propagated", 100), record("propagating", 50, 60)], 75, 60),
        ([record("propagating", 50, 60), record("propagating", 0, 300)], 25, 300),
        ([record("propagating", 50, 60), record("pending", 0)], 25, None),
        # The resolvers have it all, but the zone lost a record: that is not the whole.
        ([record("propagated", 100), record("propagating", 100)], 99, None),
    ],
)
def test_the_session_as_a_whole(
    statuses: list[RecordStatus], percentage: int, done_in: int | None
) -> None:
    assert overall_percentage(statuses) == percentage
    assert estimated_completion(statuses, now=NOW) == (
        None if done_in is None else NOW + timedelta(seconds=done_in)
    )


def test_a_moment_that_has_passed_is_no_estimate() -> None:
    late = [record("propagating", 50, 60)]
    assert estimated_completion(late, now=NOW + timedelta(seconds=59)) is not None
    for seconds in (60, 3600):
        assert estimated_completion(late, now=NOW + timedelta(seconds=seconds)) is None


# --- Names that the zone leaves to others ----------------------------------------------------


def elsewhere(servers: list[FakeServer], wanted: Expected) -> Observed:
    own, *resolvers = servers

    async def story() -> list[Observed]:
        async with DNSClient(timeout=0.3) as client:
            watch = Watch(0, (own.as_server("ada.ns"),), wanted, "example.test")
            return await sweep(client, [watch], [one.as_server() for one in resolvers])

    (observed,) = asyncio.run(story())
    return observed


DKIM_NAME = "s1._domainkey.example.test"
DKIM_WANTED = Expected("dkim", DKIM_NAME, "TXT", frozenset({"v=DKIM1; p=QUJD"}))


def test_a_delegated_name_is_a_conflict_until_the_vendor_has_the_record(
    servers: list[FakeServer],
) -> None:
    own, *resolvers = servers
    own.delegate("_domainkey.example.test", "ns1.vendor.test")
    observed = elsewhere(servers, DKIM_WANTED)
    assert (observed.own.verdict, observed.own.found) == (
        "conflicts",
        ("NS ns1.vendor.test at _domainkey.example.test",),
    )
    assert "Enter TXT s1._domainkey.example.test there" in observed.own.why
    assert "v=DKIM1; p=QUJD" in observed.own.why
    resolvers[0].add(DKIM_NAME, "TXT", '"v=DKIM1; p=QUJD"')
    some = elsewhere(servers, DKIM_WANTED)
    assert some.own.verdict == "unknown"
    assert summarise(some.own, some.resolvers, now=NOW).status == "propagating"
    for resolver in resolvers:
        resolver.add(DKIM_NAME, "TXT", '"v=DKIM1; p=QUJD"')
    everywhere = elsewhere(servers, DKIM_WANTED)
    assert everywhere.own.verdict == "matches"
    assert summarise(everywhere.own, everywhere.resolvers, now=NOW).status == "propagated"


def test_an_alias_to_somebody_else_is_a_conflict(servers: list[FakeServer]) -> None:
    servers[0].add("_dmarc.example.test", "CNAME", "ada.dmarc.vendor.test.")
    wanted = Expected("dmarc", "_dmarc.example.test", "TXT", frozenset({"v=DMARC1; p=none"}))
    observed = elsewhere(servers, wanted)
    assert (observed.own.verdict, observed.own.found) == (
        "conflicts",
        ("alias of ada.dmarc.vendor.test",),
    )


def test_a_lame_nameserver_that_refers_upwards_says_nothing(servers: list[FakeServer]) -> None:
    for zone in (".", "test", "example.test"):
        servers[0].delegate(zone, "a.root-servers.test")
        observed = elsewhere(servers, DKIM_WANTED)
        assert (observed.own.verdict, observed.own.is_elsewhere) == ("unknown", False)
