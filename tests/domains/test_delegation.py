"""What the parent zone says about a domain, asked over a small DNS tree of its own.

The root is at 127.0.0.71; the zone "test" has two servers, a.nic.test and b.nic.test.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.rcode
import pytest

from domains.delegation import DelegationReport, observe_delegation, observe_delegations
from mpanel.dns.client import DNSClient, Server
from tests.dnsservers import FakeServer, Message, dns_servers, failing, silent

OURS = ("ada.ns.example.net", "bo.ns.example.net")
PARKED = ("ns1.parking.test", "ns2.parking.test")
NIC = {"a.nic.test": "127.0.0.72", "b.nic.test": "127.0.0.73"}


@dataclass
class Tree:
    root: FakeServer
    a: FakeServer
    b: FakeServer
    other: FakeServer  # wherever a story needs one more

    @property
    def registry(self) -> tuple[FakeServer, FakeServer]:
        return self.a, self.b

    def delegate(self, domain: str, *nameservers: str, ttl: int = 7200) -> None:
        for server in self.registry:
            server.delegate(domain, *nameservers, ttl=ttl)

    def observe(self, domain: str, expected: tuple[str, ...] = OURS) -> DelegationReport:
        [report] = self.observe_all([(domain, expected)])
        return report

    def observe_all(
        self, domains: list[tuple[str, tuple[str, ...]]], *, timeout: float = 0.9
    ) -> list[DelegationReport]:
        async def story() -> list[DelegationReport]:
            async with DNSClient(timeout=timeout) as client:
                return await observe_delegations(
                    client, domains, roots=[self.root.as_server("root")], port=self.root.port
                )

        return asyncio.run(story())


@pytest.fixture
def tree() -> Iterator[Tree]:
    with dns_servers("127.0.0.71", "127.0.0.72", "127.0.0.73", "127.0.0.74") as servers:
        tree = Tree(*servers)
        tree.root.serve(".").delegate("test", *NIC, glue=NIC)
        for server in tree.registry:
            server.serve("test").add("test", "NS", *(f"{host}." for host in NIC))
        yield tree


def test_the_expected_nameservers_in_any_case_and_order_match(tree: Tree) -> None:
    tree.delegate("example.test", "BO.ns.example.net", "Ada.NS.example.net")
    report = tree.observe("Example.TEST.", ("Ada.ns.example.net.", "bo.NS.example.net"))
    assert report.verdict == "matches"
    assert report.domain == "example.test"
    assert report.found == report.expected == OURS
    assert (report.extra, report.missing) == ((), ())
    assert report.parent == "test"
    assert report.ttl == 7200
    assert [(str(server), said) for server, said in report.asked] == [
        ("a.nic.test", "ada.ns.example.net, bo.ns.example.net"),
        ("b.nic.test", "ada.ns.example.net, bo.ns.example.net"),
    ]


def test_one_domain_can_be_asked_about_alone(tree: Tree) -> None:
    tree.delegate("example.test", *OURS)

    async def story() -> DelegationReport:
        async with DNSClient(timeout=0.9) as client:
            return await observe_delegation(
                client,
                "example.test",
                OURS,
                roots=[Server("127.0.0.71", tree.root.port)],
                port=tree.root.port,
            )

    assert asyncio.run(story()).verdict == "matches"


def test_an_unregistered_domain_is_missing(tree: Tree) -> None:
    report = tree.observe("nobody.test")
    assert (report.verdict, report.found, report.ttl) == ("missing", (), None)
    assert "the test zone knows no domain nobody.test" in report.message.lower()
    assert {said for _, said in report.asked} == {"no such domain"}


def test_a_domain_without_nameservers_is_missing(tree: Tree) -> None:
    for server in tree.registry:
        server.add("held.test", "TXT", '"on hold"')
    report = tree.observe("held.test")
    assert report.verdict == "missing"
    assert "has no nameservers in the test zone" in report.message


def test_a_top_level_that_does_not_exist_is_missing(tree: Tree) -> None:
    report = tree.observe("example.nowhere")
    assert (report.verdict, report.parent) == ("missing", ".")
    assert "the root zone" in report.message.lower()


def test_other_nameservers_differ(tree: Tree) -> None:
    tree.delegate("example.test", *PARKED, ttl=86_400)
    report = tree.observe("example.test")
    assert (report.verdict, report.found) == ("differs", PARKED)
    assert (report.extra, report.missing, report.ttl) == (PARKED, OURS, 86_400)
    assert report.message == (
        "example.test is delegated to ns1.parking.test and ns2.parking.test; expected: "
        "ada.ns.example.net and bo.ns.example.net. Set ada.ns.example.net and bo.ns.example.net "
        "at your registrar. Registries publish a change within minutes to 48 hours, and resolvers "
        "may remember the old nameservers for 1 day after it."
    )


@pytest.mark.parametrize(
    ("there", "todo"),
    [
        ((OURS[0],), "Add bo.ns.example.net at your registrar."),
        ((*OURS, PARKED[0]), "Remove ns1.parking.test at your registrar."),
        (
            (OURS[0], PARKED[0]),
            "Add bo.ns.example.net and remove ns1.parking.test at your registrar.",
        ),
    ],
)
def test_a_mixture_says_what_to_add_and_remove(
    tree: Tree, there: tuple[str, ...], todo: str
) -> None:
    tree.delegate("example.test", *there)
    report = tree.observe("example.test")
    assert report.verdict == "differs"
    assert todo in report.message


def test_parent_servers_that_disagree_show_a_change_on_its_way(tree: Tree) -> None:
    tree.a.delegate("example.test", *OURS)
    tree.b.delegate("example.test", *PARKED)
    report = tree.observe("example.test")
    assert (report.verdict, set(report.found)) == ("differs", {*OURS, *PARKED})
    assert report.message.startswith("The change is on its way: some servers of the test zone")
    tree.a.delegate("example.test", "ns.elsewhere.test")
    report = tree.observe("example.test")
    assert report.verdict == "differs"
    assert "disagree about example.test" in report.message


def test_a_registration_that_only_one_server_knows_is_on_its_way(tree: Tree) -> None:
    tree.a.delegate("example.test", *OURS)
    report = tree.observe("example.test")
    assert report.verdict == "differs"
    assert "some still say no nameservers" in report.message


def without_authority(_query: Message, reply: Message) -> list[bytes]:
    reply.authority.clear()
    reply.flags &= ~dns.flags.AA
    reply.set_rcode(dns.rcode.NXDOMAIN)
    return [reply.to_wire()]


def upward(query: Message, _reply: Message) -> list[bytes]:
    """The referral to the root that lame servers used to give."""
    reply = dns.message.make_response(query)
    reply.authority.append(dns.rrset.from_text(".", 60, "IN", "NS", "a.root-servers.invalid."))
    return [reply.to_wire()]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (silent, "did not answer within 0.9 s"),
        (failing(dns.rcode.SERVFAIL), "SERVFAIL"),
        (failing(dns.rcode.REFUSED), "refused"),
        (without_authority, "does not serve the test zone"),
        (upward, "referred to ."),
        (lambda _query, _reply: [b"noise"], "did not answer within 0.9 s"),
    ],
)
@pytest.mark.parametrize(("there", "verdict"), [(OURS, "matches"), (PARKED, "differs")])
def test_one_bad_server_is_listed_and_flips_nothing(
    tree: Tree, trouble, said: str, there: tuple[str, ...], verdict: str
) -> None:
    tree.delegate("example.test", *there)
    tree.a.always = trouble
    report = tree.observe("example.test")
    assert (report.verdict, report.found) == (verdict, there)
    assert report.asked[0][1] == said


def test_nobody_to_ask_is_unknown_and_never_missing(tree: Tree) -> None:
    tree.a.always, tree.b.always = silent, failing(dns.rcode.SERVFAIL)
    report = tree.observe("example.test")
    assert (report.verdict, report.found) == ("unknown", ())
    assert "a.nic.test: did not answer within 0.9 s; b.nic.test: SERVFAIL" in report.message


def test_a_dead_root_is_unknown(tree: Tree) -> None:
    tree.root.always = silent
    report = tree.observe("example.test")
    assert (report.verdict, report.asked) == ("unknown", ())
    assert "did not answer within 0.9 s" in report.message


def test_a_silent_server_on_the_way_is_overtaken(tree: Tree) -> None:
    for server in tree.registry:
        server.delegate("co.test", "ns.co.test", glue={"ns.co.test": "127.0.0.74"})
    tree.other.serve("co.test").delegate("example.co.test", *OURS)
    tree.a.always = silent
    # Had anything waited for the silent one, the test would not end.
    [report] = tree.observe_all([("example.co.test", OURS)], timeout=3600)
    assert report.verdict == "matches"
    assert tree.a.asked


def test_public_suffixes_may_be_zones_of_their_own(tree: Tree) -> None:
    for server in tree.registry:
        server.delegate("co.test", "ns.co.test", glue={"ns.co.test": "127.0.0.74"})
    tree.other.serve("co.test").delegate("example.co.test", *OURS)
    report = tree.observe("example.co.test")
    assert (report.verdict, report.parent) == ("matches", "co.test")
    assert [str(server) for server, _ in report.asked] == ["ns.co.test"]


def test_public_suffixes_may_be_served_by_the_zone_above(tree: Tree) -> None:
    """As co.uk is by the servers of uk: they answer with authority instead of referring."""
    for server in tree.registry:
        server.serve("co.test").add("co.test", "NS", *(f"{host}." for host in NIC))
        server.add("a.nic.test", "A", NIC["a.nic.test"]).add("b.nic.test", "A", NIC["b.nic.test"])
    tree.delegate("example.co.test", *OURS)
    report = tree.observe("example.co.test")
    assert (report.verdict, report.parent) == ("matches", "co.test")
    assert len(report.asked) == 2


@pytest.mark.parametrize("denies", [True, False])
def test_public_suffixes_may_be_no_zones_at_all(tree: Tree, *, denies: bool) -> None:
    """The name in between has no records; some servers even deny it (against RFC 8020)."""
    if not denies:
        for server in tree.registry:
            server.add("other.co.test", "TXT", '"x"')
    tree.delegate("example.co.test", *OURS)
    report = tree.observe("example.co.test")
    assert (report.verdict, report.parent) == ("matches", "test")


def test_a_parent_that_has_the_domain_itself_answers_for_it(tree: Tree) -> None:
    for server in tree.registry:
        server.serve("example.test").add("example.test", "NS", *(f"{host}." for host in OURS))
    report = tree.observe("example.test")
    assert (report.verdict, report.ttl) == ("matches", 300)


def test_names_beyond_ascii_are_asked_in_punycode(tree: Tree) -> None:
    tree.delegate("xn--bcher-kva.test", *OURS)
    report = tree.observe("Bücher.test")
    assert (report.verdict, report.domain) == ("matches", "xn--bcher-kva.test")


def test_missing_glue_is_looked_up(tree: Tree) -> None:
    """The servers of "test" are named in another top level, which has to be found first."""
    tree.root.delegate("test", "ns.operator.other")
    tree.root.delegate("other", "ns.other", glue={"ns.other": "127.0.0.74"})
    tree.other.serve("other").add("ns.operator.other", "A", "127.0.0.72")
    tree.delegate("example.test", *OURS)
    report = tree.observe("example.test")
    assert report.verdict == "matches"
    assert report.asked[0][0] == Server("127.0.0.72", tree.root.port, "ns.operator.other")


def test_missing_glue_of_a_nameserver_with_a_zone_of_its_own_is_looked_up(tree: Tree) -> None:
    tree.root.delegate("test", "operator.other")
    tree.root.delegate("other", "ns.other", glue={"ns.other": "127.0.0.74"})
    tree.other.serve("other")
    tree.other.delegate("operator.other", "operator.other", glue={"operator.other": "127.0.0.73"})
    tree.b.serve("operator.other").add("operator.other", "A", "127.0.0.72")
    tree.delegate("example.test", *OURS)
    assert tree.observe("example.test").verdict == "matches"


def test_glue_that_is_there_suffices_if_the_rest_cannot_be_found(tree: Tree) -> None:
    tree.root.delegate("test", "a.nic.test", "ns.lost.nowhere", glue={"a.nic.test": "127.0.0.72"})
    tree.delegate("example.test", *OURS)
    report = tree.observe("example.test")
    assert (report.verdict, len(report.asked)) == ("matches", 1)


def test_nameservers_that_need_each_other_end_as_unknown(tree: Tree) -> None:
    tree.root.delegate("test", "ns.here.other")
    tree.root.delegate("other", "ns.there.test")
    report = tree.observe("example.test")
    assert report.verdict == "unknown"
    assert "no nameserver of test has an address" in report.message
    assert len(tree.root.asked) < 20


def test_endless_delegations_end_as_unknown(tree: Tree) -> None:
    """Every question is referred to six new nameservers without glue."""

    def refer(query: Message, _reply: Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        owner = query.question[0].name
        hosts = [f"ns{number}.x{len(tree.root.asked)}." for number in range(6)]
        reply.authority.append(dns.rrset.from_text(owner, 60, "IN", "NS", *hosts))
        return [reply.to_wire()]

    tree.root.always = refer
    report = tree.observe("example.test")
    assert report.verdict == "unknown"
    # Each question may be sent twice, where an answer was late.
    assert len(set(tree.root.asked)) <= 60


def test_a_referral_up_or_aside_is_not_followed(tree: Tree) -> None:
    tree.a.always = tree.b.always = upward
    report = tree.observe("example.test")
    assert (report.verdict, {said for _, said in report.asked}) == ("unknown", {"referred to ."})


def test_glue_inside_our_network_is_not_asked_from_public_roots(tree: Tree) -> None:
    """Here the only public root is out of reach, so the rule is looked at where it stands."""
    from domains.referrals import Tree as Zones

    async def story() -> list[bool]:
        async with DNSClient() as client:
            public = Zones(client, [Server("198.41.0.4")], 53)
            private = Zones(client, [tree.root.as_server()], 53)
            return [
                public.may_ask("192.0.2.1"), public.may_ask("10.0.0.1"), public.may_ask("::1"),
                public.may_ask("8.8.8.8"), private.may_ask("127.0.0.72"),
            ]  # fmt: skip

    assert asyncio.run(story()) == [False, False, False, True, True]


def test_batches_answer_in_order_and_ask_what_is_above_once(tree: Tree) -> None:
    domains = [f"d{number}.test" for number in range(23)]
    for number, domain in enumerate(domains):
        if number % 3 == 0:
            tree.delegate(domain, *OURS)
        elif number % 3 == 1:
            tree.delegate(domain, *PARKED)
    reports = tree.observe_all([(domain, OURS) for domain in domains])
    assert [report.domain for report in reports] == domains
    assert [report.verdict for report in reports] == [
        ("matches", "differs", "missing")[number % 3] for number in range(23)
    ]
    assert len(tree.root.asked) <= 5  # the first batch, before the answer is known


@pytest.mark.parametrize("domain", ["", ".", "a..test", "x" * 64 + ".test"])
def test_what_is_no_domain_is_refused(tree: Tree, domain: str) -> None:
    with pytest.raises(ValueError):
        tree.observe(domain)
