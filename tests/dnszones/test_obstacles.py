"""Plans around what hides a record: proxies, delegations, aliases of whole trees, other DMARC."""

from dataclasses import replace
from itertools import count

import pytest
from django.utils import timezone

from dnszones.dkim import records as dkim
from dnszones.mail_records import MailSetup, desired_records
from dnszones.models import ChangePlan as Row
from dnszones.models import Record, Zone
from dnszones.plans import ExistingRecord, Plan, inverse, plan_changes, remaining
from dnszones.plans.reverts import revert_plan
from dnszones.plans.services import agree_to_replace, apply_plan
from dnszones.propagation.sweep import check_zones
from dnszones.records import RecordData
from dnszones.selectors import plan_of
from domains.models import Domain
from tests.cast import Person
from tests.sandboxes import RunningSandbox
from tests.stories import planned, verified
from tests.work import ended, sure, until

APEX = "ada.test"
SETUP = MailSetup(
    domain=APEX,
    platform="mailserver",
    dkim_value=dkim.make_key().value,
    mailserver_mx="mx.mail.test",
    mailserver_spf="_spf.mail.test",
    tracking_subdomain="track",
    tracking_provider="smartlead",
    mail_host="mx.mail.test",
    panel_host="panel.mail.test",
    autoconfig=True,
    mta_sts="testing",
)
DESIRED = desired_records(SETUP)
ids = count(1)


def there(kind: str, content: str, *, name: str = APEX, proxied: bool = False) -> ExistingRecord:
    return ExistingRecord(f"id{next(ids)}", RecordData(name, kind, content, proxied=proxied))


def told(plan: Plan, *actions: str) -> dict[str, str]:
    """Name and type of the changes with these actions, and their reasons."""
    return {
        f"{change.after.name} {change.after.type}": change.reason
        for change in plan.changes
        if change.action in actions and change.after
    }


# --- Proxies ---------------------------------------------------------------------------------


def test_a_wanted_name_behind_the_proxy_is_taken_out_of_it() -> None:
    hidden = [
        there("CNAME", "open.sleadtrack.com", name=f"track.{APEX}", proxied=True),
        there("CNAME", "panel.mail.test", name=f"autoconfig.{APEX}", proxied=True),
        there("CNAME", "panel.mail.test", name=f"mta-sts.{APEX}", proxied=True),
    ]
    plan = plan_changes(APEX, hidden, DESIRED)
    updated = told(plan, "update")
    assert set(updated) == {f"{name}.{APEX} CNAME" for name in ("track", "autoconfig", "mta-sts")}
    assert all("proxy off" in reason for reason in updated.values())
    assert not plan.conflicts
    done = [replace(one, data=replace(one.data, proxied=False)) for one in hidden]
    assert len(remaining(plan, done)) == len(plan.steps) - 3
    back = inverse(plan, done)
    assert [change.after.proxied for change in back.steps if change.after] == [True] * 3


def test_a_mail_host_behind_the_proxy_is_taken_out_of_it() -> None:
    custom = replace(SETUP, platform="custom", custom_mx=((10, f"mail.{APEX}"),))
    custom = replace(custom, autoconfig=False, mta_sts="none")
    website = there("A", "192.0.2.1", name=f"www.{APEX}", proxied=True)
    hosts = [
        there(kind, address, name=f"mail.{APEX}", proxied=True)
        for kind, address in (("A", "192.0.2.1"), ("AAAA", "2001:db8::1"))
    ]
    plan = plan_changes(APEX, [website, *hosts], desired_records(custom))
    updated = told(plan, "update")
    assert set(updated) == {f"mail.{APEX} A", f"mail.{APEX} AAAA"}
    assert f"MX {APEX} leads here" in updated[f"mail.{APEX} A"]
    assert plan.untouched == 1, "a website may stay behind the proxy"


# --- Delegations and DNAME -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obstacle", "hidden"),
    [
        (there("NS", "ns1.vendor.test", name=f"_domainkey.{APEX}"), {"mpanel._domainkey"}),
        (there("NS", "ns1.vendor.test", name=f"_dmarc.{APEX}"), {"_dmarc"}),
        (there("DNAME", "vendor.test", name=f"_domainkey.{APEX}"), {"mpanel._domainkey"}),
        (there("NS", "ns1.vendor.test", name=f"shop.{APEX}"), set()),
        (there("DNAME", "vendor.test", name=f"_dmarc.{APEX}"), set()),
        (there("NS", "ns1.vendor.test", name=APEX), set()),
    ],
)
def test_what_a_delegation_hides_is_a_conflict(obstacle: ExistingRecord, hidden: set[str]) -> None:
    plan = plan_changes(APEX, [obstacle], DESIRED)
    conflicts = told(plan, "conflict")
    assert set(conflicts) == {f"{name}.{APEX} TXT" for name in hidden}
    for change in plan.conflicts:
        assert change.after
        assert change.before == (obstacle,)
        assert f"Enter TXT {change.after.name}" in change.reason
        assert change.after.content in change.reason
        assert obstacle.data.content in change.reason


def test_all_below_a_dname_at_the_apex_is_hidden() -> None:
    plan = plan_changes(APEX, [there("DNAME", "elsewhere.test")], DESIRED)
    assert {change.after.name == APEX for change in plan.steps if change.after} == {True}
    assert len(plan.conflicts) == sum(wanted.data.name != APEX for wanted in DESIRED)


def test_a_delegation_goes_only_with_consent_to_all_that_it_hides() -> None:
    zone = [there("NS", f"ns{number}.vendor.test", name=f"_tcp.{APEX}") for number in (1, 2)]
    plan = plan_changes(APEX, zone, DESIRED)
    agreed = frozenset(change.id for change in plan.conflicts)
    assert len(agreed) > 1
    some = plan_changes(APEX, zone, DESIRED, replace=frozenset(sorted(agreed)[:1]))
    assert len(some.conflicts) == len(agreed)
    done = plan_changes(APEX, zone, DESIRED, replace=agreed)
    assert not done.conflicts
    deleted = [change.before[0] for change in done.changes if change.action == "delete"]
    assert deleted == zone
    assert len(told(done, "create")) == len(DESIRED)


# --- DMARC -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "V=DMARC1; p=none",
        "v=dmarc1; p=reject",
        '"v=DMARC1; p=reject"',
        " v=DMARC1; p=reject",
        "v=DMARC1\\; p=reject",
        "v=DMARC1; p=reject; p=none",
        "v=DMARC1; p=bob",
    ],
)
def test_no_record_is_made_beside_one_that_begins_like_it(text: str) -> None:
    plan = plan_changes(APEX, [there("TXT", text, name=f"_dmarc.{APEX}")], DESIRED)
    assert f"_dmarc.{APEX} TXT" not in told(plan, "create")
    kept = text == "V=DMARC1; p=none"
    assert (f"_dmarc.{APEX} TXT" in told(plan, "keep")) is kept
    assert (f"_dmarc.{APEX} TXT" in told(plan, "conflict")) is not kept


def test_what_is_wrong_with_a_dmarc_record_is_told() -> None:
    name = f"_dmarc.{APEX}"
    kept = plan_changes(
        APEX, [there("TXT", "v=DMARC1; p=reject; rua=a@b.test", name=name)], DESIRED
    )
    assert "needs mailto:" in told(kept, "keep")[f"{name} TXT"]
    broken = plan_changes(APEX, [there("TXT", "v=DMARC1; p=bob", name=name)], DESIRED)
    assert "p=bob is not a policy" in told(broken, "conflict")[f"{name} TXT"]


# --- As customers see it ---------------------------------------------------------------------

ZONE = "example.test"


def agreed(person: Person, domain: Domain, plan: Row) -> Row:
    """The plan that overwrites every conflict, computed."""
    computed = plan_of(plan)
    assert computed
    row = agree_to_replace(
        person.actor, plan.pk, replace_ids=[change.id for change in computed.conflicts]
    )

    def done() -> bool:
        row.refresh_from_db()
        return row.status != Row.COMPUTING

    until(done)
    return row


@pytest.mark.django_db
def test_a_proxied_record_is_seen_through_and_comes_back_proxied(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, ZONE, sandbox)
    same = {"type": "CNAME", "name": "track", "content": "open.sleadtrack.com", "proxied": True}
    sandbox.change_record(ZONE, "add", **same)
    other = {"type": "CNAME", "name": "_smtp._tls", "content": "elsewhere.test"}
    sandbox.change_record(ZONE, "add", **other, proxied=True)
    choices = {
        "tls_rpt": f"tls@{ZONE}",
        "tracking_provider": "smartlead",
        "tracking_subdomain": "track",
    }
    plan = planned(ada, domain, **choices)
    page = ada.client.get(f"/setup/{domain.pk}/dns/").content.decode()
    assert "(proxied)" in page
    assert "proxy off" in page
    row = agreed(ada, domain, plan)
    ended(sure(apply_plan, ada.actor, row.pk))
    shown = {record["name"]: record["proxied"] for record in sandbox.records(ZONE)}
    assert shown[f"track.{ZONE}"] is False
    Record.objects.update(next_check_at=timezone.now())
    zone = Zone.objects.get(domain=domain)
    check_zones([zone.pk])
    assert zone.records.get(purpose="tracking").status == Record.PROPAGATED
    ended(sure(revert_plan, ada.actor, row.pk))
    back = {
        record["name"]: (record["content"], record["proxied"])
        for record in sandbox.records(ZONE)
        if record["type"] == "CNAME"
    }
    assert back == {
        f"track.{ZONE}": ("open.sleadtrack.com", True),
        f"_smtp._tls.{ZONE}": ("elsewhere.test", True),
    }


@pytest.mark.django_db
def test_a_delegated_selector_is_told_and_watched(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, ZONE, sandbox)
    sandbox.change_record(ZONE, "add", type="NS", name="_domainkey", content="ns1.vendor.example")
    plan = planned(ada, domain)
    page = ada.client.get(f"/setup/{domain.pk}/dns/").content.decode()
    assert "_domainkey.example.test is delegated to ns1.vendor.example" in page
    ended(apply_plan(ada.actor, plan.pk))
    Record.objects.update(next_check_at=timezone.now())
    check_zones([Zone.objects.get(domain=domain).pk])
    row = Record.objects.get(purpose="dkim")
    assert (row.status, row.verdict) == (Record.FAILED, "conflicts")
    page = ada.client.get(f"/domains/{domain.pk}/records/").content.decode()
    assert "Enter TXT mpanel._domainkey.example.test there" in page


@pytest.mark.django_db
def test_a_plan_tells_where_reports_would_not_arrive(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, ZONE, sandbox)
    verified(ada, "reports.test", sandbox)
    plan = planned(ada, domain, dmarc_rua="dmarc@reports.test")
    assert any("example.test._report._dmarc.reports.test" in text for text in plan.warnings)
    sandbox.change_record(
        "reports.test",
        "add",
        type="TXT",
        name=f"{ZONE}._report._dmarc",
        content="v=DMARC1",
    )
    plan = planned(ada, domain, dmarc_rua="dmarc@reports.test", dmarc_policy="reject")
    assert plan.warnings == []
