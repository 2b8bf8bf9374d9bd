"""Records behind the provider's proxy: kept, shown, switched by hand, and never where mail is."""

import re

import pytest

from dnszones.models import ChangePlan, Zone
from dnszones.plans import ExistingRecord, fingerprint
from dnszones.plans.reverts import revert_plan
from dnszones.records import RecordData, canonical, check_record, same_content, same_value
from mpanel.core.errors import Invalid
from tests.api import Api
from tests.cast import Person
from tests.confirming import agreed, typed
from tests.powerdns import PrivatePowerDNS
from tests.sandboxes import NAMESERVERS, RunningSandbox
from tests.stories import connected, use_powerdns
from tests.work import sure, work_off

NAME = "example.test"
WWW = RecordData(f"www.{NAME}", "A", "192.0.2.7", 1, proxied=True)


@pytest.fixture
def zone(ada: Person, sandbox: RunningSandbox) -> Zone:
    """A zone with a website behind the proxy."""
    zone = Zone.objects.get(domain=connected(ada, NAME))
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.7", proxied=True)
    return zone


def proxied(sandbox: RunningSandbox) -> dict[str, bool]:
    return {record["name"]: record["proxied"] for record in sandbox.records(NAME)}


# --- The value -------------------------------------------------------------------------------


def test_a_proxied_record_is_another_value_with_the_same_content() -> None:
    plain = RecordData(WWW.name, "A", "192.0.2.7")
    assert not same_value(WWW, plain)
    assert same_content(WWW, plain)
    assert canonical(WWW) == WWW
    assert fingerprint([ExistingRecord("1", WWW)]) != fingerprint([ExistingRecord("1", plain)])
    assert str(WWW) == f"www.{NAME} A 192.0.2.7 (proxied)"


def test_a_proxied_record_has_the_automatic_ttl() -> None:
    assert check_record(RecordData(WWW.name, "A", "192.0.2.7", 300, proxied=True)) == WWW


@pytest.mark.parametrize(("kind", "content"), [("TXT", "a text"), ("NS", "ns.example.net")])
def test_only_addresses_and_aliases_can_be_proxied(kind: str, content: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_record(RecordData(WWW.name, kind, content, proxied=True))
    assert list(raised.value.details) == ["proxied"]


# --- Written by hand -------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_change_by_hand_keeps_the_proxy(ada: Person, zone: Zone, sandbox: RunningSandbox) -> None:
    api = Api(ada.token)
    (found,) = api.get(f"/api/dns/zones/{zone.pk}/records?type=A").body["items"]
    assert found["proxied"] is True
    path = f"/api/dns/zones/{zone.pk}/records/{found['id']}"
    given = {"type": "A", "name": "www", "content": "192.0.2.8", "ttl": 300}
    written = agreed(api.put, path, given)
    work_off()
    (now,) = sandbox.records(NAME)
    assert (now["content"], now["proxied"]) == ("192.0.2.8", True)
    assert (written.body["proxied"], written.body["ttl"]) == (True, 1)
    change = api.get(f"/api/dns/changes/{written.body['changeId']}").body["steps"][0]
    assert (change["before"][0]["proxied"], change["after"]["proxied"]) == (True, True)
    assert agreed(api.put, path, {**given, "proxied": False}).body["proxied"] is False
    work_off()
    assert proxied(sandbox) == {f"www.{NAME}": False}


@pytest.mark.django_db
def test_the_page_shows_keeps_and_sets_the_proxy(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    page = ada.client.get(f"/dns/{zone.pk}/").content.decode()
    assert "192.0.2.7 (proxied)" in page
    (path,) = re.findall(rf'href="([^"]+)"[^>]*aria-label="Change A www.{NAME}"', page)
    form = ada.client.get(path).context["form"]
    assert form.initial["proxied"] is True
    fields = {"name": "www", "ttl": "1", "content": "192.0.2.8", "proxied": "on"}
    assert typed(ada.client, path, NAME, fields).status_code == 302
    work_off()
    assert proxied(sandbox) == {f"www.{NAME}": True}
    added = {"name": "shop", "ttl": "300", "content": "192.0.2.9", "proxied": "on"}
    assert ada.client.post(f"/dns/{zone.pk}/add/?type=A", added).status_code == 302
    work_off()
    assert proxied(sandbox) == {f"www.{NAME}": True, f"shop.{NAME}": True}
    text = ada.client.get(f"/dns/{zone.pk}/add/?type=TXT").content.decode()
    assert "Proxied" not in text


@pytest.mark.django_db
def test_a_mail_host_is_not_put_behind_the_proxy_unasked(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    """In whichever order the records come, on the page and over the API."""
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}/records"
    mx = {"type": "MX", "name": "@", "content": WWW.name, "ttl": 300, "priority": 10}
    added = api.post(path, mx)
    assert "which is proxied" in " ".join(added.body["warnings"])
    work_off()
    fields = {"name": "www", "ttl": "1", "content": "192.0.2.8", "proxied": "on"}
    page = ada.client.post(f"/dns/{zone.pk}/add/?type=A", fields)
    assert page.status_code == 200
    shown = page.content.decode()
    assert f"MX of {NAME} leads to this name, which is proxied" in shown
    assert "Write it anyway" in shown


@pytest.mark.django_db
def test_a_deleted_proxied_record_comes_back_proxied(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    (found,) = api.get(f"/api/dns/zones/{zone.pk}/records?type=A").body["items"]
    gone = agreed(api.delete, f"/api/dns/zones/{zone.pk}/records/{found['id']}")
    work_off()
    assert proxied(sandbox) == {}
    sure(revert_plan, ada.actor, ChangePlan.objects.get(pk=gone.body["changeId"]).pk)
    work_off()
    assert proxied(sandbox) == {f"www.{NAME}": True}
    assert sandbox.texts(NAMESERVERS[0], f"www.{NAME}", "A") != ["192.0.2.7"]


@pytest.mark.django_db
def test_a_provider_without_a_proxy_refuses_it(
    ada: Person, powerdns: PrivatePowerDNS, sandbox: RunningSandbox
) -> None:
    use_powerdns(ada, powerdns)
    zone = Zone.objects.get(domain=connected(ada, NAME))
    given = {"type": "A", "name": "www", "content": "192.0.2.8", "ttl": 300, "proxied": True}
    refused = Api(ada.token).post(f"/api/dns/zones/{zone.pk}/records", given)
    assert refused.status == 400
    assert b"no proxy" in refused.raw
    page = ada.client.get(f"/dns/{zone.pk}/add/?type=A").content.decode()
    assert "Proxied" not in page
