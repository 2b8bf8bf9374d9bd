"""DNSSEC at the stand-in of Cloudflare, and DS records at the registry."""

import cloudflare
import httpx
import pytest

from tests.sandboxes import NAMESERVERS, REGISTRY, RESOLVERS, RunningSandbox

from .conftest import make_zone

NAME = "example.test"
DS = "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"


def test_the_status_follows_the_registry(
    cloudflare: cloudflare.Cloudflare, sandbox: RunningSandbox
) -> None:
    zone_id = make_zone(cloudflare)

    def status() -> str | None:
        found = cloudflare.dns.dnssec.get(zone_id=zone_id)
        return found.status if found else None

    assert status() == "disabled"
    signed = cloudflare.dns.dnssec.edit(zone_id=zone_id, status="active")
    assert signed is not None and signed.ds is not None
    assert (signed.status, signed.algorithm, signed.digest_type) == ("pending", "13", "2")
    assert signed.ds.startswith(f"{NAME}. 3600 IN DS {signed.key_tag:.0f} 13 2 ")
    sandbox.set_ds_records(NAME, [signed.ds.partition(" DS ")[2]])
    assert status() == "active"
    again = cloudflare.dns.dnssec.edit(zone_id=zone_id, status="active")
    assert again is not None and again.ds == signed.ds
    cloudflare.dns.dnssec.edit(zone_id=zone_id, status="disabled")
    assert status() == "pending-disabled"
    sandbox.set_ds_records(NAME, [])
    assert status() == "disabled"
    cloudflare.zones.delete(zone_id=zone_id)
    with pytest.raises(Exception, match="7003"):
        status()


def test_a_ds_is_the_parents_to_tell(
    cloudflare: cloudflare.Cloudflare, sandbox: RunningSandbox
) -> None:
    make_zone(cloudflare)
    assert sandbox.texts(REGISTRY, NAME, "DS") == []
    sandbox.set_ds_records(NAME, [DS])
    sandbox.set_nameservers(NAME)
    for server in (REGISTRY, *RESOLVERS):
        assert sandbox.texts(server, NAME, "DS") == [DS]
    assert sandbox.texts(NAMESERVERS[0], NAME, "DS") == []
    assert sandbox.control("GET", "registrar")[0]["ds_records"] == [DS]


@pytest.mark.parametrize(
    ("domain", "records"),
    [(NAME, ["nonsense"]), (NAME, ["1 2 3"]), (NAME, [7]), ("unknown.test", [DS]), ("", [DS])],
)
def test_what_is_no_ds_record_is_refused(
    cloudflare: cloudflare.Cloudflare,
    sandbox: RunningSandbox,
    domain: str,
    records: list[str],
) -> None:
    make_zone(cloudflare)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        sandbox.set_ds_records(domain, records)
    assert refused.value.response.status_code == 400


def test_the_registrars_page_sets_it(
    cloudflare: cloudflare.Cloudflare, sandbox: RunningSandbox
) -> None:
    make_zone(cloudflare)
    given = {"domain": NAME, "records": DS, "next": "/registrar"}
    with httpx.Client(base_url=sandbox.base_url, follow_redirects=True) as browser:
        assert DS in browser.post("/control/registrar/ds", data=given).text
        assert DS not in browser.post("/control/registrar/ds", data={**given, "records": ""}).text


def test_nobody_at_the_address_of_powerdns_is_a_failure(sandbox: RunningSandbox) -> None:
    sandbox.set_nameservers(NAME, ["ns1.powerdns-sandbox.test", "ns2.powerdns-sandbox.test"])
    answer = sandbox.ask(RESOLVERS[0], NAME, "MX")
    assert answer.rcode().name == "SERVFAIL"
