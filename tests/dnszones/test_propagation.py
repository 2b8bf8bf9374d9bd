"""Where records are seen, told exactly: missing, conflicting, unknown, cached."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dnszones import selectors
from dnszones.models import PropagationSession, Record, Zone
from dnszones.plans.services import apply_plan
from dnszones.propagation import sweep as propagation
from dnszones.propagation.services import cancel_session, start_session
from dnszones.records import RecordData
from dnszones.vendor_records import publish_record
from domains.models import Domain
from events.models import Event
from mpanel.core.errors import Conflict, Forbidden
from tests.api import Api
from tests.cast import Person
from tests.dnsservers import dns_servers
from tests.sandboxes import NAMESERVERS, RESOLVERS, RunningSandbox
from tests.stories import planned, published, verified
from tests.wizard.rows import estate
from tests.work import ended, sure, work_off

ZONE = "example.test"
WEST = RESOLVERS[3]


@pytest.fixture
def slow_west(sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """One resolver sees changes an hour late."""
    sandbox.set_resolver_delay(WEST, 3600)
    yield sandbox
    sandbox.set_resolver_delay(WEST, 0)


def written(person: Person, sandbox: RunningSandbox) -> Domain:
    """A domain whose records were just written, and looked for once."""
    domain = verified(person, ZONE, sandbox)
    ended(apply_plan(person.actor, planned(person, domain).pk))
    return domain


def sweep() -> None:
    Record.objects.update(next_check_at=timezone.now())
    propagation.sweep()


def verdicts(domain: Domain) -> dict[str, str]:
    return {state.purpose: state.verdict for state in selectors.verify(domain)}


def matrix(domain: Domain) -> dict[str, list[str]]:
    """What each resolver shows, by purpose."""
    return {
        row.purpose: [sighting["verdict"] for sighting in row.sightings]
        for row in selectors.records_of(domain)
    }


ALL_FINE = {"spf": "matches", "dkim": "matches", "dmarc": "matches", "mx": "matches"}


def test_records_spread_from_the_zone_to_every_cache(
    ada: Person, slow_west: RunningSandbox
) -> None:
    domain = written(ada, slow_west)
    assert set(Record.objects.values_list("status", flat=True)) == {Record.PENDING}
    sweep()
    assert verdicts(domain) == ALL_FINE
    for row in selectors.records_of(domain):
        assert (row.status, row.percent) == (Record.PROPAGATING, 75)
    session = PropagationSession.objects.get()
    assert (session.status, session.progress) == (PropagationSession.POLLING, 75)
    assert session.check_count == 1
    page = ada.client.get(f"/setup/{domain.pk}/propagation/").content.decode()
    assert "cached" in page
    assert "not published" not in page
    slow_west.set_resolver_delay(WEST, 0)
    sweep()
    assert set(Record.objects.values_list("status", flat=True)) == {Record.PROPAGATED}
    session.refresh_from_db()
    domain.refresh_from_db()
    assert (session.status, session.progress) == (PropagationSession.COMPLETED, 100)
    assert domain.status == Domain.READY
    assert Event.objects.filter(action="domain.ready", subject_id=domain.pk).count() == 1
    assert (
        "Ready for inboxes" in ada.client.get(f"/setup/{domain.pk}/propagation/").content.decode()
    )


def test_not_published_looks_different_from_cached(ada: Person, slow_west: RunningSandbox) -> None:
    domain = written(ada, slow_west)
    slow_west.change_record(ZONE, "delete", type="TXT", name="_dmarc")
    sweep()
    assert verdicts(domain) == {**ALL_FINE, "dmarc": "missing"}
    page = ada.client.get(f"/domains/{domain.pk}/records/").content.decode()
    assert "not published" in page
    assert "cached" in page
    dmarc = Record.objects.get(purpose="dmarc")
    assert (dmarc.status, dmarc.cached_until) == (Record.PENDING, None)


def test_what_is_changed_behind_our_back_is_told_after_one_sweep(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, ZONE, sandbox)
    assert verdicts(domain) == ALL_FINE
    sandbox.change_record(ZONE, "delete", type="TXT", name=f"mpanel._domainkey.{ZONE}")
    sandbox.change_record(ZONE, "add", type="TXT", name="@", content='"v=spf1 ip4:192.0.2.66 -all"')
    sandbox.change_record(ZONE, "replace", type="MX", name="@", content="mx.evil.test", priority=1)
    sandbox.set_server(WEST, "down")
    sweep()
    assert verdicts(domain) == {
        "spf": "conflicts",
        "dkim": "missing",
        "dmarc": "matches",
        "mx": "conflicts",
    }
    found = {state.purpose: " ".join(state.found) for state in selectors.verify(domain)}
    assert "ip4:192.0.2.66" in found["spf"]
    assert "mx.evil.test" in found["mx"]
    assert matrix(domain) == {
        "spf": ["conflicts"] * 3 + ["unknown"],
        "dkim": ["missing"] * 3 + ["unknown"],
        "dmarc": ["matches"] * 3 + ["unknown"],
        "mx": ["conflicts"] * 3 + ["unknown"],
    }
    for path in (f"/domains/{domain.pk}/", f"/domains/{domain.pk}/records/"):
        page = ada.client.get(path).content.decode()
        assert "mx.evil.test" in page
        assert "ip4:192.0.2.66" in page
    domain.refresh_from_db()
    assert domain.status == Domain.READY, "drift is told, and takes nothing away by itself"
    # Put right again, it is all fine after one sweep.
    sandbox.set_server(WEST, "up")
    row = Record.objects.get(purpose="dkim")
    sandbox.change_record(
        ZONE,
        "add",
        type="TXT",
        name=row.name,
        content=f'"{row.content[:200]}" "{row.content[200:]}"',
    )
    sandbox.change_record(
        ZONE, "delete", type="TXT", name="@", content="v=spf1 ip4:192.0.2.66 -all"
    )
    sandbox.change_record(
        ZONE, "replace", type="MX", name="@", content="mx.mail-sandbox.test", priority=10
    )
    sweep()
    assert verdicts(domain) == ALL_FINE


@pytest.mark.parametrize("state", ["down", "servfail"])
def test_all_resolvers_are_out_and_nothing_is_claimed(
    ada: Person, sandbox: RunningSandbox, state: str
) -> None:
    domain = written(ada, sandbox)
    sweep()
    PropagationSession.objects.all().delete()
    Domain.objects.update(status=Domain.DNS_CONFIGURING)
    start_session(ada.actor, domain.pk)
    for address in RESOLVERS:
        sandbox.set_server(address, state)
    sweep()
    assert matrix(domain) == {purpose: ["unknown"] * 4 for purpose in ALL_FINE}
    assert verdicts(domain) == ALL_FINE, "the zone itself still answers"
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    for address in NAMESERVERS:
        sandbox.set_server(address, "down")
    sweep()
    assert verdicts(domain) == dict.fromkeys(ALL_FINE, "unknown")
    assert not Record.objects.filter(status=Record.FAILED).exists()
    assert PropagationSession.objects.get().status == PropagationSession.POLLING


def test_one_resolver_of_four_is_not_everywhere(ada: Person, sandbox: RunningSandbox) -> None:
    domain = written(ada, sandbox)
    for address in RESOLVERS[1:]:
        sandbox.set_server(address, "down")
    sweep()
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    assert set(Record.objects.values_list("status", "percent")) == {(Record.PROPAGATING, 99)}
    assert PropagationSession.objects.get().status == PropagationSession.POLLING
    for path in (f"/setup/{domain.pk}/propagation/", f"/domains/{domain.pk}/records/"):
        page = ada.client.get(path).content.decode()
        assert "Seen by 1 of 1 that answered; 3 did not answer" in page
    for address in RESOLVERS[1:3]:
        sandbox.set_server(address, "up")
    sweep()
    domain.refresh_from_db()
    assert domain.status == Domain.READY
    page = ada.client.get(f"/domains/{domain.pk}/records/").content.decode()
    assert "Seen by 3 of 3 that answered; 1 did not answer" in page


def test_the_required_records_decide(ada: Person, slow_west: RunningSandbox) -> None:
    domain = verified(ada, ZONE, slow_west)
    ended(apply_plan(ada.actor, planned(ada, domain).pk))
    slow_west.set_resolver_delay(WEST, 0)
    slow_west.change_record(ZONE, "delete", type="TXT", name="_dmarc")
    sweep()
    domain.refresh_from_db()
    assert domain.status == Domain.READY, "DMARC is recommended, and mail works without it"
    assert Event.objects.filter(action="domain.ready", subject_id=domain.pk).count() == 1
    session = PropagationSession.objects.get()
    assert session.status == PropagationSession.POLLING, "it is still watched"
    assert verdicts(domain)["dmarc"] == "missing"


def test_an_extra_does_not_make_a_ready_domain_unready(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, ZONE, sandbox)
    zone = Zone.objects.get(domain=domain)
    row = planned(
        ada,
        domain,
        tls_rpt=f"tls@{ZONE}",
        tracking_provider="smartlead",
        tracking_subdomain="track",
    )
    ended(apply_plan(ada.actor, row.pk))
    assert zone.records.filter(level="optional").count() == 2
    domain.refresh_from_db()
    assert domain.status == Domain.READY
    row = planned(ada, domain, dkim_selector="other")
    ended(sure(apply_plan, ada.actor, row.pk))
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING, "the DKIM key is required"


def test_a_vendors_verification_beside_spf_is_no_conflict(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = published(ada, ZONE, sandbox)
    zone = Zone.objects.get(domain=domain)
    token = RecordData(ZONE, "TXT", "google-site-verification=ours")
    publish_record(zone, token, reason="By this the vendor knows the domain.")
    for text in ("google-site-verification=theirs", "MS=ms123"):
        sandbox.change_record(ZONE, "add", type="TXT", name="@", content=text)
    second = RecordData(ZONE, "TXT", "vendor=2")
    publish_record(zone, second, reason="By this another vendor knows the domain.")
    sandbox.change_record(ZONE, "delete", type="TXT", name="@", content=second.content)
    sweep()
    assert verdicts(domain) == ALL_FINE
    seen = dict(zone.records.filter(purpose="other").values_list("content", "own__verdict"))
    assert seen == {token.content: "matches", second.content: "missing"}


def test_quotes_in_a_published_text_are_not_ours(ada: Person, sandbox: RunningSandbox) -> None:
    domain = published(ada, ZONE, sandbox)
    row = Record.objects.get(purpose="spf")
    quoted = '"\\"' + row.content + '\\""'
    sandbox.change_record(ZONE, "delete", type="TXT", name="@", content=row.content)
    sandbox.change_record(ZONE, "add", type="TXT", name="@", content=quoted)
    sweep()
    assert verdicts(domain) == {**ALL_FINE, "spf": "conflicts"}
    row.refresh_from_db()
    assert row.status == Record.FAILED
    assert row.own and row.own["found"] == [f'"{row.content}"']


def test_an_estimate_is_never_in_the_past(ada: Person, slow_west: RunningSandbox) -> None:
    domain = written(ada, slow_west)
    sweep()
    session = PropagationSession.objects.get()
    page = f"/setup/{domain.pk}/propagation/"
    assert session.expected_by and session.expected_by > timezone.now()
    assert "not known yet" not in ada.client.get(page).content.decode()
    past = timezone.now() - timedelta(minutes=1)
    PropagationSession.objects.update(estimated_completion_at=past)
    Record.objects.update(cached_until=past)
    assert "not known yet" in ada.client.get(page).content.decode()
    report = Api(ada.token).get(f"/api/v1/dns/polling/{session.pk}").body
    assert report["session"]["estimated_completion_at"] is None
    assert report["eta"] == {"estimated_completion_at": None, "minutes_remaining": None}


def test_nameservers_with_ipv6_only_are_watched(
    ada: Person, sandbox: RunningSandbox, settings: Any
) -> None:
    domain = written(ada, sandbox)
    name = domain.nameservers[0]
    with dns_servers("::1", "127.0.0.91") as (own, resolver):
        resolver.serve("test").is_resolver = True
        for nameserver in domain.nameservers:
            resolver.add(nameserver, "AAAA", "::1")
        own.serve(ZONE)
        for row in Record.objects.filter(type="MX"):
            own.add(row.name, "MX", f"{row.priority} {row.content}.")
        settings.DNS_PORT = own.port
        settings.DNS_RESOLVERS = f"R={resolver.address}:{resolver.port}"
        Zone.objects.update(addresses_at=None)
        sweep()
    assert Zone.objects.get(domain=domain).addresses[name] == ["::1"]
    assert verdicts(domain)["mx"] == "matches"


def test_one_session_at_a_time_that_can_be_cancelled(
    ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    domain = written(ada, sandbox)
    session = PropagationSession.objects.get()
    assert start_session(ada.actor, domain.pk).pk == session.pk
    with pytest.raises(Forbidden):
        cancel_session(bo.actor, session.pk)
    with pytest.raises(selectors.SessionNotFound):
        cancel_session(cy.actor, session.pk)
    for _ in range(2):
        assert cancel_session(ada.actor, session.pk).status == "cancelled"
    sweep()
    session.refresh_from_db()
    assert (session.status, session.check_count) == (PropagationSession.CANCELLED, 0)
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    ada.client.post(f"/domains/{domain.pk}/propagation/")
    sweep()
    assert PropagationSession.objects.exclude(pk=session.pk).get().status == "completed"
    domain.refresh_from_db()
    assert domain.status == Domain.READY


def test_a_session_ends_after_48_hours(ada: Person, slow_west: RunningSandbox) -> None:
    domain = written(ada, slow_west)
    session = PropagationSession.objects.get()
    lasts = session.timeout_at - session.created_at
    assert timedelta(hours=47, minutes=59) < lasts < timedelta(hours=48, minutes=1)
    PropagationSession.objects.update(timeout_at=timezone.now())
    sweep()
    session.refresh_from_db()
    assert session.status == PropagationSession.TIMEOUT
    page = ada.client.get(f"/setup/{domain.pk}/propagation/").content.decode()
    assert "Gave up after 48 hours" in page
    assert "Watch again" in page
    with pytest.raises(Conflict):
        cancel_session(ada.actor, session.pk)


def test_check_now_does_not_wait_for_the_interval(ada: Person, sandbox: RunningSandbox) -> None:
    domain = written(ada, sandbox)
    Record.objects.update(next_check_at=timezone.now() + timedelta(hours=1))
    propagation.sweep()
    assert not Record.objects.filter(checked_at__isnull=False).exists()
    assert ada.client.post(f"/setup/{domain.pk}/propagation/").status_code == 302
    work_off()
    assert not Record.objects.filter(checked_at=None).exists()


def test_going_on_early_needs_every_required_record_at_the_zone(
    ada: Person, bo: Person, slow_west: RunningSandbox
) -> None:
    domain = written(ada, slow_west)
    path = f"/setup/{domain.pk}/go-on/"
    assert ada.client.post(path).status_code == 409, "not looked at yet"
    slow_west.change_record(ZONE, "delete", type="MX", name="@")
    sweep()
    refused = ada.client.post(path)
    assert refused.status_code == 409
    assert "every required record" in refused.content.decode()
    slow_west.change_record(
        ZONE, "add", type="MX", name="@", content="mx.mail-sandbox.test", priority=10
    )
    sweep()
    assert bo.client.post(path).status_code == 403
    assert ada.client.post(path)["Location"] == f"/setup/{domain.pk}/inboxes/"
    domain.refresh_from_db()
    assert domain.status == Domain.READY
    assert ada.client.post(path).status_code == 302, "twice is harmless"


def test_a_domain_without_records_has_nothing_to_watch(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, ZONE, sandbox)
    assert ada.client.post(f"/domains/{domain.pk}/propagation/").status_code == 409
    assert ada.client.get(f"/domains/{domain.pk}/records/").status_code == 200


# --- In bulk ----------------------------------------------------------------------------------


def sweep_queries() -> list[str]:
    Record.objects.update(next_check_at=timezone.now())
    with CaptureQueriesContext(connection) as seen:
        propagation.sweep()
    return [query["sql"] for query in seen.captured_queries]


def test_a_sweep_costs_the_same_for_one_zone_and_ten(ada: Person, sandbox: RunningSandbox) -> None:
    estate(ada, "z0.test", inboxes=0)
    one = sweep_queries()
    unchanged = sweep_queries()
    for number in range(1, 10):
        estate(ada, f"z{number}.test", inboxes=0)
    Zone.objects.update(addresses_at=None)
    ten = sweep_queries()
    assert Record.objects.filter(checked_at__isnull=False).count() == 40
    assert len(ten) == len(one)
    assert len(one) <= 16
    # What looks as before is not written again.
    assert any("INSERT INTO" in sql and "dnszones_record" in sql for sql in one)
    assert not any("INSERT INTO" in sql and "dnszones_record" in sql for sql in unchanged)
    rows = list(Record.objects.order_by("pk").values("pk", "own", "sightings", "status"))
    again = sweep_queries()
    assert not any("INSERT INTO" in sql and "dnszones_record" in sql for sql in again)
    assert list(Record.objects.order_by("pk").values("pk", "own", "sightings", "status")) == rows


def test_only_what_is_due_is_looked_at(ada: Person, sandbox: RunningSandbox) -> None:
    due, later = estate(ada, "due.test", inboxes=0), estate(ada, "later.test", inboxes=0)
    later.zone.records.update(next_check_at=timezone.now() + timedelta(hours=1))
    propagation.sweep()
    assert not due.zone.records.filter(checked_at=None).exists()
    assert not later.zone.records.filter(checked_at__isnull=False).exists()
