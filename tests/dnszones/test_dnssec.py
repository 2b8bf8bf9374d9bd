"""DNSSEC: signed at the provider, closed at the registry, and ended in the right order."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dnszones.dnssec import services as dnssec
from dnszones.dnssec.states import DnssecIsOff, DnssecIsOn, load_zone
from dnszones.models import Zone
from dnszones.providers.base import DsRecord
from dnszones.vendors import dns_provider
from domains.delegation import SignerReport
from domains.models import Domain
from events.models import Event
from mpanel.core.errors import Conflict, Forbidden, NotFound, ProviderError
from mpanel.core.losses import ConfirmationRequired
from provisioning.models import Job
from provisioning.services import retry_job
from tests.api import Api
from tests.cast import Person
from tests.confirming import agreed, typed
from tests.sandboxes import REGISTRY, RESOLVERS, RunningSandbox
from tests.stories import connected, verified
from tests.wizard.rows import estate
from tests.work import ended, work_off

NAME = "example.test"
FOREIGN = "4711 13 2 " + "AB" * 32


@pytest.fixture
def domain(ada: Person, sandbox: RunningSandbox) -> Domain:
    return verified(ada, NAME, sandbox)


def zone_of(domain: Domain) -> Zone:
    return Zone.objects.select_related("domain__dns_credential").get(domain=domain)


def report_of(domain: Domain) -> dnssec.DnssecReport:
    return dnssec.dnssec_of(zone_of(domain))


def signed(ada: Person, domain: Domain) -> DsRecord:
    """Turn it on; the DS record for the registrar."""
    job = ended(dnssec.turn_on_dnssec(ada.actor, domain.pk))
    assert job.status == Job.SUCCEEDED, job.error_message
    (ds,) = report_of(domain).ds_records
    return ds


def looked(domain: Domain) -> dnssec.DnssecReport:
    """How it stands after the sweep looked again."""
    Zone.objects.update(parent_ds_at=None)
    dnssec.look_at_due_parents()
    return report_of(domain)


def caches_forget() -> None:
    for zone in Zone.objects.filter(parent_ds__isnull=False):
        past = (timezone.now() - timedelta(seconds=1)).isoformat()
        zone.parent_ds = {**(zone.parent_ds or {}), "until": past}
        zone.save()


def actions() -> list[str]:
    return list(Event.objects.filter(action__startswith="dns.").values_list("action", flat=True))


def test_a_zone_deleted_during_the_look_holds_up_no_other(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = (
        Zone.objects.select_related("domain").get(domain=estate(ada, name).domain)
        for name in ("gone.test", "kept.test")
    )
    for zone in (gone, kept):
        zone.ds_records, zone.parent_ds = [FOREIGN], None
        zone.save()

    def look(names: list[str], *, within: float | None = None) -> list[SignerReport]:
        Zone.objects.filter(pk=gone.pk).delete()
        return [SignerReport(name, (FOREIGN,), 300, "test", ()) for name in names]

    monkeypatch.setattr(dnssec, "look_at_signers", look)
    dnssec.look_at_parents([gone, kept])
    kept.refresh_from_db()
    assert dnssec.dnssec_sight(kept) == "seen"
    assert actions().count("dns.ds_seen") == 1


def test_from_signing_to_the_closed_chain_and_back(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    assert report_of(domain).status == "off"
    ds = signed(ada, domain)
    assert looked(domain).sight == "not_seen"
    assert sorted(actions()) == ["dns.dnssec_on", "dns.signed"]

    sandbox.set_ds_records(NAME, [str(ds)])
    for server in (REGISTRY, RESOLVERS[0]):
        assert sandbox.texts(server, NAME, "DS") == [str(ds).lower()]
    for _ in range(2):
        report = looked(domain)
        assert (report.status, report.sight, report.is_broken) == ("on", "seen", False)
    assert actions().count("dns.ds_seen") == 1

    with pytest.raises(dnssec.DsAtParent) as refused:
        dnssec.turn_off_dnssec(ada.actor, domain.pk)
    assert "Remove them at your registrar" in refused.value.message
    sandbox.set_ds_records(NAME, [])
    with pytest.raises(dnssec.DsAtParent) as refused:
        dnssec.turn_off_dnssec(ada.actor, domain.pk)
    assert "may remember them until" in refused.value.message
    caches_forget()
    job = ended(dnssec.turn_off_dnssec(ada.actor, domain.pk))
    assert job.status == Job.SUCCEEDED
    report = report_of(domain)
    assert (report.status, report.ds_records, report.sight) == ("off", (), "not_seen")
    assert not dns_provider(ada.credential).dnssec(zone_of(domain).remote_id).is_on


def test_twice_is_one_job_and_both_ways_at_once_is_refused(ada: Person, domain: Domain) -> None:
    first = dnssec.turn_on_dnssec(ada.actor, domain.pk)
    assert dnssec.turn_on_dnssec(ada.actor, domain.pk) == first
    with pytest.raises(dnssec.DnssecChanging):
        dnssec.turn_off_dnssec(ada.actor, domain.pk)
    ended(first)
    again = ended(dnssec.turn_on_dnssec(ada.actor, domain.pk))
    assert again.status == Job.SUCCEEDED
    assert Job.objects.filter(workflow=dnssec.ON).count() == 2


def test_forced_it_is_turned_off_while_the_parent_has_the_ds(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    sandbox.set_ds_records(NAME, [str(signed(ada, domain))])
    with pytest.raises(ConfirmationRequired) as asked:
        dnssec.turn_off_dnssec(ada.actor, domain.pk, forced=True)
    (loss,) = asked.value.losses
    assert (loss.kind, loss.name) == ("dnssec", NAME)
    sandbox.set_ds_records(NAME, [FOREIGN])
    with pytest.raises(ConfirmationRequired) as changed:
        dnssec.turn_off_dnssec(
            ada.actor, domain.pk, forced=True, confirmation=asked.value.confirmation
        )
    ended(
        dnssec.turn_off_dnssec(
            ada.actor, domain.pk, forced=True, confirmation=changed.value.confirmation
        )
    )
    report = looked(domain)
    assert (report.status, report.is_broken) == ("off", True)


def test_a_ds_that_came_back_stops_the_job(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    ds = signed(ada, domain)
    job = dnssec.turn_off_dnssec(ada.actor, domain.pk)
    sandbox.set_ds_records(NAME, [str(ds)])
    assert ended(job).error_code == "DS_AT_PARENT"
    report = report_of(domain)
    assert (report.status, report.failed_job) == ("turning_off", job)
    assert dns_provider(ada.credential).dnssec(zone_of(domain).remote_id).is_on
    sandbox.set_ds_records(NAME, [])
    caches_forget()
    assert ended(retry_job(ada.actor, job.pk)).status == Job.SUCCEEDED


def test_a_foreign_ds_is_told_and_none_of_ours(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    ds = signed(ada, domain)
    sandbox.set_ds_records(NAME, [FOREIGN])
    report = looked(domain)
    assert (report.sight, report.is_broken) == ("others", True)
    sandbox.set_ds_records(NAME, [FOREIGN, str(ds)])
    report = looked(domain)
    assert (report.sight, report.is_broken) == ("seen", False)


def test_silence_of_the_parent_says_nothing(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    sandbox.set_ds_records(NAME, [str(signed(ada, domain))])
    looked(domain)
    sandbox.set_server(REGISTRY, "servfail")
    report = looked(domain)
    assert report.sight == "seen"
    assert report.at_parent is not None and report.at_parent.is_silent
    with pytest.raises(dnssec.ParentSilent):
        dnssec.turn_off_dnssec(ada.actor, domain.pk)
    assert report_of(domain).status == "on"


@pytest.mark.parametrize("kind", ["drop_after_commit", "timeout_after_commit"])
def test_a_lost_answer_leaves_one_key(
    ada: Person, domain: Domain, sandbox: RunningSandbox, kind: str
) -> None:
    job = Job(subject_id=zone_of(domain).pk, tenant_id=ada.actor.tenant_id)
    for state, is_on in ((DnssecIsOn(), True), (DnssecIsOff(), False)):
        sandbox.fault("cloudflare", kind, method="PATCH", path="/zones/.*/dnssec")
        with pytest.raises(ProviderError) as caught:
            state.apply(load_zone(job))
        assert caught.value.ambiguous
        assert state.observe(load_zone(job)).verdict == "missing", "not noted yet"
        for _ in range(2):
            state.apply(load_zone(job))
        assert state.observe(load_zone(job)).verdict == "matches"
        assert bool(load_zone(job).ds_records) is is_on


def test_who_may_not(ada: Person, bo: Person, cy: Person, domain: Domain) -> None:
    for call in (dnssec.turn_on_dnssec, dnssec.turn_off_dnssec):
        with pytest.raises(Forbidden):
            call(bo.actor, domain.pk)
        with pytest.raises(NotFound):
            call(cy.actor, domain.pk)


def test_before_the_nameservers_point_here_nothing_is_signed(
    ada: Person, sandbox: RunningSandbox
) -> None:
    waiting = connected(ada, NAME)
    with pytest.raises(Conflict) as refused:
        dnssec.turn_on_dnssec(ada.actor, waiting.pk)
    assert refused.value.code == "DOMAIN_NOT_VERIFIED"


def test_the_same_over_json(ada: Person, domain: Domain, sandbox: RunningSandbox) -> None:
    api, path = Api(ada.token), f"/api/dns/zones/{zone_of(domain).pk}/dnssec"
    assert api.get(path).body["status"] == "off"
    begun = api.post(path)
    assert (begun.status, begun.body["status"]) == (202, "turning_on")
    work_off()
    found = api.get(path).body
    (ds,) = found["dsRecords"]
    assert found["status"] == "on"
    assert (ds["algorithm"], ds["digestType"]) == (13, 2)
    sandbox.set_ds_records(NAME, [ds["record"].partition(" DS ")[2]])
    refused = api.delete(path)
    assert (refused.status, refused.error) == (409, "DS_AT_PARENT")
    assert api.get(path).body["parent"]["sight"] == "seen"
    assert api.delete(f"{path}?force=perhaps").status == 400
    assert api.delete(f"{path}?force=true").error == "CONFIRMATION_REQUIRED"
    ending = agreed(api.delete, f"{path}?force=true")
    assert (ending.status, ending.body["status"]) == (202, "turning_off")
    work_off()
    after = api.get(path).body
    assert (after["status"], after["isBroken"]) == ("off", True)


def test_the_same_on_the_page(ada: Person, domain: Domain, sandbox: RunningSandbox) -> None:
    path = f"/domains/{domain.pk}/dnssec/"

    def page() -> str:
        return ada.client.get(path).content.decode()

    assert "Turn on DNSSEC" in page()
    assert ada.client.post(path)["Location"] == path
    assert "Being changed" in page()
    work_off()
    (ds,) = report_of(domain).ds_records
    assert f"{NAME}. IN DS {ds}" in page()
    sandbox.set_ds_records(NAME, [str(ds)])
    ada.client.post(f"{path}check/")
    assert "Seen there" in page()
    refused = ada.client.post(f"{path}off/")
    assert refused.status_code == 409
    assert "resolvers that validate refuse" in refused.content.decode()
    wrong = {"typed_name": "other.test", "confirmation": refused.context["typed"].digest}
    assert ada.client.post(f"{path}off/", wrong).status_code == 409
    assert typed(ada.client, f"{path}off/", NAME)["Location"] == path
    work_off()
    assert "refuse this domain" in page()
