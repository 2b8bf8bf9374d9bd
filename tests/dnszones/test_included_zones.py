"""Through an included account, only zones that mPanel made for this tenant are touched."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dnszones.access import ZoneNotOurs, was_made_by_us
from dnszones.departures import what_leaves
from dnszones.dnssec.states import DnssecIsOff, DnssecIsOn
from dnszones.models import Zone
from dnszones.ownership_states import ProofIsWritten
from dnszones.providers.base import RemoteZone
from dnszones.records import RecordData
from dnszones.vendor_records import publish_record
from dnszones.vendors import dns_provider
from dnszones.zones.states import ZoneExists, ZoneIsReleased
from domains.models import Domain
from domains.services import Departure, disconnect_domain
from mpanel.core.errors import ProviderError
from provisioning.models import Job
from tests.api import Api
from tests.cast import Person
from tests.powerdns import NAMESERVERS, PrivatePowerDNS
from tests.sandboxes import RunningSandbox
from tests.stories import connected, planned, use_own_account, use_powerdns, verified
from tests.work import ended, sure, work_off

pytestmark = pytest.mark.django_db
COMPANY = "company.test"


def host_zone(server: PrivatePowerDNS, name: str = COMPANY, **more: str) -> dict[str, Any]:
    """A zone that the host made by hand, with a website; as the server tells it."""
    records = [{"content": "192.0.2.80", "disabled": False}]
    body = {
        "name": f"{name}.",
        "kind": "Native",
        "nameservers": [f"{one}." for one in NAMESERVERS],
        "rrsets": [{"name": f"www.{name}.", "type": "A", "ttl": 300, "records": records}],
        **more,
    }
    server.request("POST", "/zones", body)
    return told(server, name)


def told(server: PrivatePowerDNS, name: str = COMPANY) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", f"/zones/{name}.").json()
    return found


def asked(person: Person, name: str = COMPANY) -> Domain:
    """A domain that somebody asked for over the API, worked on."""
    answer = Api(person.token).post("/api/v1/domains/connect", {"domain": name})
    assert answer.status == 201
    work_off()
    return Domain.objects.get(tenant_id=person.actor.tenant_id, name=name)


def refused(domain: Domain) -> None:
    """The domain has no zone here, and its job says why."""
    job = Job.objects.get(workflow="domains.connect", subject_id=domain.pk)
    assert (job.status, job.error_code) == (Job.FAILED, "ZONE_NOT_OURS")
    assert "mPanel did not make for you" in job.error_message
    assert domain.nameservers == []
    assert not Zone.objects.exclude(remote_id="").exists()


# --- The host's own zone --------------------------------------------------------------------------


@pytest.mark.powerdns
def test_the_hosts_own_zone_is_not_adopted_and_stays_untouched(
    cy: Person, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(cy, powerdns)
    before = host_zone(powerdns)
    domain = asked(cy)
    refused(domain)
    shown = cy.client.get(f"/setup/{domain.pk}/", follow=True).content.decode()
    assert "192.0.2.80" not in shown
    assert ended(sure(disconnect_domain, cy.actor, domain.pk)).status == Job.SUCCEEDED
    assert told(powerdns) == before


def test_the_same_at_cloudflare(cy: Person, sandbox: RunningSandbox) -> None:
    hosts = dns_provider(cy.credential)
    remote = hosts.create_zone(COMPANY)
    page = {"domain": COMPANY, "provider": "other", "credential": str(cy.credential.pk)}
    assert cy.client.post("/setup/", page).status_code == 302
    work_off()
    domain = Domain.objects.get(name=COMPANY)
    refused(domain)
    assert ended(sure(disconnect_domain, cy.actor, domain.pk)).status == Job.SUCCEEDED
    assert hosts.get_zone(remote.id) == remote


def test_a_zone_that_was_adopted_before_is_left_alone(cy: Person, sandbox: RunningSandbox) -> None:
    """Rows from before: the host's zone under a tenant's domain that counts as verified."""
    hosts = dns_provider(cy.credential)
    domain = verified(cy, COMPANY, sandbox)
    zone = Zone.objects.get(domain=domain)
    Zone.objects.filter(pk=zone.pk).update(creation_asked_at=None)
    before = hosts.list_records(zone.remote_id)
    api = Api(cy.token)
    record = {"type": "A", "name": "www", "content": "192.0.2.7", "ttl": 300}
    for answer in (
        api.get(f"/api/dns/zones/{zone.pk}/records"),
        api.post(f"/api/dns/zones/{zone.pk}/records", record),
    ):
        assert (answer.status, answer.error) == (409, "ZONE_NOT_OURS")
    assert cy.client.get(f"/dns/{zone.pk}/").status_code == 409
    plan = planned(cy, domain)
    assert plan.status == "failed"
    assert what_leaves(domain) == Departure(), "the host's zone stays, so nothing goes dark"
    assert ended(disconnect_domain(cy.actor, domain.pk)).status == Job.SUCCEEDED
    assert hosts.list_records(zone.remote_id) == before


@pytest.mark.powerdns
def test_a_zone_that_took_the_place_of_ours_is_left_alone(
    ada: Person, sandbox: RunningSandbox, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(ada, powerdns)
    domain = verified(ada, COMPANY, sandbox)
    zone = Zone.objects.get(domain=domain)
    assert told(powerdns)["account"] == zone.marker == f"mpanel-{zone.pk.hex}"
    powerdns.request("DELETE", f"/zones/{COMPANY}.")
    before = host_zone(powerdns)
    assert planned(ada, domain).status == "failed"
    assert ZoneExists().observe(domain).verdict == "conflicts"
    asked_for = RecordData(COMPANY, "TXT", "vendor-verification=1", 300)
    for touch in (
        lambda: publish_record(zone, asked_for, reason="Shows a vendor that it is ours."),
        lambda: DnssecIsOn().observe(zone),
        lambda: DnssecIsOn().apply(zone),
        lambda: DnssecIsOff().apply(zone),
        lambda: ProofIsWritten().observe(domain),
    ):
        with pytest.raises(ZoneNotOurs):
            touch()
    api = Api(ada.token)
    shown = api.get(f"/api/dns/zones/{zone.pk}/records")
    assert (shown.status, shown.error) == (409, "ZONE_NOT_OURS")
    assert ada.client.get(f"/dns/{zone.pk}/").status_code == 409
    assert what_leaves(domain) == Departure(), "the host's zone stays, so nothing goes dark"
    assert ended(disconnect_domain(ada.actor, domain.pk)).status == Job.SUCCEEDED
    assert told(powerdns) == before


# --- What mPanel made itself ----------------------------------------------------------------------


@pytest.mark.powerdns
def test_a_zone_whose_creation_was_not_answered_is_known_by_its_marker(
    ada: Person, cy: Person, powerdns: PrivatePowerDNS
) -> None:
    use_powerdns(ada, powerdns)
    domain = connected(ada, "example.test")
    zone = Zone.objects.get(domain=domain)
    # As if the runner had died before it noted the answer.
    Zone.objects.update(remote_id="")
    ZoneExists().apply(domain)
    zone.refresh_from_db()
    assert zone.remote_id == "example.test."
    assert zone.creation_asked_at is not None
    assert ended(sure(disconnect_domain, ada.actor, domain.pk)).status == Job.SUCCEEDED
    assert powerdns.request("GET", "/zones").json() == []


@pytest.mark.powerdns
def test_another_marker_is_another_zone(ada: Person, powerdns: PrivatePowerDNS) -> None:
    use_powerdns(ada, powerdns)
    domain = connected(ada, "example.test")
    powerdns.request("DELETE", "/zones/example.test.")
    Zone.objects.update(remote_id="")
    before = host_zone(powerdns, "example.test", account="mpanel-of-somebody-else")
    with pytest.raises(ZoneNotOurs):
        ZoneExists().apply(domain)
    assert ZoneIsReleased().observe(domain).verdict == "matches"
    assert told(powerdns, "example.test") == before


def test_a_call_that_created_nothing_makes_no_later_zone_ours(
    cy: Person, sandbox: RunningSandbox
) -> None:
    sandbox.fault("cloudflare", "status", status=429, times=1, path="/zones", method="POST")
    domain = Domain.objects.create(
        tenant=cy.tenant, name=COMPANY, unicode_name=COMPANY, dns_credential=cy.credential
    )
    with pytest.raises(ProviderError):
        ZoneExists().apply(domain)
    assert Zone.objects.get(domain=domain).creation_asked_at is None
    remote = dns_provider(cy.credential).create_zone(COMPANY)  # the host, a moment later
    with pytest.raises(ZoneNotOurs):
        ZoneExists().apply(domain)
    ZoneIsReleased().apply(domain)
    assert dns_provider(cy.credential).get_zone(remote.id) == remote


def test_without_markers_its_time_tells_whether_we_made_it() -> None:
    now = timezone.now()
    zone = Zone(creation_asked_at=now)

    def made(after: timedelta) -> bool:
        remote = RemoteZone("id", COMPANY, (), "pending", created_at=now + after)
        return was_made_by_us(zone, remote)

    assert made(timedelta(seconds=1))
    assert made(-timedelta(minutes=1)), "clocks differ"
    assert not made(-timedelta(days=1))
    assert not made(timedelta(hours=1))
    assert not was_made_by_us(zone, RemoteZone("id", COMPANY, (), "pending"))
    assert not was_made_by_us(Zone(), RemoteZone("id", COMPANY, (), "pending", created_at=now))


def test_an_account_that_the_host_took_away_keeps_no_domain_here(
    ada: Person, sandbox: RunningSandbox, settings: Any
) -> None:
    domain = connected(ada, "example.test")
    hosts = dns_provider(ada.credential)
    settings.HOUSE_CLOUDFLARE_TOKEN = ""
    assert ended(sure(disconnect_domain, ada.actor, domain.pk)).status == Job.SUCCEEDED
    assert hosts.find_zone("example.test") is not None


# --- An account of one's own ----------------------------------------------------------------------


def test_in_an_own_account_a_zone_is_adopted_and_never_deleted(
    ada: Person, sandbox: RunningSandbox
) -> None:
    provider = dns_provider(use_own_account(ada))
    remote = provider.create_zone(COMPANY)
    domain = asked(ada)
    assert domain.nameservers == list(remote.nameservers)
    assert Zone.objects.get(domain=domain).creation_asked_at is None
    assert ended(sure(disconnect_domain, ada.actor, domain.pk)).status == Job.SUCCEEDED
    assert provider.get_zone(remote.id) == remote
