"""A flattened SPF record is kept as its source is: shown, refreshed, respected, stopped."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from dnszones.models import ChangePlan, Record, SpfFlattening, Zone
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import apply_plan
from dnszones.propagation import sweep as propagation
from dnszones.spf.flattened import sweep as flattened_sweep
from dnszones.spf.flattened.services import check_spf_now, stop_flattening
from dnszones.spf.flattened.sweep import sweep
from dnszones.vendors import dns_provider
from domains.models import Domain
from domains.services import disconnect_domain
from events.models import Event, Notification
from events.relay import relay
from mpanel.core.errors import Forbidden, NotFound
from provisioning.models import Job
from tests.api import Api
from tests.cast import Person
from tests.confirming import agreed
from tests.dnsservers import dns_servers
from tests.dnszones.test_flattened_week import OURS, Upstream, nets
from tests.sandboxes import RunningSandbox
from tests.stories import planned, use_own_account, verified
from tests.work import ended, hurry, sure, work_off

ZONE = "example.test"
OWN = "v=spf1 include:one.test -all"
MERGED = f"v=spf1 include:{OURS} include:one.test -all"
FLAT = "v=spf1 ip4:10.1.1.1 ip4:127.0.0.1 -all"
LONG = f"v=spf1 {nets(*range(1, 60))} -all"


@pytest.fixture
def upstream(settings: LazySettings) -> Iterator[Upstream]:
    with dns_servers("127.0.0.89") as [server]:
        found = Upstream(server)
        found.say(OURS, "v=spf1 ip4:127.0.0.1 -all")
        found.say("one.test", f"v=spf1 {nets(1)} -all")
        yield found


@pytest.fixture
def all_resolvers(settings: LazySettings) -> str:
    """The resolvers of the sandbox, which know the domain's own nameservers."""
    return str(settings.DNS_RESOLVERS)


@pytest.fixture
def domain(
    ada: Person, sandbox: RunningSandbox, upstream: Upstream, settings: LazySettings
) -> Domain:
    """Has an SPF record of its own, which is merged with ours and flattened."""
    return flattened(ada, sandbox, upstream, settings)


def flattened(
    ada: Person, sandbox: RunningSandbox, upstream: Upstream, settings: LazySettings
) -> Domain:
    domain = verified(ada, ZONE, sandbox)
    settings.DNS_RESOLVERS = f"Upstream={upstream.server.address}:{upstream.server.port}"
    settings.DNS_TIMEOUT = 0.05
    sandbox.change_record(ZONE, "add", type="TXT", name="@", content=f'"{OWN}"')
    applied(ada, domain, flatten=True)
    return domain


def applied(person: Person, domain: Domain, **choices: Any) -> ChangePlan:
    plan = planned(person, domain, **choices)
    job = sure(apply_plan, person.actor, plan.pk)
    assert ended(job).status == Job.SUCCEEDED, job.error_message
    plan.refresh_from_db()
    return plan


def published(sandbox: RunningSandbox) -> dict[str, str]:
    """The SPF records in the zone, by their first label."""
    return {
        row["name"].removesuffix(ZONE).rstrip("."): row["content"].replace('" "', "").strip('"')
        for row in sandbox.records(ZONE)
        if "v=spf1" in row["content"]
    }


def look() -> None:
    """Everything is due: look, and let the workers write."""
    SpfFlattening.objects.update(next_check_at=timezone.now())
    sweep()
    work_off()


def later(hours: float) -> None:
    """So many hours pass for former parts."""
    row = SpfFlattening.objects.get()
    until = timezone.now() - timedelta(hours=hours)
    row.leaving = [one | {"until": until.isoformat()} for one in row.leaving]
    row.leaving_at = until if row.leaving else None
    row.save()


def told() -> list[str]:
    spf_events = Event.objects.filter(action__startswith="dns.spf_")
    return list(spf_events.order_by("pk").values_list("action", flat=True))


def the_row() -> SpfFlattening:
    return SpfFlattening.objects.get()


def test_the_source_is_kept_beside_what_is_published(
    domain: Domain, sandbox: RunningSandbox
) -> None:
    assert published(sandbox) == {"": FLAT}
    row = the_row()
    assert (row.source, row.text, row.lookups_before, row.lookups) == (MERGED, FLAT, 2, 0)
    assert {(answer["name"], answer["ttl"]) for answer in row.answers} >= {("one.test", 1800)}
    wait = row.next_check_at - timezone.now()
    assert timedelta(minutes=25) < wait <= timedelta(minutes=30), "as long as the shortest TTL"
    assert row.history.get().added == ["ip4:10.1.1.1", "ip4:127.0.0.1"]


def test_a_new_range_is_published_through_a_plan(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    look()
    assert told() == []
    assert not ChangePlan.objects.filter(kind=ChangePlan.SPF).exists(), "nothing changed"
    upstream.say("one.test", f"v=spf1 {nets(1, 7)} -all")
    look()
    text = "v=spf1 ip4:10.1.1.1 ip4:10.7.7.7 ip4:127.0.0.1 -all"
    assert published(sandbox) == {"": text}
    assert Record.objects.get(purpose="spf").content == text
    plan = ChangePlan.objects.get(kind=ChangePlan.SPF)
    assert plan.status == ChangePlan.APPLIED
    change = the_row().history.all()[0]
    assert (change.plan, change.added, change.removed) == (plan, ["ip4:10.7.7.7"], [])
    assert told() == ["dns.spf_refreshed"]
    history = ada.client.get(f"/domains/{domain.pk}/plans/").content.decode()
    assert "SPF addresses" in history


@pytest.mark.parametrize("how", ["servfail", "timeout", "gone", "empty", "invalid"])
def test_trouble_keeps_the_last_good_record_and_is_told_once(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream, how: str
) -> None:
    if how == "invalid":
        upstream.say("one.test", "v=spf1 nonsense -all")
    else:
        upstream.failing["one.test"] = how
    look()
    look()
    row = the_row()
    assert "one.test" in row.error
    assert row.failing_since
    assert row.next_check_at <= timezone.now() + timedelta(minutes=5)
    assert published(sandbox) == {"": FLAT}
    assert told() == ["dns.spf_failing"]
    relay()
    assert Notification.objects.filter(kind="dns.spf").exists()
    page = ada.client.get(f"/domains/{domain.pk}/spf/").content.decode()
    assert "the last good record stays" in page
    upstream.failing.clear()
    upstream.say("one.test", f"v=spf1 {nets(1)} -all")
    look()
    assert (the_row().error, the_row().failing_since) == ("", None)
    assert told() == ["dns.spf_failing", "dns.spf_recovered"]


def test_a_second_plan_puts_no_include_beside_its_own_addresses(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    upstream.say(OURS, "v=spf1 ip4:127.0.0.9 -all")
    plan = planned(ada, domain, flatten=True)
    assert plan.plan is not None
    [change] = [one for one in plan.plan["changes"] if one["purpose"] == "spf"]
    assert change["after"]["content"] == "v=spf1 ip4:10.1.1.1 ip4:127.0.0.9 -all"
    applied(ada, domain, flatten=True)
    assert the_row().source == MERGED
    applied(ada, domain, flatten=False)
    assert published(sandbox) == {"": MERGED}
    assert the_row().status == SpfFlattening.STOPPED


def test_a_long_record_is_chained_and_its_former_parts_go_later(
    domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    upstream.say("one.test", LONG)
    look()
    first = published(sandbox)
    assert (
        first[""] == f"v=spf1 include:_spf1.{ZONE} include:_spf2.{ZONE} include:_spf3.{ZONE} -all"
    )
    assert set(first) == {"", "_spf1", "_spf2", "_spf3"}
    assert the_row().lookups == 3
    rows = Record.objects.filter(purpose="spf", ours=True, level="required")
    assert {row.name for row in rows} >= {f"_spf{n}.{ZONE}" for n in (1, 2, 3)}
    upstream.say("one.test", f"v=spf1 {nets(1)} -all")
    look()
    assert published(sandbox) == first | {"": FLAT}, "caches may still include them"
    later(hours=1)
    look()
    assert published(sandbox) == {"": FLAT}
    assert not Record.objects.filter(name__startswith="_spf").exists()
    assert (the_row().parts, the_row().leaving) == ({}, [])


def test_what_is_published_is_never_broken_in_between(
    domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    """The provider fails after the parts were written, and before the domain's own record is."""
    upstream.say("one.test", LONG)
    sandbox.fault("cloudflare", "drop_after_commit", method="POST", path="/zones/.*/batch")
    SpfFlattening.objects.update(next_check_at=timezone.now())
    sweep()
    work_off()
    between = published(sandbox)
    assert set(between) == {"", "_spf1", "_spf2", "_spf3"}
    assert between[""] == FLAT
    hurry()
    assert published(sandbox)[""].startswith(f"v=spf1 include:_spf1.{ZONE}")
    assert the_row().lookups == 3


def test_a_name_that_somebody_else_uses_is_left_alone(
    domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    theirs = "v=spf1 ip4:192.0.2.5 -all"
    sandbox.change_record(ZONE, "add", type="TXT", name="_spf1", content=f'"{theirs}"')
    upstream.say("one.test", LONG)
    look()
    found = published(sandbox)
    assert found["_spf1"] == theirs
    assert (
        found[""] == f"v=spf1 include:_spf2.{ZONE} include:_spf3.{ZONE} include:_spf4.{ZONE} -all"
    )


def test_a_record_changed_at_the_provider_is_not_overwritten(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    theirs = "v=spf1 include:three.test -all"
    sandbox.change_record(ZONE, "replace", type="TXT", name="@", content=f'"{theirs}"')
    upstream.say("one.test", f"v=spf1 {nets(8)} -all")
    look()
    assert published(sandbox) == {"": theirs}
    assert the_row().status == SpfFlattening.EDITED
    assert told() == ["dns.spf_edited"]
    look()
    assert told() == ["dns.spf_edited"], "and nothing more is tried"
    assert "changed elsewhere" in ada.client.get(f"/domains/{domain.pk}/spf/").content.decode()
    stop_flattening(ada.actor, domain.pk)
    assert published(sandbox) == {"": theirs}
    assert the_row().status == SpfFlattening.STOPPED


def test_an_edit_is_seen_before_anything_is_to_be_written_and_so_is_its_end(
    all_resolvers: str, domain: Domain, sandbox: RunningSandbox, settings: LazySettings
) -> None:
    senders, long_ago = settings.DNS_RESOLVERS, timezone.now() - timedelta(hours=1)
    SpfFlattening.objects.update(published_at=long_ago)
    theirs = "v=spf1 include:three.test -all"
    sandbox.change_record(ZONE, "replace", type="TXT", name="@", content=f'"{theirs}"')
    settings.DNS_RESOLVERS = all_resolvers
    Record.objects.update(next_check_at=long_ago)
    propagation.sweep()
    settings.DNS_RESOLVERS = senders
    look()
    assert the_row().status == SpfFlattening.EDITED
    sandbox.change_record(ZONE, "replace", type="TXT", name="@", content=f'"{FLAT}"')
    SpfFlattening.objects.update(edited_at=long_ago)
    settings.DNS_RESOLVERS = all_resolvers
    Record.objects.update(next_check_at=long_ago)
    propagation.sweep()
    settings.DNS_RESOLVERS = senders
    look()
    assert the_row().status == SpfFlattening.LIVE


def test_an_edit_of_the_customer_counts_at_once(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    api, zone = Api(ada.token), domain.zone
    listed = api.get(f"/api/dns/zones/{zone.pk}/records?pageSize=100").body
    rows = listed["items"] if isinstance(listed, dict) and "items" in listed else listed["data"]
    record_id = next(row["id"] for row in rows if FLAT in str(row))
    theirs = "v=spf1 include:three.test -all"
    body = {"type": "TXT", "name": "@", "content": theirs, "ttl": 300}
    agreed(api.put, f"/api/dns/zones/{zone.pk}/records/{record_id}", body)
    work_off()
    assert published(sandbox) == {"": theirs}
    assert the_row().status == SpfFlattening.EDITED


def test_stopping_returns_to_the_source(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    upstream.say("one.test", LONG)
    look()
    page = ada.client.get(f"/domains/{domain.pk}/spf/stop/").content.decode()
    assert "Stop flattening" in page
    ada.client.post(f"/domains/{domain.pk}/spf/stop/")
    ada.client.post(f"/domains/{domain.pk}/spf/stop/")
    work_off()
    assert published(sandbox)[""] == MERGED
    assert the_row().status == SpfFlattening.STOPPED
    assert Record.objects.get(purpose="spf", name=ZONE).content == MERGED
    later(hours=1)
    upstream.say("one.test", f"v=spf1 {nets(8)} -all")
    look()
    assert published(sandbox) == {"": MERGED}, "its parts are gone, and nobody looks any more"
    applied(ada, domain, flatten=True)
    assert the_row().status == SpfFlattening.LIVE
    assert published(sandbox) == {"": "v=spf1 ip4:10.8.8.8 ip4:127.0.0.1 -all"}


def test_taking_the_setup_back_stops_it_and_returns_what_was_there(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    upstream.say("one.test", LONG)
    look()
    plan = ChangePlan.objects.get(kind=ChangePlan.SETUP)
    job = ended(sure(revert_plan, ada.actor, plan.pk))
    assert job.status == Job.SUCCEEDED, job.error_message
    assert published(sandbox)[""] == OWN
    assert the_row().status == SpfFlattening.STOPPED
    later(hours=1)
    look()
    assert published(sandbox) == {"": OWN}


def test_taking_a_second_setup_back_returns_the_source_of_the_first(
    ada: Person, domain: Domain, sandbox: RunningSandbox, upstream: Upstream
) -> None:
    upstream.say("two.test", f"v=spf1 {nets(2)} -all")
    second = applied(
        ada,
        domain,
        platform="custom",
        custom_mx=((5, "mx.two.test"),),
        spf_includes=("two.test",),
        flatten=True,
    )
    assert "ip4:10.2.2.2" in published(sandbox)[""]
    upstream.say("one.test", f"v=spf1 {nets(9)} -all")
    look()
    assert ended(sure(revert_plan, ada.actor, second.pk)).status == Job.SUCCEEDED
    assert published(sandbox) == {"": MERGED}
    assert the_row().status == SpfFlattening.STOPPED
    row = Record.objects.get(purpose="spf", name=ZONE)
    assert row.content == MERGED


def test_disconnecting_leaves_no_record_that_nobody_keeps(
    ada: Person, sandbox: RunningSandbox, upstream: Upstream, settings: LazySettings
) -> None:
    dns_provider(use_own_account(ada)).create_zone(ZONE)  # it was there before us, and stays
    domain = flattened(ada, sandbox, upstream, settings)
    upstream.say("one.test", LONG)
    look()
    assert set(published(sandbox)) == {"", "_spf1", "_spf2", "_spf3"}
    assert ended(sure(disconnect_domain, ada.actor, domain.pk)).status == Job.SUCCEEDED
    assert published(sandbox) == {"": MERGED}


def test_a_sweep_asks_each_name_once_and_writes_in_bulk(
    ada: Person, domain: Domain, upstream: Upstream, django_assert_max_num_queries: Any
) -> None:
    row = the_row()
    for number in range(30):
        copy = Domain.objects.get(pk=domain.pk)
        copy.pk, copy.name, copy.unicode_name = None, f"d{number}.test", f"d{number}.test"
        copy.id = type(copy)._meta.pk.default()
        copy.save()
        zone = Zone.objects.create(domain=copy, provider="cloudflare")
        SpfFlattening.objects.create(zone=zone, source=row.source, text=row.text)
    SpfFlattening.objects.update(next_check_at=timezone.now(), answers=[])
    upstream.server.asked.clear()
    with django_assert_max_num_queries(6):
        sweep()
    asked = [name for name, kind, _ in upstream.server.asked if kind == "TXT"]
    assert sorted(asked) == [OURS, "one.test"]
    assert not SpfFlattening.objects.filter(answers=[]).exists()


@pytest.mark.parametrize("change", ["stopped", "published"])
@pytest.mark.parametrize("failing", [False, True])
def test_a_record_that_somebody_changes_during_the_look_is_not_written(
    domain: Domain, change: str, failing: bool
) -> None:
    if failing:  # of which somebody is told, so that it is written by itself
        SpfFlattening.objects.update(error="Silence.")
    rows = list(SpfFlattening.objects.select_related("zone__domain"))
    looks = asyncio.run(flattened_sweep._look(rows))
    meanwhile: dict[str, dict[str, Any]] = {
        "stopped": {"status": SpfFlattening.STOPPED},
        "published": {"published_at": timezone.now(), "lookups_before": 7, "answers": []},
    }
    SpfFlattening.objects.update(**meanwhile[change])
    before = SpfFlattening.objects.values().get()
    flattened_sweep._keep(rows, looks, timezone.now())
    assert SpfFlattening.objects.values().get() == before


def test_the_same_over_json(
    ada: Person, bo: Person, cy: Person, domain: Domain, upstream: Upstream
) -> None:
    path = f"/api/v1/domains/{domain.pk}/spf"
    for method in ("get", "post", "post"):
        where = path if method == "get" else f"{path}/check"
        assert getattr(Api(cy.token), method)(where).status == 404
    assert Api(bo.token).post(f"{path}/stop").status == 403
    shown = Api(ada.token).get(path).body
    assert (shown["status"], shown["original"], shown["published_record"]) == ("live", MERGED, FLAT)
    assert shown["history"][0]["what"] == "Flattened"
    upstream.say("one.test", f"v=spf1 {nets(7)} -all")
    assert Api(bo.token).post(f"{path}/check").status == 202
    work_off()
    shown = Api(ada.token).get(path).body
    assert shown["published_record"] == "v=spf1 ip4:10.7.7.7 ip4:127.0.0.1 -all"
    assert shown["history"][0]["removed"] == ["ip4:10.1.1.1"]
    assert Api(ada.token).post(f"{path}/stop").status == 202
    work_off()
    shown = Api(ada.token).get(path).body
    assert (shown["status"], shown["published_record"]) == ("stopped", MERGED)
    refused = Api(ada.token).post(f"{path}/check")
    assert (refused.status, refused.body["error"]["code"]) == (409, "SPF_NOT_FLATTENED")


def test_who_may_not(ada: Person, bo: Person, cy: Person, domain: Domain) -> None:
    for stranger, refusal in ((bo, Forbidden), (cy, NotFound)):
        with pytest.raises(refusal):
            stop_flattening(stranger.actor, domain.pk)
    with pytest.raises(NotFound):
        check_spf_now(cy.actor, domain.pk)
    assert cy.client.get(f"/domains/{domain.pk}/spf/").status_code == 404
