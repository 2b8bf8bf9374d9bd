"""Zones and records over the JSON API (source 5, 14): the same as on the pages, for programs."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from dnszones.models import ChangePlan, Zone
from dnszones.plans.services import apply_plan
from dnszones.selectors import plan_of
from domains.models import Domain
from events.models import Event
from provisioning.engine import advance
from provisioning.models import Heartbeat, Job
from tenants.models import Customer
from tenants.services import create_api_key
from tests.api import Answer, Api, early_in_a_minute
from tests.cast import Person
from tests.confirming import agreed
from tests.processes import eventually, working
from tests.sandboxes import RunningSandbox
from tests.stories import connected, planned, verified
from tests.wizard.rows import estate
from tests.work import hurry, sure, work_off

pytestmark = pytest.mark.django_db
NAME = "example.test"
A = {"type": "A", "name": "www", "content": "192.0.2.7", "ttl": 300, "priority": None}


@pytest.fixture
def zone(ada: Person, sandbox: RunningSandbox) -> Zone:
    """A zone that nobody asks yet: it can be filled before the domain moves."""
    return Zone.objects.get(domain=connected(ada, NAME))


def records(zone: Zone, record_id: str = "") -> str:
    return f"/api/dns/zones/{zone.pk}/records{record_id and f'/{record_id}'}"


def listed(api: Api, zone: Zone, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(records(zone), {"pageSize": 100, **query})
    assert answer.status == 200, answer.raw
    found: list[dict[str, Any]] = answer.body["items"]
    return [one for one in found if one["name"] != f"_mpanel.{NAME}"]


def contents(sandbox: RunningSandbox) -> set[tuple[str, str, str, int]]:
    found = sandbox.records(NAME)
    return {(one["type"], one["name"], one["content"], one["ttl"]) for one in found}


def done(answer: Answer) -> ChangePlan:
    """What a worker made of what was accepted."""
    assert answer.status == 202, answer.raw
    work_off()
    return ChangePlan.objects.get(pk=answer.body.get("changeId") or answer.body["id"])


# --- Zones ----------------------------------------------------------------------------------


def test_zones_are_listed_found_and_told_apart(ada: Person, cy: Person, zone: Zone) -> None:
    estate(ada, "another.test")
    estate(cy, "cys.test")
    api = Api(ada.token)
    both = api.get("/api/dns/zones").body
    assert [item["domain"] for item in both["items"]] == ["another.test", NAME]
    assert both["total"] == 2
    (one,) = api.get("/api/dns/zones", {"domainId": str(zone.domain_id)}).body["items"]
    assert one == api.get(f"/api/dns/zones/{zone.pk}").body
    assert (one["provider"], one["status"], one["dnssec"]) == ("cloudflare", "pending", False)
    assert len(one["nameservers"]) == 2
    own, other = (str(Customer.objects.get(tenant=one.tenant).pk) for one in (ada, cy))
    assert api.get("/api/dns/zones", {"customerId": own}).body["total"] == 2
    assert api.get("/api/dns/zones", {"customerId": other}).body["total"] == 0
    assert api.get("/api/dns/zones", {"search": "ANOTHER"}).body["total"] == 1


def test_who_may_do_what(ada: Person, bo: Person, zone: Zone, sandbox: RunningSandbox) -> None:
    assert listed(Api(bo.token), zone) == []
    reader = create_api_key(ada.actor, name="reader", scopes=["dns:read"]).plain
    assert listed(Api(reader), zone) == []
    sandbox.forget_requests()
    for token, code in ((bo.token, "FORBIDDEN"), (reader, "SCOPE_MISSING")):
        refused = Api(token).post(records(zone), A)
        assert (refused.status, refused.error) == (403, code)
    assert sandbox.request_count("cloudflare", "GET", None) == 0, "refused before the look"


# --- Records --------------------------------------------------------------------------------


def test_a_record_is_added_changed_and_deleted(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    added = api.post(records(zone), A)
    assert (added.body["id"], added.body["status"]) == (None, "pending")
    assert (added.body["name"], added.body["warnings"]) == (f"www.{NAME}", [])
    assert api.get(f"/api/jobs/{added.body['jobId']}").body["status"] == "pending"
    assert done(added).status == ChangePlan.APPLIED
    assert contents(sandbox) == {("A", f"www.{NAME}", "192.0.2.7", 300)}

    (record,) = listed(api, zone)
    assert {name: record[name] for name in A} == {**A, "name": f"www.{NAME}"}
    changed = agreed(
        api.put, records(zone, record["id"]), {**A, "content": "192.0.2.8", "ttl": 600}
    )
    assert done(changed).status == ChangePlan.APPLIED
    assert contents(sandbox) == {("A", f"www.{NAME}", "192.0.2.8", 600)}

    removed = agreed(api.delete, records(zone, record["id"]))
    assert done(removed).status == ChangePlan.APPLIED
    assert contents(sandbox) == set()
    assert agreed(api.delete, records(zone, record["id"])).error == "RECORD_NOT_FOUND"
    sentences = set(Event.objects.filter(action="dns.records_asked").values_list("sentence"))
    assert (f"Asked to add A www.{NAME} in the zone of {NAME}.",) in sentences
    assert Event.objects.filter(action="dns.records_written").count() == 3


@pytest.mark.django_db(transaction=True)
def test_who_waits_gets_the_record_as_it_is(ada: Person, zone: Zone, patiently: str) -> None:
    api = Api(ada.token, Prefer=patiently)
    with working():
        eventually(lambda: Heartbeat.objects.exclude(name="clock").exists())
        added = api.post(records(zone), A)
        assert (added.status, added.body["status"]) == (201, "written")
        path = records(zone, added.body["id"])
        assert agreed(api.put, path, {**A, "name": "@"}).body["name"] == NAME
        gone = agreed(api.delete, path)
    assert (gone.status, gone.body["status"]) == (200, "deleted")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"content": "192.0.2.999"}, "content"),
        ({"content": "192.0.2.1\nwww2 A 192.0.2.2"}, "content"),
        ({"content": "x" * 65_536}, "content"),
        ({"name": "bad name"}, "name"),
        ({"name": "www.elsewhere.org."}, "name"),
        ({"name": "ü" * 100}, "name"),
        ({"ttl": 59}, "ttl"),
        ({"priority": 10}, "priority"),
        ({"type": "MX", "content": "mx.test"}, "priority"),
        ({"type": "NAPTR", "content": '1 1 "u" "x" "" .'}, "type"),
        ({"type": "SOA"}, "type"),
        ({"type": "NS", "name": "@", "content": "ns1.test"}, "type"),
    ],
)
def test_what_is_no_record_is_refused_with_its_field(
    ada: Person, zone: Zone, given: dict[str, Any], field: str
) -> None:
    refused = Api(ada.token).post(records(zone), {**A, **given})
    assert refused.status == 400
    assert list(refused.body["error"]["details"]) == [field]
    assert not ChangePlan.objects.exists()


def test_texts_come_with_or_without_quotes(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    for name, content in (("a", "v=x; y"), ("b", '"v=x; " "y"'), ("c", "ü" * 200)):
        done(api.post(records(zone), {**A, "type": "TXT", "name": name, "content": content}))
    shown = {record["name"].partition(".")[0]: record["content"] for record in listed(api, zone)}
    assert shown == {"a": "v=x; y", "b": "v=x; y", "c": "ü" * 200}


def test_what_stands_in_the_way_is_a_conflict(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.7")
    api = Api(ada.token)
    for given in (A, {**A, "type": "CNAME", "content": "shop.test"}):
        assert api.post(records(zone), given).error == "RECORD_CONFLICT"
    assert not Job.objects.filter(workflow="dnszones.records").exists()


@pytest.mark.django_db(transaction=True)
def test_what_changes_before_the_worker_comes_is_not_overwritten(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.7")
    api = Api(ada.token)
    (record,) = listed(api, zone)
    asked = agreed(api.put, records(zone, record["id"]), {**A, "content": "192.0.2.8"})
    (theirs,) = sandbox.records(NAME)
    sandbox.change_record(NAME, "delete", type="A", name="www", content="192.0.2.7")
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.66")
    assert theirs["content"] == "192.0.2.7"
    assert done(asked).status == ChangePlan.FAILED
    assert {content for _, _, content, _ in contents(sandbox)} == {"192.0.2.66"}
    job = Job.objects.get(pk=asked.body["jobId"])
    assert (job.error_code, "was changed" in job.error_message) == ("ZONE_CHANGED", True)


def test_edits_one_after_the_other_are_all_written(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    asked = [api.post(records(zone), {**A, "content": f"192.0.2.{n}"}) for n in range(1, 6)]
    assert {done(answer).status for answer in asked} == {ChangePlan.APPLIED}
    assert len(contents(sandbox)) == 5


def test_a_vendor_that_fails_is_told(ada: Person, zone: Zone, sandbox: RunningSandbox) -> None:
    api = Api(ada.token)
    sandbox.fault("cloudflare", "status", status=503, method="GET", path="/zones", times=None)
    for answer in (api.get(records(zone)), api.post(records(zone), A, key="a key")):
        assert (answer.status, answer.error) == (502, "PROVIDER_ERROR")
    sandbox.clear_faults()
    Zone.objects.update(remote_id="")
    assert api.get(records(zone)).error == "ZONE_NOT_MADE"


def test_the_same_key_writes_one_record(ada: Person, zone: Zone, sandbox: RunningSandbox) -> None:
    api = Api(ada.token)
    first, again = (api.post(records(zone), A, key="one record") for _ in range(2))
    assert first.body == again.body
    assert done(first).status == ChangePlan.APPLIED
    assert len(contents(sandbox)) == 1


# --- Mail -----------------------------------------------------------------------------------


def test_who_edits_mail_records_is_told_what_breaks(ada: Person, sandbox: RunningSandbox) -> None:
    domain = verified(ada, NAME, sandbox)
    sure(apply_plan, ada.actor, planned(ada, domain).pk)
    work_off()
    api, zone = Api(ada.token), Zone.objects.get()
    kept = {record["purpose"]: record for record in listed(api, zone)}
    assert {"mx", "spf", "dkim", "dmarc"} <= set(kept)
    second = {**A, "type": "TXT", "name": "@", "content": "v=spf1 a -all"}
    told = api.post(records(zone), second).body["warnings"]
    assert told == ["With a second SPF record at this name, receivers use neither."]
    removed = agreed(api.delete, records(zone, kept["mx"]["id"]))
    assert "The mail setup keeps this MX record" in removed.body["warnings"][0]
    work_off()
    # The setup is still known as the one in force, and a new plan of it finds what is missing.
    domain = Domain.objects.get()
    plan = plan_of(planned(ada, domain))
    assert plan is not None
    assert "create" in [change.action for change in plan.changes]


# --- Zone files -----------------------------------------------------------------------------

FILE = """$ORIGIN example.test.
$TTL 600
@ IN SOA ns1 host 1 2 3 4 5
@ IN MX 10 mail
www IN A 192.0.2.1
shop IN CNAME www
old IN A 192.0.2.50
"""


def test_a_zone_file_is_shown_agreed_to_written_and_taken_back(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="A", name="old", content="192.0.2.99", ttl=600)
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.1", ttl=600)
    before, api = contents(sandbox), Api(ada.token)
    asked = api.post(f"/api/dns/zones/{zone.pk}/import", {"zoneFile": FILE})
    assert (asked.body["status"], asked.body["steps"]) == ("computing", [])
    assert asked.body["warnings"] == ["Line 3: SOA of the zone itself is the provider's."]
    assert done(asked).status == ChangePlan.READY
    path = f"/api/dns/changes/{asked.body['id']}"
    shown = api.get(path).body
    assert shown["counts"] == {"create": 2, "update": 0, "delete": 0, "keep": 1, "conflict": 1}
    assert contents(sandbox) == before, "nothing is written before it is agreed"

    (conflict,) = [step for step in shown["steps"] if step["action"] == "conflict"]
    written = api.post(f"{path}/apply", {"replaceConflicts": [conflict["id"]]})
    assert written.body["id"] != asked.body["id"]
    assert done(written).status == ChangePlan.APPLIED
    assert {(kind, content) for kind, _, content, _ in contents(sandbox)} == {
        ("MX", f"mail.{NAME}"),
        ("A", "192.0.2.1"),
        ("CNAME", f"www.{NAME}"),
        ("A", "192.0.2.50"),
    }
    assert api.post(f"{path}/apply", {}).error == "PLAN_NOT_READY"

    exported = api.get(f"/api/dns/zones/{zone.pk}/export")
    assert exported.headers["Content-Type"].startswith("text/dns")
    again = done(api.post(f"/api/dns/zones/{zone.pk}/import", {"zoneFile": exported.raw.decode()}))
    counts = api.get(f"/api/dns/changes/{again.pk}").body["counts"]
    assert counts == {"create": 0, "update": 0, "delete": 0, "keep": 5, "conflict": 0}

    taken_back = agreed(api.post, f"/api/dns/changes/{written.body['id']}/revert")
    assert taken_back.body["reverts"] == written.body["id"]
    assert done(taken_back).status == ChangePlan.APPLIED
    assert contents(sandbox) == before


def test_a_file_that_cannot_be_read_says_why(ada: Person, zone: Zone) -> None:
    api, path = Api(ada.token), f"/api/dns/zones/{zone.pk}/import"
    refused = api.post(path, {"zoneFile": "www A 1.2.3\n$GENERATE 1-9 a$ A 192.0.2.$"})
    assert (refused.status, len(refused.body["error"]["details"]["zoneFile"])) == (400, 3)
    for size in (1_500_000, 10_000_000):
        assert api.post(path, {"zoneFile": "w A 192.0.2.1\n" * (size // 14)}).status == 413
    assert not ChangePlan.objects.exists()


def test_a_file_whose_zone_changed_since_it_was_shown_is_not_written(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    asked = api.post(f"/api/dns/zones/{zone.pk}/import", {"zoneFile": "www CNAME shop.test."})
    assert done(asked).status == ChangePlan.READY
    sandbox.change_record(NAME, "add", type="CNAME", name="www", content="else.test")
    assert done(api.post(f"/api/dns/changes/{asked.body['id']}/apply", {})).status == "failed"
    assert {content for _, _, content, _ in contents(sandbox)} == {"else.test"}
    assert api.get(f"/api/dns/changes/{asked.body['id']}").body["error"]["code"] == "ZONE_CHANGED"


# --- History --------------------------------------------------------------------------------


def test_older_changes_are_taken_back_while_what_they_wrote_stands(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    one = done(api.post(records(zone), A))
    two = done(api.post(records(zone), {**A, "name": "shop"}))
    shop = next(record for record in listed(api, zone) if record["name"].startswith("shop"))
    three = done(
        agreed(api.put, records(zone, shop["id"]), {**A, "name": "shop", "content": "192.0.2.9"})
    )
    history = api.get(f"/api/dns/zones/{zone.pk}/changes").body
    assert [item["id"] for item in history["items"]] == [str(row.pk) for row in (three, two, one)]
    assert {item["createdBy"] for item in history["items"]} == {ada.user.email}
    assert all(item["canBeReverted"] for item in history["items"])

    refused = agreed(api.post, f"/api/dns/changes/{two.pk}/revert")
    assert (refused.error, f"A shop.{NAME} (192.0.2.7)" in refused.body["detail"]) == (
        "RECORDS_CHANGED",
        True,
    )
    for row in (one, three, two):
        assert (
            done(agreed(api.post, f"/api/dns/changes/{row.pk}/revert")).status == ChangePlan.APPLIED
        )
        assert agreed(api.post, f"/api/dns/changes/{row.pk}/revert").error == "NOTHING_TO_REVERT"
    assert contents(sandbox) == set()


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_changed_is_not_taken_back(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.1", ttl=300)
    api = Api(ada.token)
    (record,) = listed(api, zone)
    row = done(agreed(api.put, records(zone, record["id"]), A))
    sandbox.change_record(NAME, "delete", type="A", name="www", content="192.0.2.7")
    sandbox.change_record(NAME, "add", type="A", name="www", content="192.0.2.66")
    assert done(agreed(api.post, f"/api/dns/changes/{row.pk}/revert")).status == ChangePlan.FAILED
    assert {content for _, _, content, _ in contents(sandbox)} == {"192.0.2.66"}


def test_a_mail_setup_and_edits_leave_each_other_alone(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = verified(ada, NAME, sandbox)
    setup, zone, api = planned(ada, domain), Zone.objects.get(), Api(ada.token)
    edit = done(api.post(records(zone), A))
    setup.refresh_from_db()
    assert (setup.status, edit.status) == (ChangePlan.READY, ChangePlan.APPLIED)
    sure(apply_plan, ada.actor, setup.pk)
    work_off()
    assert agreed(api.post, f"/api/dns/changes/{edit.pk}/revert").status == 202
    work_off()
    assert {kind for kind, *_ in contents(sandbox)} == {"MX", "TXT"}
    page = ada.client.get(f"/setup/{domain.pk}/dns/")
    assert page.context["applied"] == setup, "the wizard shows the mail setup"
    foreign = f"/api/v1/domains/{domain.pk}/dns/setup"
    assert api.post(foreign, {"email_platform": "mailserver", "plan_id": str(edit.pk)}).status in {
        400,
        404,
    }


# --- Costs ----------------------------------------------------------------------------------


def test_lists_cost_the_same_with_few_and_many(
    ada: Person,
    zone: Zone,
    sandbox: RunningSandbox,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    api = Api(ada.token)
    file = "".join(f"h{n} A 192.0.2.{n % 250}\n" for n in range(300))
    asked = api.post(f"/api/dns/zones/{zone.pk}/import", {"zoneFile": "a A 192.0.2.1\n" * 3})
    api.get("/api/dns/zones")  # the first request of a session notes that it is used
    for text in ("", file):
        if text:
            asked = api.post(f"/api/dns/zones/{zone.pk}/import", {"zoneFile": text})
        work_off()
        api.post(f"/api/dns/changes/{asked.body['id']}/apply", {})
        work_off()
        early_in_a_minute()
        api.get("/api/dns/zones")  # the first request of a minute takes its share of the limit
        with django_assert_num_queries(LIST_QUERIES):
            listed(api, zone)
        with django_assert_num_queries(CHANGES_QUERIES):
            api.get(f"/api/dns/zones/{zone.pk}/changes")
        with django_assert_num_queries(WRITE_QUERIES):
            api.post(records(zone), {**A, "name": f"n{len(text)}"})
        work_off()
    assert len(contents(sandbox)) == 303
    assert sandbox.request_count("cloudflare", "POST", "/zones/{id}/dns_records/batch") == 6


LIST_QUERIES, CHANGES_QUERIES, WRITE_QUERIES = 3, 6, 18


# --- Troubles on the way ----------------------------------------------------------------------


def test_an_edit_whose_answer_was_lost_is_not_written_twice(
    ada: Person, zone: Zone, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    for ask in (
        lambda: api.post(records(zone), A),
        lambda: agreed(
            api.put, records(zone, listed(api, zone)[0]["id"]), {**A, "content": "192.0.2.8"}
        ),
        lambda: agreed(api.delete, records(zone, listed(api, zone)[0]["id"])),
    ):
        asked = ask()
        sandbox.fault("cloudflare", "drop_after_commit", method="POST", path="/zones/.*/batch")
        work_off()
        written = contents(sandbox)
        hurry()
        assert ChangePlan.objects.get(pk=asked.body["changeId"]).status == ChangePlan.APPLIED
        assert contents(sandbox) == written
    assert written == set()


def test_an_edit_waits_while_another_plan_is_applied(ada: Person, sandbox: RunningSandbox) -> None:
    setup = planned(ada, verified(ada, NAME, sandbox))
    sure(apply_plan, ada.actor, setup.pk)
    asked = Api(ada.token).post(records(Zone.objects.get()), A)
    advance(asked.body["jobId"])  # before the setup, which holds the zone already
    job = Job.objects.get(pk=asked.body["jobId"])
    assert (job.status, "Another plan" in job.waiting_for) == (Job.WAITING, True)
    work_off()
    hurry(job.pk)
    job.refresh_from_db()
    assert job.status == Job.SUCCEEDED
    assert {"MX", "A"} <= {kind for kind, *_ in contents(sandbox)}
