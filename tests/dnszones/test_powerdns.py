"""What is PowerDNS's own: whole rrsets, its errors, its keys; and a domain's story on it."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import dns.dnssec
import dns.name
import dns.node
import dns.rdataset
import dns.rdatatype
import httpx
import pytest
from django.conf import LazySettings

from dnszones.dnssec import services as dnssec
from dnszones.models import Zone
from dnszones.providers.base import DsRecord
from dnszones.providers.powerdns import PowerDNS
from dnszones.records import RecordData
from dnszones.selectors import verification
from dnszones.vendors import dns_provider
from domains.models import Domain
from domains.services import disconnect_domain
from mpanel.core import registry
from mpanel.core.errors import Invalid, ProviderError
from mpanel.operations import checks
from provisioning.models import Job
from tenants.models import ProviderCredential
from tenants.services import add_credential, start_test
from tests.cast import Person
from tests.powerdns import ADDRESS, KEY, NAMESERVERS, PrivatePowerDNS
from tests.sandboxes import RESOLVERS, RunningSandbox, find_free_port_block
from tests.stories import connected, published, use_powerdns, verified
from tests.work import ended, sure, work_off

pytestmark = pytest.mark.powerdns
NAME = "example.test"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePowerDNS]:
    with PrivatePowerDNS() as running:
        yield running


@pytest.fixture
def provider(server: PrivatePowerDNS) -> PowerDNS:
    server.reset()
    return provider_at(server.url)


def provider_at(url: str, *, timeout: float = 5.0, **values: str) -> PowerDNS:
    credentials = {"api_key": KEY, "nameservers": "NS1.here.test., ns2.here.test", **values}
    return PowerDNS(credentials, base_url=url, timeout=timeout)


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, bool, bool]:
    with pytest.raises(ProviderError) as raised:
        call(*args, **kwargs)
    assert KEY not in str(raised.value)
    return raised.value.error_code, raised.value.retryable, raised.value.ambiguous


def change(server: PrivatePowerDNS, name: str, kind: str, *records: Any, **more: Any) -> None:
    """Write an rrset behind mPanel's back."""
    rrset = {"name": f"{name}.", "type": kind, "ttl": 300, "changetype": "REPLACE"}
    rrset["records"] = [
        {"content": content, "disabled": is_disabled} for content, is_disabled in records
    ]
    server.request("PATCH", f"/zones/{NAME}.", {"rrsets": [rrset | more]})


# --- Records -------------------------------------------------------------------------------------


def test_what_others_wrote_beside_a_record_stays(
    provider: PowerDNS, server: PrivatePowerDNS
) -> None:
    zone = provider.create_zone(NAME)
    texts = [('"one"', False), ('"resting"', True)]
    change(server, NAME, "TXT", *texts, comments=[{"content": "from the office", "account": "x"}])
    (found,) = provider.list_records(zone.id)
    assert (found.data.content, found.comment) == ("one", "from the office")
    provider.apply_batch(zone.id, creates=[RecordData(NAME, "TXT", "two")])
    provider.apply_batch(zone.id, deletes=[found])
    shown = server.request("GET", f"/zones/{NAME}.").json()["rrsets"]
    (rrset,) = [rrset for rrset in shown if rrset["type"] == "TXT"]
    contents = [(record["content"], record["disabled"]) for record in rrset["records"]]
    assert sorted(contents) == [('"resting"', True), ('"two"', False)]
    assert [comment["content"] for comment in rrset["comments"]] == ["from the office"]
    assert server.texts(NAME, "TXT") == ['"two"']


def test_a_disabled_record_is_put_into_dns_by_creating_it(
    provider: PowerDNS, server: PrivatePowerDNS
) -> None:
    zone = provider.create_zone(NAME)
    change(server, NAME, "TXT", ('"resting"', True))
    provider.apply_batch(zone.id, creates=[RecordData(NAME, "TXT", "resting")])
    assert server.texts(NAME, "TXT") == ['"resting"']


def test_the_zones_own_nameservers_are_not_a_customers_records(
    provider: PowerDNS, server: PrivatePowerDNS
) -> None:
    zone = provider.create_zone(NAME)
    assert zone.nameservers == ("ns1.here.test", "ns2.here.test")
    assert provider.list_records(zone.id) == []
    stray = RecordData(NAME, "NS", "ns1.elsewhere.test")
    assert outcome(provider.apply_batch, zone.id, creates=[stray]) == ("REFUSED", False, False)
    assert server.texts(NAME, "NS") == ["ns1.here.test.", "ns2.here.test."]
    below = RecordData(f"shop.{NAME}", "NS", "ns1.elsewhere.test")
    provider.apply_batch(zone.id, creates=[below])
    assert [record.data for record in provider.list_records(zone.id)] == [below]


def test_what_the_server_refuses_is_told_in_its_words(provider: PowerDNS) -> None:
    zone = provider.create_zone(NAME)
    with pytest.raises(ProviderError, match=r"other\.test.*out of zone"):
        provider.apply_batch(zone.id, creates=[RecordData("www.other.test", "A", "192.0.2.1")])


# --- Failures ------------------------------------------------------------------------------------


def test_a_wrong_key_and_nameservers_that_are_none(server: PrivatePowerDNS) -> None:
    for key in ("wrong", "💩", "two\nlines"):
        stranger = provider_at(server.url, api_key=key)
        assert outcome(stranger.check_connection) == ("INVALID_CREDENTIALS", False, False)
    one, two = "ns1.here.test", "ns2.here.test"
    for names in ("", one, f"{one}, {one}", "here there", f"{one} 192.0.2.1", f"{one} {two};"):
        lonely = provider_at(server.url, nameservers=names)
        assert outcome(lonely.check_connection)[0] == "NO_NAMESERVERS"
        assert outcome(lonely.create_zone, NAME)[0] == "NO_NAMESERVERS"
    elsewhere = provider_at(f"{server.url}/nothing")
    assert outcome(elsewhere.check_connection) == ("NOT_POWERDNS", False, False)


def test_a_server_that_is_not_there(provider: PowerDNS) -> None:
    port = find_free_port_block(1)
    gone = provider_at(f"http://127.0.0.1:{port}/api/v1/servers/localhost")
    assert outcome(gone.find_zone, NAME) == ("UNREACHABLE", True, False)
    assert outcome(gone.create_zone, NAME) == ("UNREACHABLE", True, False), "it was never sent"


def test_a_server_that_does_not_answer(server: PrivatePowerDNS) -> None:
    with PrivatePowerDNS() as frozen, frozen.frozen():
        waiting = provider_at(frozen.url, timeout=0.3)
        assert outcome(waiting.find_zone, NAME) == ("TIMEOUT", True, False)
        assert outcome(waiting.create_zone, NAME) == ("TIMEOUT", True, True)


# --- DNSSEC --------------------------------------------------------------------------------------


def test_the_answers_of_a_signed_zone_are_proved_by_its_ds(
    provider: PowerDNS, server: PrivatePowerDNS, caplog: pytest.LogCaptureFixture
) -> None:
    zone = provider.create_zone(NAME)
    provider.apply_batch(zone.id, creates=[RecordData(f"before.{NAME}", "A", "192.0.2.1")])
    with caplog.at_level(logging.DEBUG):
        state = provider.enable_dnssec(zone.id)
    assert "PrivateKey" not in caplog.text + str(state)
    provider.apply_batch(zone.id, creates=[RecordData(f"after.deep.{NAME}", "A", "192.0.2.2")])
    keys = proved_keys(server, state.ds_records)
    for name in ("before", "after.deep"):
        rrset, signature = server.ask(f"{name}.{NAME}", "A", dnssec=True).answer
        dns.dnssec.validate(rrset, signature, keys)
    # What is not there is denied by signed NSEC records, also between names written later.
    for name in ("deep", "z"):
        authority = server.ask(f"{name}.{NAME}", "A", dnssec=True).authority
        denials = [found for found in authority if found.rdtype == dns.rdatatype.NSEC]
        assert denials, name
        for denial in denials:
            signature = next(
                found
                for found in authority
                if found.name == denial.name and found.covers == dns.rdatatype.NSEC
            )
            dns.dnssec.validate(denial, signature, keys)
    assert f"after.deep.{NAME}." in {str(denial.name) for denial in denials}

    provider.disable_dnssec(zone.id)
    # What was asked before may be answered from the server's cache for 20 seconds.
    plain = server.ask(f"before.{NAME}", "TXT", dnssec=True).authority
    assert [found.rdtype for found in plain] == [dns.rdatatype.SOA]
    assert server.texts(NAME, "DNSKEY") == []


def proved_keys(
    server: PrivatePowerDNS, ds_records: tuple[DsRecord, ...]
) -> dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset]:
    """The zone's keys, one of which each DS names, signed by themselves."""
    apex = dns.name.from_text(NAME)
    keys, signature = server.ask(NAME, "DNSKEY", dnssec=True).answer
    for ds in ds_records:
        algorithm = {2: "SHA256", 4: "SHA384"}[ds.digest_type]
        made = [str(dns.dnssec.make_ds(apex, key, algorithm)).upper() for key in keys]
        assert str(ds) in made
    found: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {apex: keys}
    dns.dnssec.validate(keys, signature, found)
    return found


def test_a_key_that_somebody_else_made_counts(provider: PowerDNS, server: PrivatePowerDNS) -> None:
    zone = provider.create_zone(NAME)
    for kind in ("ksk", "zsk"):
        body = {"keytype": kind, "active": True, "algorithm": "ECDSAP256SHA256"}
        server.request("POST", f"/zones/{NAME}./cryptokeys", body)
    found = provider.dnssec(zone.id)
    assert found.is_on and found.ds_records
    assert provider.enable_dnssec(zone.id) == found
    assert not provider.disable_dnssec(zone.id).is_on
    assert server.texts(NAME, "DNSKEY") == []


# --- Who may use it ------------------------------------------------------------------------------


def test_a_customer_can_never_add_one(ada: Person, powerdns: PrivatePowerDNS) -> None:
    values = {"api_key": KEY, "nameservers": ", ".join(NAMESERVERS)}
    assert "PowerDNS" not in ada.client.get("/credentials/add/").content.decode()
    assert ada.client.get("/credentials/add/dns/powerdns/").status_code == 404
    given = {"label": "Mine", **values}
    assert ada.client.post("/credentials/add/dns/powerdns/", given).status_code == 404
    with pytest.raises(Invalid) as refused:
        add_credential(ada.actor, port="dns", provider="powerdns", label="", values=values)
    assert refused.value.details == {
        "provider": ["PowerDNS is not offered here. Choose another one."]
    }
    assert ("dns", "cloudflare") in registry.offered()


def test_one_that_a_customer_holds_is_never_used(ada: Person, powerdns: PrivatePowerDNS) -> None:
    """Rows from before: their nameservers were the customer's words about the host's server."""
    row = ProviderCredential(
        tenant_id=ada.actor.tenant_id, port="dns", provider="powerdns", label="Ours"
    )
    row.set_values({"api_key": KEY, "nameservers": "ns1.bigmail.test, ns2.bigmail.test"})
    row.save()
    with pytest.raises(ProviderError, match="not offered"):
        dns_provider(row)


def test_the_included_one_is_tested_without_naming_the_server(
    ada: Person, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(ada, powerdns)
    start_test(ada.actor, ada.credential.pk)
    work_off()
    assert ada.credential.result == ProviderCredential.WORKS
    assert ada.credential.result_message == "The included account works."


def test_a_server_that_was_taken_away_is_told(
    ada: Person, powerdns: PrivatePowerDNS, settings: LazySettings
) -> None:
    use_powerdns(ada, powerdns)
    settings.POWERDNS_BASE_URL = ""
    start_test(ada.actor, ada.credential.pk)
    work_off()
    assert "no longer includes this account" in ada.credential.result_message


def test_bad_settings_are_explained(settings: LazySettings) -> None:
    settings.POWERDNS_BASE_URL = "http://192.0.2.1:8081/api/v1/servers/localhost"
    (sentence,) = [str(found.msg) for found in checks.sandbox_stays_inside(None)]
    assert "POWERDNS_BASE_URL leads outside" in sentence
    settings.POWERDNS_BASE_URL, settings.HOUSE_POWERDNS_KEY = "", KEY
    (sentence,) = [str(found.msg) for found in checks.settings_make_sense(None)]
    assert "HOUSE_POWERDNS_KEY is set" in sentence


# --- The story -----------------------------------------------------------------------------------


def dig(server: PrivatePowerDNS, name: str, kind: str, *options: str) -> list[str]:
    """What Debian's dig sees."""
    command = ["dig", f"@{ADDRESS}", "-p", str(server.dns_port), "+short", *options, name, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_a_domain_on_powerdns_becomes_ready_for_inboxes(
    ada: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(ada, powerdns)
    domain = published(ada, NAME, sandbox)
    assert domain.nameservers == list(NAMESERVERS)
    assert domain.status == Domain.READY, "every resolver has every record"
    found = verification(ada.actor, domain.pk)
    assert {"spf", "dkim", "dmarc", "mx"} <= found.configured
    assert (found.missing, found.conflicts, found.unknown) == ((), (), ())
    assert dig(powerdns, NAME, "MX") == ["10 mx.mail-sandbox.test."]
    (spf,) = dig(powerdns, NAME, "TXT")
    assert spf.startswith('"v=spf1 ')
    (key,) = dig(powerdns, f"mpanel._domainkey.{NAME}", "TXT")
    assert key.replace('" "', "").strip('"') == public_key(domain)
    assert sandbox.texts(RESOLVERS[0], f"_dmarc.{NAME}", "TXT") == dig(
        powerdns, f"_dmarc.{NAME}", "TXT"
    )
    assert sandbox.request_count("cloudflare", "POST") == 0

    sure(disconnect_domain, ada.actor, domain.pk)
    work_off()
    assert not Domain.objects.exists()
    with pytest.raises(httpx.HTTPStatusError):
        powerdns.request("GET", f"/zones/{NAME}.")


def public_key(domain: Domain) -> str:
    return Zone.objects.get(domain=domain).dkim_keys.get(selector="mpanel").public_value


def test_a_domain_on_powerdns_is_signed_and_the_registry_told(
    ada: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(ada, powerdns)
    domain = verified(ada, NAME, sandbox)
    ended(dnssec.turn_on_dnssec(ada.actor, domain.pk))
    ds_records = report_of(domain.pk).ds_records
    sandbox.set_ds_records(NAME, [str(ds_records[0])])
    dnssec.check_parent_now(ada.actor, domain.pk)
    assert report_of(domain.pk).sight == "seen"
    proved_keys(powerdns, ds_records)
    assert any(" 13 2 " in line for line in dig(powerdns, NAME, "SOA", "+dnssec"))


def test_a_zone_that_another_tenant_holds_is_not_taken(
    ada: Person, cy: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(ada, powerdns)
    use_powerdns(cy, powerdns)
    connected(ada, NAME)
    taken = connected(cy, NAME)
    job = Job.objects.get(subject_id=taken.pk)
    assert (job.status, job.error_code) == (Job.FAILED, "DOMAIN_TAKEN")
    sure(disconnect_domain, cy.actor, taken.pk)
    work_off()
    assert powerdns.request("GET", f"/zones/{NAME}.").json()["name"] == f"{NAME}."


def report_of(domain_id: UUID) -> dnssec.DnssecReport:
    return dnssec.dnssec_of(Zone.objects.select_related("domain").get(domain_id=domain_id))
