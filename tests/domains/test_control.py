"""What proves that a domain is a tenant's, asked over a small DNS tree of its own.

The root is at 127.0.0.81, the zone "test" at 127.0.0.82; the zone's two nameservers are at .83 and
.84, a stranger's at .85.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import dns.dnssec
import dns.rcode
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from domains.control import Claim, ControlReport, observe_control, proof_name, proof_text
from mpanel.dns.client import DNSClient
from tests.dnsservers import FakeServer, dns_servers, failing, silent

NAME = "example.test"
CLAIM = Claim(NAME, ("ns1.host.test", "ns2.host.test"), "a-token-of-ada")
HOST = {"ns1.host.test": "127.0.0.83", "ns2.host.test": "127.0.0.84"}
STRANGER = {"ns1.stranger.test": "127.0.0.85"}


@dataclass
class World:
    root: FakeServer
    registry: FakeServer
    one: FakeServer
    two: FakeServer
    stranger: FakeServer
    six: FakeServer

    @property
    def hosts(self) -> tuple[FakeServer, FakeServer]:
        return self.one, self.two

    def write(self, text: str, *servers: FakeServer) -> None:
        for server in servers or self.hosts:
            server.add(proof_name(NAME), "TXT", f'"{text}"')

    def look(self, claim: Claim = CLAIM) -> ControlReport:
        async def story() -> list[ControlReport]:
            async with DNSClient(timeout=0.3) as client:
                roots = [self.root.as_server("root")]
                return await observe_control(client, [claim], roots=roots, port=self.root.port)

        (report,) = asyncio.run(story())
        return report


@pytest.fixture
def world() -> Iterator[World]:
    """The domain is delegated to the host's nameservers, whose zone is empty."""
    with dns_servers(*(f"127.0.0.{number}" for number in range(81, 86)), "::1") as servers:
        world = World(*servers)
        nic = {"a.nic.test": "127.0.0.82"}
        world.root.serve(".").delegate("test", *nic, glue=nic)
        world.registry.serve("test").delegate(NAME, *HOST, glue=HOST)
        world.stranger.serve(NAME).add(NAME, "A", "192.0.2.1")
        for server in world.hosts:
            server.serve(NAME).add(NAME, "A", "192.0.2.1")
        yield world


def test_delegation_and_token_together_prove_control(world: World) -> None:
    world.write(proof_text(CLAIM.token))
    report = world.look()
    assert (report.proof, report.is_proved, report.is_kept) == ("proved", True, True)
    assert [str(server) for server, _ in report.asked] == sorted(HOST)


def test_a_delegation_alone_proves_nothing(world: World) -> None:
    report = world.look()
    assert report.delegation.verdict == "matches"
    assert (report.proof, report.is_proved) == ("missing", False)
    assert proof_name(NAME) in report.message


def test_a_stranger_s_nameservers_typed_as_ours_prove_nothing(world: World) -> None:
    """Ada types the nameservers of somebody else's domain into a credential of hers."""
    world.registry.delegate(NAME, *STRANGER, glue=STRANGER)
    world.write(proof_text(CLAIM.token))  # into the zone at our own server, which nobody asks
    report = world.look(replace(CLAIM, nameservers=tuple(STRANGER)))
    assert report.delegation.verdict == "matches"
    assert (report.proof, report.is_proved) == ("missing", False)


def test_the_token_of_another_tenant_proves_nothing(world: World) -> None:
    world.write(proof_text("a-token-of-cy"))
    assert world.look().proof == "missing"
    world.write("V=spf1 " + proof_text(CLAIM.token))
    assert world.look().proof == "missing"


def test_every_nameserver_that_answers_must_have_the_token(world: World) -> None:
    world.write(proof_text(CLAIM.token), world.one)
    report = world.look()
    assert (report.proof, report.is_proved, report.is_kept) == ("partly", False, True)
    assert "ns2.host.test" in report.message
    world.two.always = silent
    assert world.look().proof == "proved"


@pytest.mark.parametrize(
    "trouble", [silent, failing(dns.rcode.SERVFAIL), failing(dns.rcode.REFUSED)]
)
def test_what_cannot_be_asked_is_unknown_and_not_missing(world: World, trouble: object) -> None:
    world.write(proof_text(CLAIM.token))
    for server in world.hosts:
        server.always = trouble  # type: ignore[assignment]
    report = world.look()
    assert (report.proof, report.is_proved, report.is_kept) == ("unknown", False, False)
    assert not report.is_delegated_elsewhere
    assert "says nothing about the domain" in report.message


def test_an_answer_without_authority_counts_for_nothing(world: World) -> None:
    world.write(proof_text(CLAIM.token))
    for server in world.hosts:
        server.is_resolver = True
    assert world.look().proof == "unknown"


def test_a_token_behind_an_alias_counts_for_nothing(world: World) -> None:
    for server in world.hosts:
        server.add(proof_name(NAME), "CNAME", "elsewhere.example.test.")
        server.add("elsewhere.example.test", "TXT", f'"{proof_text(CLAIM.token)}"')
    assert world.look().proof == "missing"


def test_a_domain_that_is_delegated_elsewhere_is_not_asked_for_the_token(world: World) -> None:
    world.registry.delegate(NAME, *STRANGER, glue=STRANGER)
    report = world.look()
    assert (report.proof, report.asked, report.is_delegated_elsewhere) == ("not_asked", (), True)
    assert not world.stranger.asked
    world.registry.delegate(NAME, "ns1.host.test", *STRANGER, glue=HOST | STRANGER)
    world.write(proof_text(CLAIM.token))
    partly = world.look()
    assert (partly.is_proved, partly.is_kept) == (False, True), "one of ours is still there"


def test_nameservers_that_have_ipv6_only_are_asked(world: World) -> None:
    host = {"ns1.host.test": "::1"}
    world.registry.delegate(NAME, *host, glue=host)
    world.six.serve(NAME)
    world.write(proof_text(CLAIM.token), world.six)
    assert world.look(replace(CLAIM, nameservers=tuple(host))).is_proved
    # Without glue, the address is asked for.
    world.registry.delegate(NAME, "ns1.host6.test").add("ns1.host6.test", "AAAA", "::1")
    assert world.look(replace(CLAIM, nameservers=("ns1.host6.test",))).is_proved


# --- DS records ------------------------------------------------------------------------------


def keys_of(name: str) -> tuple[str, str]:
    """A zone's DNSKEY and its DS, as in a zone file."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", flags=257)
    return key.to_text(), dns.dnssec.make_ds(f"{name}.", key, "SHA256").to_text()


def publish(world: World, *records: str) -> None:
    """The registry's DS records of the domain."""
    world.registry.add(NAME, "DS", *records)


def test_a_ds_for_a_zone_that_is_not_signed_is_named(world: World) -> None:
    _, ds = keys_of(NAME)
    publish(world, ds)
    report = world.look()
    assert report.stale_ds == (ds,)
    assert "The test zone has a DS record for example.test" in report.message
    assert ds.split()[0] in report.message
    assert "Remove it at your registrar" in report.message


def test_a_ds_that_fits_another_key_is_named_and_one_that_fits_is_not(world: World) -> None:
    (key, ds), (_, other) = keys_of(NAME), keys_of(NAME)
    for server in world.hosts:
        server.add(NAME, "DNSKEY", key)
    publish(world, other)
    assert world.look().stale_ds == (other,)
    publish(world, ds, other)
    assert world.look().stale_ds == (), "resolvers need one that fits"


def test_a_ds_is_looked_at_before_the_nameservers_are_changed(world: World) -> None:
    """It fits the zone at the provider before, so the switch would break the domain."""
    key, ds = keys_of(NAME)
    world.registry.delegate(NAME, *STRANGER, glue=STRANGER).delegate("host.test", *HOST, glue=HOST)
    for server in world.hosts:
        server.serve("host.test")
        for host, address in HOST.items():
            server.add(host, "A", address)
    world.stranger.add(NAME, "DNSKEY", key)
    publish(world, ds)
    report = world.look()
    assert (report.delegation.verdict, report.stale_ds) == ("differs", (ds,))


def test_whether_a_ds_fits_is_unknown_while_nobody_answers(world: World) -> None:
    _, ds = keys_of(NAME)
    publish(world, ds)
    for server in world.hosts:
        server.always = silent
    assert world.look().stale_ds is None


def test_no_ds_is_no_trouble(world: World) -> None:
    assert world.look().stale_ds == ()
