"""The editor of zones over the real PowerDNS: it has no ids, and one TTL for a name and type."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from dnszones.models import ChangePlan, Zone
from tests.api import Answer, Api
from tests.cast import Person
from tests.confirming import agreed
from tests.powerdns import PrivatePowerDNS
from tests.sandboxes import RunningSandbox
from tests.stories import connected, use_powerdns
from tests.work import work_off

pytestmark = [pytest.mark.django_db, pytest.mark.powerdns]
NAME = "example.test"
A = {"type": "A", "name": "www", "content": "192.0.2.7", "ttl": 300}


@pytest.fixture
def powerdns(settings: LazySettings) -> Iterator[PrivatePowerDNS]:
    with PrivatePowerDNS() as server:
        for name, value in server.settings.items():
            setattr(settings, name, value)
        yield server


@pytest.fixture
def zone(ada: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS) -> Zone:
    use_powerdns(ada, powerdns)
    return Zone.objects.get(domain=connected(ada, NAME))


def listed(api: Api, zone: Zone) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/api/dns/zones/{zone.pk}/records").body["items"]
    return [one for one in found if one["name"] != f"_mpanel.{NAME}"]


def edited(api: Api, zone: Zone) -> dict[tuple[str, str], dict[str, Any]]:
    """What a person may write, by name and content."""
    return {
        (item["name"].removesuffix(f".{NAME}"), item["content"]): item
        for item in listed(api, zone)
        if item["isEditable"]
    }


def done(answer: Answer) -> Answer:
    assert answer.status == 202, answer.raw
    work_off()
    row = ChangePlan.objects.get(pk=answer.body.get("changeId") or answer.body["id"])
    assert row.status in {ChangePlan.APPLIED, ChangePlan.READY}, row.status
    return answer


def test_records_are_written_changed_and_taken_back(ada: Person, zone: Zone) -> None:
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}/records"
    assert listed(api, zone) == [], "SOA and NS of the zone itself are PowerDNS's own"
    done(api.post(path, A))
    second = done(api.post(path, {**A, "content": "192.0.2.8", "ttl": 600}))
    assert second.body["warnings"] == ["All A records of this name get the TTL 600."]
    both = edited(api, zone)
    assert {item["ttl"] for item in both.values()} == {600}
    changed = done(
        agreed(api.put, f"{path}/{both['www', '192.0.2.7']['id']}", {**A, "content": "192.0.2.9"})
    )
    assert set(edited(api, zone)) == {("www", "192.0.2.8"), ("www", "192.0.2.9")}
    one = edited(api, zone)["www", "192.0.2.8"]
    longer = {**A, "content": "192.0.2.8", "ttl": 3600}
    done(agreed(api.put, f"{path}/{one['id']}", longer))
    assert {item["ttl"] for item in edited(api, zone).values()} == {3600}
    done(agreed(api.post, f"/api/dns/changes/{changed.body['changeId']}/revert"))
    assert set(edited(api, zone)) == {("www", "192.0.2.7"), ("www", "192.0.2.8")}


def test_a_cname_that_powerdns_refuses_is_refused_at_once(ada: Person, zone: Zone) -> None:
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}"
    alias = {"type": "CNAME", "name": "@", "content": "shop.test", "ttl": 300}
    refused = api.post(f"{path}/records", alias)
    assert "cannot have a CNAME" in refused.body["error"]["details"]["type"][0]
    assert ada.client.post(f"/dns/{zone.pk}/add/?type=CNAME", alias).status_code == 422
    asked = api.post(f"{path}/import", {"zoneFile": "good A 192.0.2.1\n@ CNAME shop.test.\n"})
    (warning,) = asked.body["warnings"]
    assert warning.startswith("Line 2: The zone's own name")
    done(api.post(f"{path}/records", {**A, "type": "TXT", "content": "x"}))
    beside = api.post(f"{path}/records", {**alias, "name": "www"})
    assert beside.error == "RECORD_CONFLICT"


def test_every_type_passes_through_a_zone_file(ada: Person, zone: Zone) -> None:
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}"
    file = f"""
        @ CAA 0 issue "ca.test"
        @ MX 10 mail
        mail 300 A 192.0.2.1
        mail 600 A 192.0.2.2
        mail AAAA 2001:db8::1
        mail SSHFP 4 2 {"1f" * 32}
        www CNAME shop.test.
        words TXT "one; \\"two\\" grüße" "{"x" * 250}" "y"
        svc HTTPS 1 . alpn="h2,h3"
        svc SVCB 1 mail alpn="h2"
        _443._tcp TLSA 3 1 1 {"8c" * 32}
        _sip._tcp SRV 10 5 5060 mail
        sub NS ns1.sub
        sub DS 60485 13 2 {"d4" * 32}
        ph NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@x.test!" .
        uri URI 10 1 "https://x.test/"
        ptr PTR host.test.
        old DNAME new.test.
    """
    lines = "\n".join(line.strip() for line in file.splitlines())
    asked = done(api.post(f"{path}/import", {"zoneFile": lines}))
    done(agreed(api.post, f"/api/dns/changes/{asked.body['id']}/apply"))
    assert len(edited(api, zone)) == 18
    assert edited(api, zone)["mail", "192.0.2.2"]["ttl"] == 300, "the lowest counts for both"
    export = api.get(f"{path}/export").raw.decode()
    again = done(api.post(f"{path}/import", {"zoneFile": export}))
    counts = api.get(f"/api/dns/changes/{again.body['id']}").body["counts"]
    kept = 18 + 1  # and the proof of the domain
    assert counts == {"create": 0, "update": 0, "delete": 0, "keep": kept, "conflict": 0}
