"""A domain that is in use elsewhere is taken over before its nameservers are shown."""

import pytest
from django.conf import LazySettings

from dnszones.discovery import looking, selectors, services
from dnszones.discovery.selectors import get_discovery
from dnszones.models import ChangePlan, Zone, ZoneDiscovery
from domains.models import Domain
from domains.selectors import DomainNotFound
from domains.services import connect_domain
from domains.verification import ZoneNotComplete, instructions
from mpanel.core.errors import Forbidden
from mpanel.core.losses import ConfirmationRequired
from provisioning.models import Job
from provisioning.services import cancel_job, retry_job
from tests.api import Api
from tests.cast import Person
from tests.elsewhere import zone_file
from tests.sandboxes import NAMESERVERS, OTHER_NAMESERVER, RunningSandbox
from tests.stories import connected, verified
from tests.work import until, work_off

NAME = "shop.test"
pytestmark = pytest.mark.django_db


@pytest.fixture
def moving(ada: Person, sandbox: RunningSandbox) -> Domain:
    """Ada's domain with a website and Google mail at another DNS host, connected here."""
    sandbox.host_elsewhere(NAME, zone_file(NAME))
    return connected(ada, NAME)


def discovery(domain: Domain) -> ZoneDiscovery:
    found = selectors.discovery_of(domain)
    assert found is not None
    return found


def keys(row: ZoneDiscovery) -> set[tuple[str, str]]:
    return {
        (one.record.name.removesuffix(NAME).rstrip("."), one.record.type)
        for one in selectors.records_found(row)
    }


def look_again_with(person: Person, domain: Domain, text: str) -> None:
    given = services.read_zone_file(person.actor, domain.pk, text)
    services.look_again(person.actor, domain.pk, given=given)


def settled(domain: Domain) -> ZoneDiscovery:
    def over() -> bool:
        return discovery(domain).status not in ZoneDiscovery.BUSY

    until(over)
    domain.refresh_from_db()
    return discovery(domain)


EXPECTED = {
    ("", "A"),
    ("", "AAAA"),
    ("", "MX"),
    ("", "TXT"),
    ("", "CAA"),
    ("www", "CNAME"),
    ("mail", "A"),
    ("mail", "TXT"),
    ("relay", "A"),
    ("shop", "CNAME"),
    ("_dmarc", "TXT"),
    ("google._domainkey", "TXT"),
    ("scph0226._domainkey", "TXT"),
    ("_sip._tls", "SRV"),
    ("voice", "A"),
    ("dev", "NS"),
    ("ns1.dev", "A"),
    ("*", "A"),
    ("*", "MX"),
}


def test_what_a_domain_publishes_is_found_without_a_transfer(moving: Domain) -> None:
    row = discovery(moving)
    assert row.status == ZoneDiscovery.FOUND
    assert not row.is_transferred
    assert keys(row) == EXPECTED
    sources = {
        (one.record.name, one.record.type): one.source for one in selectors.records_found(row)
    }
    assert sources["*.shop.test", "A"] == "Wildcard"
    assert sources["scph0226._domainkey.shop.test", "TXT"] == "DKIM selectors"
    assert sources["voice.shop.test", "A"] == "Named in a record"
    assert sources["dev.shop.test", "NS"] == "Delegated below"
    ttls = {one.record.name: one.record.ttl for one in selectors.records_found(row)}
    assert ttls["shop.shop.test"] == 86_400  # the longest that every provider takes
    assert ttls["www.shop.test"] == 300


def test_a_transfer_shows_names_that_nobody_guesses(ada: Person, sandbox: RunningSandbox) -> None:
    odd = '4f3a9c._domainkey IN TXT "v=DKIM1; p=abc"\nunguessable IN A 192.0.2.77\n'
    sandbox.host_elsewhere(NAME, zone_file(NAME) + odd, transfer=True)
    row = discovery(connected(ada, NAME))
    assert row.is_transferred
    assert keys(row) == EXPECTED | {("4f3a9c._domainkey", "TXT"), ("unguessable", "A")}


def test_the_nameservers_are_not_shown_before_the_zone_is_complete(
    ada: Person, moving: Domain
) -> None:
    assert len(moving.nameservers) == 2
    assert moving.shown_nameservers == []
    with pytest.raises(ZoneNotComplete):
        instructions(ada.actor, moving.pk)


def test_a_domain_is_taken_over_with_one_consent(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    services.take_over(ada.actor, moving.pk)
    row = settled(moving)
    assert row.status == ZoneDiscovery.COMPLETE
    seen = selectors.comparison_of(row)
    assert seen is not None
    assert (seen.planned, seen.unknown, seen.differences) == (0, 0, ())
    assert seen.equal >= len(EXPECTED)
    assert "We can only compare names that we know" in row.message
    written = {(one["name"], one["type"]) for one in sandbox.records(NAME)}
    assert len(written) == len(EXPECTED)
    assert not any(one["proxied"] for one in sandbox.records(NAME))
    assert moving.shown_nameservers == moving.nameservers
    assert instructions(ada.actor, moving.pk).nameservers == tuple(moving.nameservers)
    plan = ChangePlan.objects.get()
    assert (plan.kind, plan.status) == (ChangePlan.EXISTING, ChangePlan.APPLIED)
    sandbox.set_nameservers(NAME, moving.nameservers)
    until(lambda: Domain.objects.get().is_verified)


def test_what_the_customer_unticks_is_changed_on_purpose(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    found = selectors.records_found(discovery(moving))
    unwanted = [one.id for one in found if one.record.name == "voice.shop.test"]
    services.take_over(ada.actor, moving.pk, unwanted=unwanted)
    row = settled(moving)
    assert row.status == ZoneDiscovery.COMPLETE
    seen = selectors.comparison_of(row)
    assert seen is not None
    assert seen.planned >= 1
    assert "changed on purpose" in row.message
    assert not [one for one in sandbox.records(NAME) if one["name"] == "voice.shop.test"]


def test_skipping_needs_the_customers_word(ada: Person, moving: Domain) -> None:
    with pytest.raises(ConfirmationRequired) as refused:
        services.go_on_without(ada.actor, moving.pk)
    details = refused.value.details
    assert "The website shop.test goes dark" in refused.value.message
    assert "Mail to @shop.test stops arriving at Google Workspace" in refused.value.message
    kinds = {(one["kind"], one["name"]) for one in details["losses"]}
    assert kinds >= {
        ("mail", NAME),
        ("sending", NAME),
        ("website", NAME),
        ("website", f"www.{NAME}"),
        ("wildcard", f"*.{NAME}"),
        ("delegation", f"dev.{NAME}"),
        ("extent", f"google._domainkey.{NAME}"),
    }
    with pytest.raises(ConfirmationRequired):
        services.go_on_without(ada.actor, moving.pk, confirmation="yes")
    services.go_on_without(ada.actor, moving.pk, confirmation=details["confirmation"])
    moving.refresh_from_db()
    assert moving.shown_nameservers == moving.nameservers


def test_a_confirmation_holds_for_exactly_what_was_shown(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """Also where the zone has more records than fit into a message."""
    hosts = "".join(f"zz{number} IN A 192.0.2.{number}\n" for number in range(1, 40))
    sandbox.host_elsewhere(NAME, zone_file(NAME) + hosts, transfer=True)
    domain = connected(ada, NAME)
    with pytest.raises(ConfirmationRequired) as refused:
        services.go_on_without(ada.actor, domain.pk)
    shown = refused.value.confirmation
    assert refused.value.details["total"] > 40
    sandbox.host_elsewhere(NAME, zone_file(NAME) + hosts.replace("zz39", "zz40"), transfer=True)
    services.look_again(ada.actor, domain.pk)
    settled(domain)
    with pytest.raises(ConfirmationRequired) as again:
        services.go_on_without(ada.actor, domain.pk, confirmation=shown)
    services.go_on_without(ada.actor, domain.pk, confirmation=again.value.confirmation)


def test_the_name_is_typed_on_the_page(ada: Person, moving: Domain) -> None:
    path = f"/setup/{moving.pk}/existing/skip/"
    page = ada.client.get(path)
    assert "Mail to @shop.test stops arriving at Google Workspace" in page.content.decode()
    assert ada.client.post(path).status_code == 422  # nothing typed
    digest = page.context["typed"].digest
    wrong = ada.client.post(path, {"typed_name": "other.test", "confirmation": digest})
    assert (wrong.status_code, discovery(moving).status) == (422, ZoneDiscovery.FOUND)
    assert "Nothing was changed." in wrong.content.decode()
    right = ada.client.post(path, {"typed_name": "SHOP.test.", "confirmation": digest})
    assert (right.status_code, discovery(moving).status) == (302, ZoneDiscovery.SKIPPED)


def test_silent_nameservers_are_unknown_and_never_empty(
    ada: Person, sandbox: RunningSandbox
) -> None:
    sandbox.host_elsewhere(NAME, zone_file(NAME))
    sandbox.set_server(OTHER_NAMESERVER, "down")
    domain = connected(ada, NAME)
    row = discovery(domain)
    assert row.status == ZoneDiscovery.UNSEEN
    assert "could not be seen" in row.message
    assert domain.shown_nameservers == []
    with pytest.raises(ConfirmationRequired, match="All of it is lost"):
        services.go_on_without(ada.actor, domain.pk)
    look_again_with(ada, domain, "www IN A 192.0.2.1\n")
    row = settled(domain)
    assert row.status == ZoneDiscovery.FOUND
    assert [one.is_confirmed for one in selectors.records_found(row)] == [False]
    sandbox.set_server(OTHER_NAMESERVER, "up")
    services.look_again(ada.actor, domain.pk)
    row = settled(domain)
    assert keys(row) >= EXPECTED


def test_names_in_a_zone_file_are_asked_for(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.host_elsewhere(NAME, zone_file(NAME) + "unguessable IN A 192.0.2.77\n")
    domain = connected(ada, NAME)
    assert ("unguessable", "A") not in keys(discovery(domain))
    look_again_with(ada, domain, "unguessable IN A 192.0.2.77\n")
    row = settled(domain)
    assert keys(row) == EXPECTED | {("unguessable", "A")}
    assert all(one.is_confirmed for one in selectors.records_found(row))


def test_a_domain_that_publishes_nothing_passes_by_itself(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, "fresh.test")
    row = discovery(domain)
    assert row.status == ZoneDiscovery.EMPTY
    assert "publish nothing" in row.message
    assert domain.shown_nameservers == domain.nameservers


def test_a_domain_that_points_here_already_passes_by_itself(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, "here.test", sandbox)
    assert domain.shown_nameservers == domain.nameservers


def test_other_records_in_the_zone_are_told_and_overwritten_on_demand(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="A", name="mail", content="198.51.100.1", ttl=300)
    services.take_over(ada.actor, moving.pk)
    row = settled(moving)
    assert row.status == ZoneDiscovery.DIFFERENT
    seen = selectors.comparison_of(row)
    assert seen is not None
    (difference,) = seen.differences
    assert (difference.name, difference.old, difference.new) == (
        "mail.shop.test",
        ("192.0.2.11",),
        ("198.51.100.1",),
    )
    assert moving.shown_nameservers == []
    services.take_over(ada.actor, moving.pk, overwrite=True)
    assert settled(moving).status == ZoneDiscovery.COMPLETE


def test_new_nameservers_that_do_not_answer_keep_the_zone_incomplete(
    ada: Person, moving: Domain, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    for address in NAMESERVERS:
        sandbox.set_server(address, "down")
    patient, settings.DNS_TIMEOUT = settings.DNS_TIMEOUT, 0.3  # they are compared eight times
    services.take_over(ada.actor, moving.pk)
    row = settled(moving)
    assert row.status == ZoneDiscovery.DIFFERENT
    assert "could not be compared" in row.message
    assert moving.shown_nameservers == []
    for address in NAMESERVERS:
        sandbox.set_server(address, "up")
    settings.DNS_TIMEOUT = patient
    services.compare_again(ada.actor, moving.pk)
    assert settled(moving).status == ZoneDiscovery.COMPLETE


def test_the_providers_own_scan_is_asked_and_adds_nothing(
    ada: Person, sandbox: RunningSandbox
) -> None:
    sandbox.host_elsewhere(NAME, zone_file(NAME) + 'intake IN TXT "v=1"\n')
    row = discovery(connected(ada, NAME))
    assert keys(row) == EXPECTED | {("intake", "TXT")}
    sources = {one.record.key: one.source for one in selectors.records_found(row)}
    assert sources["intake.shop.test", "TXT"] == "Your DNS provider’s scan"
    assert sandbox.records(NAME) == []


def test_a_scan_that_fails_holds_up_nothing(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.host_elsewhere(NAME, zone_file(NAME))
    path = "/zones/[^/]+/dns_records/scan"
    sandbox.fault("cloudflare", "status", status=500, path=path, times=None)
    assert keys(discovery(connected(ada, NAME))) == EXPECTED


def test_the_same_story_over_the_api(ada: Person, moving: Domain, sandbox: RunningSandbox) -> None:
    api, at = Api(ada.token), f"/api/v1/domains/{moving.pk}"
    shown = api.get(f"{at}/existing-records").body
    assert (shown["status"], shown["zone_complete"], shown["total"]) == ("found", False, 21)
    assert {one["type"] for one in shown["records"]} >= {"A", "MX", "NS", "SRV", "TXT", "CAA"}
    assert all(one["is_confirmed"] and one["sources"] for one in shown["records"])
    domain = api.get(at).body
    assert (domain["assigned_nameservers"], domain["zone_complete"]) == ([], False)
    steps = api.get(f"{at}/nameserver-instructions")
    assert (steps.status, steps.error) == (409, "ZONE_NOT_COMPLETE")
    seen = api.post(f"{at}/verify-nameservers", {}).body
    assert (seen["is_verified"], seen["expected_nameservers"]) == (False, [])
    assert "take that away" in seen["message"]
    job = Job.objects.get(workflow="domains.connect")
    told = f"{job.waiting_for} {[step.observed for step in job.steps.all()]}"
    assert not any(nameserver in told for nameserver in moving.nameservers)

    skip = api.post(f"{at}/existing-records/skip", {})
    assert (skip.status, skip.error) == (409, "CONFIRMATION_REQUIRED")
    details = skip.body["error"]["details"]
    assert details["total"] == len(details["losses"]) > 10
    assert details["confirmation"]
    unknown = api.post(f"{at}/existing-records/take-over", {"leave_out": ["nothing-there"]})
    assert unknown.status == 400
    taken = api.post(f"{at}/existing-records/take-over", {})
    assert (taken.status, taken.body["status"]) == (202, "writing")
    busy = api.post(f"{at}/existing-records/look", {})
    assert (busy.status, busy.error) == (409, "DISCOVERY_BUSY")
    assert settled(moving).status == ZoneDiscovery.COMPLETE
    done = api.get(f"{at}/existing-records").body
    assert done["comparison"]["differences"] == []
    assert done["zone_complete"] is True
    assert len(api.get(at).body["assigned_nameservers"]) == 2
    assert api.get(f"{at}/nameserver-instructions").status == 200
    bad = api.post(f"{at}/existing-records/look", {"zone_file": "$$$ nonsense ((("})
    assert (bad.status, bad.error) == (400, "VALIDATION_ERROR")


def test_looking_twice_at_once_settles_once(ada: Person, sandbox: RunningSandbox) -> None:
    sandbox.host_elsewhere(NAME, zone_file(NAME))
    domain = connected(ada, NAME)
    services.take_over(ada.actor, domain.pk)
    plan = discovery(domain).plan
    # A runner that was given up for dead comes back with what it saw long ago.
    looking.look(domain, lambda phase: None)
    assert discovery(domain).status == ZoneDiscovery.WRITING
    assert settled(domain).status == ZoneDiscovery.COMPLETE
    assert ChangePlan.objects.get() == plan


def test_a_change_of_the_delegation_meanwhile_is_noticed(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    services.take_over(ada.actor, moving.pk)
    sandbox.set_nameservers(NAME, moving.nameservers)
    row = settled(moving)
    assert row.status == ZoneDiscovery.HERE
    until(lambda: Domain.objects.get().is_verified)


def test_what_cannot_be_written_is_said_and_tried_again(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    path = "/zones/[^/]+/dns_records/batch"
    sandbox.fault("cloudflare", "status", status=400, method="POST", path=path, times=None)
    services.take_over(ada.actor, moving.pk)
    row = settled(moving)
    assert row.status == ZoneDiscovery.FOUND
    assert row.message
    assert moving.shown_nameservers == []
    sandbox.clear_faults()
    services.take_over(ada.actor, moving.pk)
    assert settled(moving).status == ZoneDiscovery.COMPLETE


def test_a_look_that_was_cancelled_can_be_repeated(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    services.look_again(ada.actor, moving.pk)
    job = Job.objects.get(workflow="dnszones.discover")
    cancel_job(ada.actor, job.pk)
    work_off()
    row = discovery(moving)
    assert row.status == ZoneDiscovery.UNSEEN
    assert "was not looked at to the end" in row.message
    with pytest.raises(ConfirmationRequired):
        services.go_on_without(ada.actor, moving.pk)
    retry_job(ada.actor, job.pk)
    assert discovery(moving).status == ZoneDiscovery.LOOKING
    assert settled(moving).status == ZoneDiscovery.FOUND
    services.look_again(ada.actor, moving.pk)
    assert settled(moving).status == ZoneDiscovery.FOUND


def test_a_look_that_failed_with_its_job_can_be_repeated(
    ada: Person, sandbox: RunningSandbox
) -> None:
    """Here the job that connects the domain is cancelled while it looks."""
    sandbox.host_elsewhere(NAME, zone_file(NAME))
    domain = connect_domain(ada.actor, NAME, credential_id=ada.credential.pk)
    job = Job.objects.get(workflow="domains.connect")
    Zone.objects.create(domain=domain, provider="cloudflare")
    ZoneDiscovery.objects.create(zone=domain.zone)
    cancel_job(ada.actor, job.pk)
    work_off()
    assert discovery(domain).status == ZoneDiscovery.UNSEEN
    retry_job(ada.actor, job.pk)
    work_off()
    services.look_again(ada.actor, domain.pk)
    assert settled(domain).status == ZoneDiscovery.FOUND


def test_a_comparison_that_was_cancelled_can_be_repeated(
    ada: Person, moving: Domain, sandbox: RunningSandbox
) -> None:
    for address in NAMESERVERS:
        sandbox.set_server(address, "down")
    services.take_over(ada.actor, moving.pk)
    until(lambda: discovery(moving).status == ZoneDiscovery.COMPARING)
    job = Job.objects.get(workflow="dnszones.compare")
    cancel_job(ada.actor, job.pk)
    until(lambda: discovery(moving).status == ZoneDiscovery.DIFFERENT)
    with pytest.raises(ConfirmationRequired, match="compared"):
        services.go_on_without(ada.actor, moving.pk)
    for address in NAMESERVERS:
        sandbox.set_server(address, "up")
    retry_job(ada.actor, job.pk)
    assert settled(moving).status == ZoneDiscovery.COMPLETE
    Job.objects.filter(pk=job.pk).update(status=Job.FAILED)
    with pytest.raises(looking.Outdated):
        retry_job(ada.actor, job.pk)


def test_nobody_else_sees_or_decides(ada: Person, bo: Person, cy: Person, moving: Domain) -> None:
    for act in (
        lambda: get_discovery(cy.actor, moving.pk),
        lambda: services.look_again(cy.actor, moving.pk),
        lambda: services.take_over(cy.actor, moving.pk),
        lambda: services.compare_again(cy.actor, moving.pk),
        lambda: services.go_on_without(cy.actor, moving.pk),
    ):
        with pytest.raises(DomainNotFound):
            act()
    assert get_discovery(bo.actor, moving.pk) == discovery(moving)
    with pytest.raises(Forbidden):
        services.take_over(bo.actor, moving.pk)
    work_off()
    assert discovery(moving).status == ZoneDiscovery.FOUND
