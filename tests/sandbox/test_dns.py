"""The DNS servers, asked with real packets."""

import shutil
import socket
import struct
import subprocess
import time

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from dns.rdatatype import RdataType

from tests.sandboxes import NAMESERVERS, REGISTRY, RESOLVERS, RunningSandbox, wait_until

from .conftest import cloudflare_client, make_zone

FIRST, SECOND = NAMESERVERS
RESOLVER = RESOLVERS[0]


def answers(message: dns.message.Message) -> list[str]:
    return sorted(rdata.to_text() for rrset in message.answer for rdata in rrset)


def authority(message: dns.message.Message, kind: RdataType) -> list[str]:
    return sorted(
        rdata.to_text() for rrset in message.authority if rrset.rdtype == kind for rdata in rrset
    )


@pytest.fixture
def zone(cloudflare, sandbox):
    """A delegated zone with a few records; its name."""
    make_zone(cloudflare)
    sandbox.set_nameservers("example.test")
    add = sandbox.change_record
    add("example.test", "add", type="TXT", name="@", content="v=spf1 -all")
    add("example.test", "add", type="MX", name="@", content="mx.example.test", priority=10)
    add("example.test", "add", type="A", name="mx", content="192.0.2.1", ttl=120)
    add("example.test", "add", type="TXT", name="s1._domainkey", content="x" * 300)
    add("example.test", "add", type="CNAME", name="alias", content="mx.example.test")
    add("example.test", "add", type="CNAME", name="track", content="open.sleadtrack.com")
    return "example.test"


class TestRegistry:
    def test_unregistered_name_does_not_exist(self, sandbox):
        reply = sandbox.ask(REGISTRY, "nobody.test", "NS")
        assert reply.rcode() == dns.rcode.NXDOMAIN
        assert reply.flags & dns.flags.AA
        assert [str(rrset.name) for rrset in reply.authority] == ["test."]

    def test_new_domain_is_parked(self, cloudflare, sandbox):
        make_zone(cloudflare)
        reply = sandbox.ask(REGISTRY, "example.test", "NS")
        assert reply.answer == []
        assert not reply.flags & dns.flags.AA
        assert authority(reply, RdataType.NS) == [
            "ns1.parking-sandbox.test.",
            "ns2.parking-sandbox.test.",
        ]

    def test_delegation_is_a_referral_with_glue(self, cloudflare, sandbox):
        zone = cloudflare.zones.get(zone_id=make_zone(cloudflare))
        sandbox.set_nameservers("example.test")
        reply = sandbox.ask(REGISTRY, "www.example.test", "A")
        assert [str(rrset.name) for rrset in reply.authority] == ["example.test."]
        assert authority(reply, RdataType.NS) == sorted(f"{ns}." for ns in zone.name_servers)
        glue = {
            str(rrset.name).rstrip("."): rdata.address
            for rrset in reply.additional
            for rdata in rrset
        }
        assert glue == dict(zip(zone.name_servers, NAMESERVERS, strict=True))

    def test_parent_zones_exist(self, sandbox):
        sandbox.set_nameservers("example.co.uk", ["ns1.elsewhere.test"])
        for parent in (".", "test", "uk"):
            assert answers(sandbox.ask(REGISTRY, parent, "NS")) == ["a.registry-sandbox.test."]
        assert sandbox.ask(REGISTRY, "co.uk", "NS").rcode() == dns.rcode.NOERROR
        assert sandbox.ask(REGISTRY, "org.uk", "NS").rcode() == dns.rcode.NXDOMAIN

    def test_fixed_names(self, sandbox):
        assert sandbox.texts(REGISTRY, "_spf.mail-sandbox.test", "TXT") == [
            '"v=spf1 ip4:127.0.0.1 -all"'
        ]
        assert sandbox.texts(REGISTRY, "mx.mail-sandbox.test", "A") == ["127.0.0.1"]
        assert sandbox.texts(REGISTRY, "example-test.mail.protection.outlook.com", "A")


class TestNameservers:
    def test_answer_exactly_what_is_in_the_zone(self, zone, sandbox):
        for address in NAMESERVERS:
            reply = sandbox.ask(address, zone, "TXT")
            assert reply.flags & dns.flags.AA
            assert answers(reply) == ['"v=spf1 -all"']
            assert reply.answer[0].ttl == 300
        assert sandbox.texts(FIRST, zone, "MX") == ["10 mx.example.test."]
        assert sandbox.ask(FIRST, "mx.example.test", "A").answer[0].ttl == 120
        assert sandbox.texts(FIRST, "s1._domainkey.example.test", "TXT") == [
            f'"{"x" * 255}" "{"x" * 45}"'
        ]

    def test_change_shows_at_once(self, zone, sandbox):
        sandbox.change_record(zone, "replace", type="TXT", name="@", content="v=spf1 ~all")
        assert sandbox.texts(FIRST, zone, "TXT") == ['"v=spf1 ~all"']
        sandbox.change_record(zone, "delete", type="TXT", name="@")
        assert sandbox.texts(FIRST, zone, "TXT") == []

    def test_negative_answers_carry_the_soa(self, zone, sandbox):
        absent = sandbox.ask(FIRST, "nothing.example.test", "A")
        assert (absent.rcode(), len(authority(absent, RdataType.SOA))) == (dns.rcode.NXDOMAIN, 1)
        for name, kind in ((zone, "A"), ("_domainkey.example.test", "TXT")):
            empty = sandbox.ask(FIRST, name, kind)
            assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, [])
            assert len(authority(empty, RdataType.SOA)) == 1

    def test_apex_has_soa_and_its_own_nameservers(self, zone, sandbox):
        assigned = sandbox.delegations()[zone]
        assert sandbox.texts(FIRST, zone, "NS") == sorted(f"{name}." for name in assigned)
        assert len(sandbox.texts(FIRST, zone, "SOA")) == 1

    def test_alias_is_followed_inside_the_zone_only(self, zone, sandbox):
        assert sandbox.texts(FIRST, "alias.example.test", "A") == ["192.0.2.1", "mx.example.test."]
        assert sandbox.texts(FIRST, "track.example.test", "A") == ["open.sleadtrack.com."]

    def test_names_are_compared_without_case(self, zone, sandbox):
        assert sandbox.texts(FIRST, "MX.Example.TEST", "A") == ["192.0.2.1"]

    def test_foreign_domain_is_refused(self, zone, sandbox):
        assert sandbox.ask(FIRST, "elsewhere.test", "A").rcode() == dns.rcode.REFUSED

    def test_delegation_inside_a_zone_is_a_referral(self, zone, sandbox):
        sandbox.change_record(zone, "add", type="NS", name="sub", content="ns1.elsewhere.test")
        reply = sandbox.ask(FIRST, "www.sub.example.test", "A")
        assert not reply.flags & dns.flags.AA
        assert authority(reply, RdataType.NS) == ["ns1.elsewhere.test."]

    def test_proxied_name_hides_its_address(self, zone, sandbox):
        sandbox.change_record(zone, "add", type="A", name="www", content="192.0.2.9", proxied=True)
        assert sandbox.texts(FIRST, "www.example.test", "A") == ["192.0.2.80"]

    def test_what_stands_beside_a_proxied_address_is_served(self, zone, sandbox):
        sandbox.change_record(zone, "add", type="A", name="@", content="192.0.2.9", proxied=True)
        assert sandbox.texts(FIRST, zone, "A") == ["192.0.2.80"]
        assert sandbox.texts(FIRST, zone, "MX") == ["10 mx.example.test."]
        assert sandbox.texts(FIRST, zone, "TXT") == ['"v=spf1 -all"']

    def test_big_answer_is_truncated_over_udp_and_whole_over_tcp(self, zone, sandbox):
        for number in range(8):
            sandbox.change_record(
                zone, "add", type="TXT", name="big", content=f"{number}" + "y" * 250
            )
        assert sandbox.ask(FIRST, "big.example.test", "TXT").flags & dns.flags.TC
        assert len(answers(sandbox.ask(FIRST, "big.example.test", "TXT", tcp=True))) == 8

    @pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")
    def test_dig_agrees(self, zone, sandbox):
        command = ["dig", f"@{FIRST}", "-p", str(sandbox.dns_port), zone, "TXT", "+short"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == '"v=spf1 -all"\n'

    def test_packets_that_are_no_query_do_no_harm(self, zone, sandbox):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            for packet in (b"", b"x", b"\0" * 11, b"\x12\x34" + b"\x80" + b"\0" * 9):
                client.sendto(packet, (FIRST, sandbox.dns_port))
            header = struct.pack("!HHHHHH", 0x1234, 0, 1, 0, 0, 0)
            client.sendto(header + b"\xff" * 20, (FIRST, sandbox.dns_port))
            reply = client.recv(512)
        assert reply[:2] == b"\x12\x34"
        assert reply[3] & 0x0F == dns.rcode.FORMERR


class TestResolvers:
    def test_follow_the_delegation(self, cloudflare, sandbox):
        make_zone(cloudflare)
        sandbox.change_record("example.test", "add", type="TXT", name="@", content="here")
        parked = sandbox.ask(RESOLVER, "example.test", "TXT")
        assert (parked.rcode(), parked.answer) == (dns.rcode.NOERROR, [])
        assert sandbox.texts(RESOLVER, "example.test", "NS") == [
            "ns1.parking-sandbox.test.",
            "ns2.parking-sandbox.test.",
        ]
        sandbox.set_nameservers("example.test")
        reply = sandbox.ask(RESOLVER, "example.test", "TXT")
        assert answers(reply) == ['"here"']
        assert reply.flags & dns.flags.RA
        assert not reply.flags & dns.flags.AA
        assert sandbox.ask(RESOLVER, "nobody.test", "TXT").rcode() == dns.rcode.NXDOMAIN

    def test_fail_where_the_delegation_is_lame(self, sandbox):
        sandbox.set_nameservers("lame.test", ["alder.ns.cloudflare-sandbox.test"])
        assert sandbox.ask(RESOLVER, "lame.test", "TXT").rcode() == dns.rcode.SERVFAIL

    def test_follow_aliases_out_of_the_zone(self, zone, sandbox):
        assert sandbox.texts(RESOLVER, "track.example.test", "A") == [
            "192.0.2.40",
            "open.sleadtrack.com.",
        ]

    def test_spf_tree_can_be_walked(self, sandbox):
        (text,) = sandbox.texts(RESOLVER, "_spf.google.com", "TXT")
        includes = [word[8:] for word in text.strip('"').split() if word.startswith("include:")]
        assert len(includes) == 3
        assert all(sandbox.texts(RESOLVER, name, "TXT") for name in includes)

    def test_lag_behind_and_count_down(self, zone, sandbox):
        """After a change the old answer goes on, with a TTL that ends when the new one comes."""
        sandbox.set_resolver_delay(RESOLVER, 3)
        wait_until(lambda: sandbox.texts(RESOLVER, zone, "TXT"))
        changing = time.monotonic()
        sandbox.change_record(zone, "replace", type="TXT", name="@", content="v=spf1 ~all")
        changed = time.monotonic()
        # Another change that does not concern the answer must not disturb it.
        sandbox.change_record(zone, "add", type="TXT", name="other", content="x")
        seen = []
        assert sandbox.texts(RESOLVERS[1], zone, "TXT") == ['"v=spf1 ~all"']
        while True:
            asking = time.monotonic()
            reply = sandbox.ask(RESOLVER, zone, "TXT")
            if answers(reply) != ['"v=spf1 -all"']:
                break
            # It counts down to the change; each end of the wait is known only so well.
            most, least = 3 - (asking - changed), 3 - (time.monotonic() - changing)
            assert least <= reply.answer[0].ttl <= most + 1
            seen.append(reply.answer[0].ttl)
            time.sleep(0.05)
        assert time.monotonic() >= changing + 3
        assert answers(reply) == ['"v=spf1 ~all"']
        assert seen == sorted(seen, reverse=True)
        sandbox.set_resolver_delay(RESOLVER, 0)

    def test_negative_answers_lag_too(self, zone, sandbox):
        sandbox.set_resolver_delay(RESOLVER, 4)
        sandbox.change_record(zone, "add", type="TXT", name="late", content="x")
        changed = time.monotonic()
        reply = sandbox.ask(RESOLVER, "late.example.test", "TXT")
        if time.monotonic() < changed + 3:
            assert reply.rcode() == dns.rcode.NXDOMAIN
            assert [rrset.ttl in {3, 4} for rrset in reply.authority] == [True]
        wait_until(lambda: sandbox.texts(RESOLVER, "late.example.test", "TXT"))
        sandbox.set_resolver_delay(RESOLVER, 0)

    def test_start_with_their_own_delays(self, tmp_path):
        with RunningSandbox(tmp_path, resolver_delays=(0, 60, 60, 60)) as sandbox:
            make_zone(cloudflare_client(sandbox))
            sandbox.set_nameservers("example.test")
            sandbox.change_record("example.test", "add", type="TXT", name="@", content="x")
            assert sandbox.texts(RESOLVERS[0], "example.test", "TXT") == ['"x"']
            for address in RESOLVERS[1:]:
                reply = sandbox.ask(address, "example.test", "TXT")
                assert reply.rcode() == dns.rcode.NXDOMAIN
                assert 30 < reply.authority[0].ttl <= 60


class TestBroken:
    def test_down_servfail_slow_and_up_again(self, zone, sandbox):
        sandbox.set_server(FIRST, "down")
        with pytest.raises(dns.exception.Timeout):
            sandbox.ask(FIRST, zone, "TXT", timeout=0.3)
        assert sandbox.texts(SECOND, zone, "TXT") == ['"v=spf1 -all"']
        sandbox.set_server(FIRST, "servfail")
        assert sandbox.ask(FIRST, zone, "TXT").rcode() == dns.rcode.SERVFAIL
        sandbox.set_server(FIRST, "slow", delay=0.4)
        for tcp in (False, True):
            began = time.monotonic()
            assert answers(sandbox.ask(FIRST, zone, "TXT", tcp=tcp)) == ['"v=spf1 -all"']
            assert time.monotonic() - began >= 0.4
        sandbox.set_server(FIRST, "up")
        assert sandbox.texts(FIRST, zone, "TXT") == ['"v=spf1 -all"']
