"""The other DNS host: zones that are not here yet, with wildcards, delegations and transfers."""

import html
import re

import dns.exception
import dns.query
import dns.rcode
import httpx
import pytest

from tests.elsewhere import zone_file
from tests.sandboxes import OTHER_NAMESERVER, RESOLVERS, RunningSandbox


@pytest.fixture
def zone(sandbox: RunningSandbox) -> str:
    sandbox.host_elsewhere("shop.test", zone_file("shop.test"), transfer=True)
    return "shop.test"


def test_resolvers_see_what_it_says(sandbox: RunningSandbox, zone: str) -> None:
    assert sandbox.texts(RESOLVERS[0], zone, "A") == ["192.0.2.10"]


def test_a_wildcard_stands_for_names_that_do_not_exist(sandbox: RunningSandbox, zone: str) -> None:
    assert sandbox.texts(OTHER_NAMESERVER, f"a.b.{zone}", "A") == ["192.0.2.99"]
    assert sandbox.texts(OTHER_NAMESERVER, f"voice.{zone}", "MX") == []
    below = sandbox.ask(OTHER_NAMESERVER, f"x.voice.{zone}", "A")
    assert below.rcode() == dns.rcode.NXDOMAIN


def test_a_delegation_comes_with_glue(sandbox: RunningSandbox, zone: str) -> None:
    reply = sandbox.ask(OTHER_NAMESERVER, f"host.dev.{zone}", "A")
    assert [str(rrset.name) for rrset in reply.authority] == [f"dev.{zone}."]
    assert [str(rrset.name) for rrset in reply.additional] == [f"ns1.dev.{zone}."]


def test_the_whole_zone_is_given_only_where_that_is_allowed(
    sandbox: RunningSandbox, zone: str
) -> None:
    def transferred() -> int:
        messages = dns.query.xfr(
            OTHER_NAMESERVER, f"{zone}.", port=sandbox.dns_port, lifetime=10, relativize=False
        )
        return sum(len(rrset) for message in messages for rrset in message.answer)

    assert transferred() > 20
    sandbox.host_elsewhere(zone, zone_file(zone))
    with pytest.raises(dns.exception.DNSException):
        transferred()


def test_the_control_room_has_a_zone_file_to_begin_with(sandbox: RunningSandbox) -> None:
    with httpx.Client(base_url=sandbox.base_url, follow_redirects=True) as browser:
        shown = browser.get("/registrar").text
        offered = re.search(r"<textarea[^>]*>(.*?)</textarea>", shown, re.DOTALL)
        assert offered is not None
        form = {"domain": "used.test", "zone_file": html.unescape(offered[1]), "next": "/registrar"}
        assert "used.test" in browser.post("/control/registrar/elsewhere", data=form).text
    assert sandbox.texts(RESOLVERS[0], "used.test", "MX") == ["1 smtp.google.com."]
    assert sandbox.texts(RESOLVERS[0], "used.test", "TXT") == [
        '"v=spf1 include:_spf.google.com -all"'
    ]
