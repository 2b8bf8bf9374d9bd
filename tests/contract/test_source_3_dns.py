"""Source 3's DNS over HTTP: preview, setup, verification, propagation, SPF."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dnszones.mail_records import MailSetup
from dnszones.models import ChangePlan, PropagationSession, Record
from domains.models import Domain
from events.models import Event
from provisioning.models import Heartbeat, Job
from tenants.services import create_api_key
from tests.api import Answer, Api, early_in_a_minute
from tests.cast import Person
from tests.processes import eventually, working
from tests.sandboxes import DNS_ADDRESSES, RunningSandbox
from tests.stories import published, verified
from tests.wizard.rows import estate
from tests.work import until, work_off

pytestmark = pytest.mark.django_db
OWN = {"email_platform": "mailserver"}
FLATTEN = "/api/v1/dns/spf/flatten"
CHANGE = {
    "id", "action", "type", "name", "content", "ttl", "priority", "purpose", "level", "reason",
    "before", "proxied",
}  # fmt: skip
SESSION = {
    "id", "domain_id", "user_id", "status", "progress", "started_at", "completed_at", "timeout_at",
    "last_checked_at", "check_count", "estimated_completion_at", "created_at", "updated_at",
}  # fmt: skip


def dns(domain: Domain, what: str) -> str:
    return f"/api/v1/domains/{domain.pk}/dns/{what}"


def polling(session: PropagationSession, what: str = "") -> str:
    return f"/api/v1/dns/polling/{session.pk}{what}"


def spread() -> None:
    Record.objects.update(next_check_at="2000-01-01T00:00Z")


# --- Preview ---------------------------------------------------------------------------------


def test_a_preview_shows_every_change_and_writes_nothing(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    first = api.post(dns(domain, "preview"), OWN)
    assert (first.status, first.body["status"]) == (202, "computing")
    assert first.body["create"] == first.body["keep"] == []
    again = api.post(dns(domain, "preview"), OWN)
    assert again.body["plan_id"] == first.body["plan_id"]
    work_off()
    ready = api.post(dns(domain, "preview"), OWN)
    assert (ready.status, ready.body["status"]) == (200, "ready")
    assert ready.body["plan_id"] == first.body["plan_id"]
    assert set(ready.body) == {
        "plan_id", "status", "create", "update", "keep", "conflict", "delete", "untouched",
        "warnings", "requires_confirmation", "confirmations", "losses", "confirmation",
    }  # fmt: skip
    created = ready.body["create"]
    assert {change["purpose"] for change in created} == {"mx", "spf", "dkim", "dmarc"}
    assert all(set(change) == CHANGE for change in created)
    (mx,) = [change for change in created if change["purpose"] == "mx"]
    assert (mx["type"], mx["name"], mx["priority"]) == ("MX", "example.test", 10)
    assert mx["reason"]
    assert sandbox.records("example.test") == []
    assert Job.objects.filter(workflow="dnszones.plan").count() == 1


def test_another_setup_or_a_later_question_is_another_plan(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    first = api.post(dns(domain, "preview"), OWN).body["plan_id"]
    other = api.post(dns(domain, "preview"), {**OWN, "dmarc_policy": "reject"}).body["plan_id"]
    assert other != first
    work_off()
    long_ago = timezone.now() - timedelta(seconds=61)
    ChangePlan.objects.update(computed_at=long_ago)
    later = api.post(dns(domain, "preview"), {**OWN, "dmarc_policy": "reject"})
    assert (later.status, later.body["plan_id"] == other) == (202, False)


def test_what_is_asked_for_is_what_is_planned(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    wish = {
        "email_platform": "custom",
        "custom_mx_records": [{"priority": 5, "server": "MX.Elsewhere.example."}],
        "spf_includes": ["_spf.elsewhere.example"],
        "existing_spf_record": "v=spf1 ip4:192.0.2.7 -all",
        "dkim_selector": "s1",
        "dmarc_policy": "quarantine",
        "dmarc_report_email": "Reports@example.test",
        "dmarc_forensic_email": "forensic@example.test",
        "enable_tracking": True,
        "tracking_subdomain": "emailtracking",
        "tracking_provider": "smartlead",
        "skip_duplicates": True,
    }
    api.post(dns(domain, "preview"), wish)
    setup = MailSetup.from_json(ChangePlan.objects.get().setup)
    assert (setup.platform, setup.custom_mx) == ("custom", ((5, "mx.elsewhere.example"),))
    work_off()
    created = api.post(dns(domain, "preview"), wish).body["create"]
    contents = {change["purpose"]: (change["name"], change["content"]) for change in created}
    assert contents["spf"] == (
        "example.test",
        "v=spf1 include:_spf.elsewhere.example ip4:192.0.2.7 -all",
    )
    assert contents["dkim"][0] == "s1._domainkey.example.test"
    assert contents["dmarc"][1] == (
        "v=DMARC1; p=quarantine; rua=mailto:reports@example.test; ruf=mailto:forensic@example.test"
    )
    assert contents["tracking"] == ("emailtracking.example.test", "open.sleadtrack.com")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "email_platform"),
        ({"email_platform": "pigeons"}, "email_platform"),
        ({"email_platform": "custom"}, "custom_mx_records"),
        ({**OWN, "custom_mx_records": [{"priority": 1, "server": "a.test"}]}, "custom_mx_records"),
        (
            {"email_platform": "custom", "custom_mx_records": [{"priority": 1, "server": "a b"}]},
            "custom_mx_records",
        ),
        ({**OWN, "spf_includes": ["not a name"]}, "spf_includes"),
        ({**OWN, "existing_spf_record": "v=spf2"}, "existing_spf_record"),
        ({**OWN, "dkim_public_key": "no key!"}, "dkim_public_key"),
        ({**OWN, "dkim_selector": "-x-"}, "dkim_selector"),
        ({**OWN, "dmarc_policy": "maybe"}, "dmarc_policy"),
        ({**OWN, "dmarc_report_email": "nobody"}, "dmarc_report_email"),
        ({**OWN, "enable_tracking": True}, "tracking_provider"),
        ({**OWN, "enable_tracking": "yes"}, "enable_tracking"),
        ({**OWN, "zone_id": "x"}, "zone_id"),
    ],
)
def test_bad_setups_are_told_in_the_callers_words(
    ada: Person, wish: dict[str, Any], field: str
) -> None:
    domain = estate(ada).domain
    for what in ("preview", "setup"):
        answer = Api(ada.token).post(dns(domain, what), wish)
        assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
        assert next(iter(answer.body["error"]["details"])).partition(".")[0] == field
    assert ChangePlan.objects.count() == 1


def test_a_zone_that_cannot_be_read_is_502(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    sandbox.fault("cloudflare", "status", status=403, times=20)
    api.post(dns(domain, "preview"), OWN)
    work_off()
    answer = api.post(dns(domain, "preview"), OWN)
    assert (answer.status, answer.error) == (502, "PROVIDER_ERROR")
    assert "Nothing was written" in answer.body["detail"]
    sandbox.clear_faults()
    ChangePlan.objects.update(updated_at=timezone.now() - timedelta(minutes=2))
    assert api.post(dns(domain, "preview"), OWN).status == 202


def test_who_may_plan(ada: Person, bo: Person, cy: Person, sandbox: RunningSandbox) -> None:
    domain = estate(ada).domain
    key = create_api_key(ada.actor, name="CI", scopes=["dns:read"]).plain
    for what in ("preview", "setup"):
        assert Api(bo.token).post(dns(domain, what), OWN).error == "FORBIDDEN"
        assert Api(key).post(dns(domain, what), OWN).error == "SCOPE_MISSING"
        assert Api(cy.token).post(dns(domain, what), OWN).error == "DOMAIN_NOT_FOUND"
    Domain.objects.update(verified_at=None)
    early = Api(ada.token).post(dns(domain, "preview"), OWN)
    assert (early.status, early.error) == (409, "DOMAIN_NOT_VERIFIED")


# --- Setup -----------------------------------------------------------------------------------


def in_the_zone(sandbox: RunningSandbox) -> set[str]:
    return {row["type"] for row in sandbox.records("example.test")}


def finished(api: Api, domain: Domain, body: dict[str, Any]) -> Answer:
    until(lambda: api.post(dns(domain, "setup"), body).status != 202)
    return api.post(dns(domain, "setup"), body)


def agreed(api: Api, domain: Domain, body: dict[str, Any]) -> Answer:
    """As `finished`, of what was confirmed once it was asked for."""
    asked = finished(api, domain, body)
    assert (asked.status, asked.error) == (409, "CONFIRMATION_REQUIRED")
    confirmation = asked.body["error"]["details"]["confirmation"]
    return finished(api, domain, {**body, "confirmation": confirmation})


def test_a_setup_is_planned_and_applied_without_being_asked_again(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    first = api.post(dns(domain, "setup"), OWN)
    assert (first.status, first.body["status"]) == (202, "computing")
    assert set(first.body) == {
        "plan_id", "domain", "status", "deployment_id", "records_created", "records_failed",
        "records_skipped", "spf", "dkim", "dmarc", "mx", "tracking", "errors", "warnings",
    }  # fmt: skip
    assert in_the_zone(sandbox) == set()
    work_off()
    done = api.post(dns(domain, "setup"), OWN)
    assert (done.status, done.body["status"]) == (200, "applied")
    assert done.body["plan_id"] == first.body["plan_id"]
    assert done.body["deployment_id"] == first.body["deployment_id"]
    assert (done.body["records_created"], done.body["records_failed"]) == (4, 0)
    for purpose in ("spf", "dkim", "dmarc", "mx"):
        assert done.body[purpose]["status"] == "written"
        assert all(set(change) == CHANGE for change in done.body[purpose]["records"])
    assert (done.body["tracking"], done.body["errors"]) == (None, [])
    assert in_the_zone(sandbox) == {"MX", "TXT"}
    deployed = api.get(f"/api/v1/infrastructure/deployment/{done.body['deployment_id']}").body
    assert deployed["status"] == "provisioned"
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    assert ChangePlan.objects.count() == 1

    ChangePlan.objects.update(applied_at=timezone.now() - timedelta(minutes=2))
    later = finished(api, domain, OWN).body  # everything stands already
    assert (later["records_created"], later["records_skipped"]) == (0, 4)
    assert {later[purpose]["status"] for purpose in ("spf", "dkim", "dmarc", "mx")} == {"kept"}


def test_a_setup_that_another_replaced_ends_quietly(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    for policy in ("none", "quarantine", "reject"):
        api.post(dns(domain, "setup"), {**OWN, "dmarc_policy": policy})
    work_off()
    jobs = Job.objects.filter(workflow="dnszones.setup").order_by("pk")
    assert [job.status for job in jobs] == [Job.CANCELLED, Job.CANCELLED, Job.SUCCEEDED]
    assert not Event.objects.filter(action="job.failed").exists()
    assert finished(api, domain, {**OWN, "dmarc_policy": "reject"}).body["status"] == "applied"


def test_the_plan_that_was_shown_is_applied_and_no_other(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    plan_id = api.post(dns(domain, "preview"), OWN).body["plan_id"]
    early = api.post(dns(domain, "setup"), {"plan_id": plan_id})
    assert (early.status, early.error) == (409, "PLAN_NOT_READY")
    work_off()
    begun = api.post(dns(domain, "setup"), {"plan_id": plan_id})
    assert (begun.status, begun.body["status"]) == (202, "applying")
    assert begun.body["spf"]["status"] == "pending"
    work_off()
    done = api.post(dns(domain, "setup"), {"plan_id": plan_id})
    assert (done.status, done.body["status"]) == (200, "applied")
    assert (done.body["plan_id"], done.body["records_created"]) == (plan_id, 4)
    assert ChangePlan.objects.count() == 1
    unknown = api.post(dns(domain, "setup"), {"plan_id": str(uuid4())})
    assert (unknown.status, unknown.error) == (404, "PLAN_NOT_FOUND")
    both = api.post(dns(domain, "setup"), {"plan_id": plan_id, **OWN})
    assert both.error == "VALIDATION_ERROR"


def test_an_applied_plan_that_a_newer_one_replaced_is_refused(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    old = finished(api, domain, OWN).body["plan_id"]
    assert finished(api, domain, {**OWN, "dmarc_policy": "reject"}).body["status"] == "applied"
    refused = api.post(dns(domain, "setup"), {"plan_id": old})
    assert (refused.status, refused.error) == (409, "PLAN_NOT_READY")


def test_fields_that_were_previewed_apply_that_very_plan(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    plan_id = api.post(dns(domain, "preview"), OWN).body["plan_id"]
    work_off()
    assert finished(api, domain, OWN).body["plan_id"] == plan_id


def test_conflicts_are_told_and_left_alone_unless_named(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    foreign = {"type": "MX", "name": "example.test", "content": "mx.before.test", "priority": 5}
    sandbox.change_record("example.test", "add", **foreign)
    done = finished(api, domain, OWN).body
    assert (done["status"], done["records_created"], done["records_skipped"]) == ("applied", 3, 1)
    assert done["mx"]["status"] == "conflict"
    assert any("receives its mail elsewhere" in text for text in done["warnings"])
    (conflict,) = done["mx"]["records"]
    assert [record["content"] for record in conflict["before"]] == ["mx.before.test"]

    wish = {**OWN, "replace_conflicts": [conflict["id"]]}
    replaced = agreed(api, domain, wish).body
    assert (replaced["status"], replaced["mx"]["status"]) == ("applied", "written")
    mails = [row["content"] for row in sandbox.records("example.test") if row["type"] == "MX"]
    assert mails == ["mx.mail-sandbox.test"]


def test_conflicts_of_a_shown_plan_are_replaced_by_its_id(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    foreign = {"type": "MX", "name": "example.test", "content": "mx.before.test", "priority": 5}
    sandbox.change_record("example.test", "add", **foreign)
    api.post(dns(domain, "preview"), OWN)
    work_off()
    shown = api.post(dns(domain, "preview"), OWN).body
    (conflict,) = shown["conflict"]
    order = {"plan_id": shown["plan_id"], "replace_conflicts": [conflict["id"], "no-such-id"]}
    done = agreed(api, domain, order).body
    assert (done["status"], done["mx"]["status"]) == ("applied", "written")
    assert done["plan_id"] != shown["plan_id"]
    assert ChangePlan.objects.count() == 2


def test_a_plan_that_changes_much_asks_for_a_confirmation(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    finished(api, domain, OWN)
    for number in range(2):
        record = {"type": "A", "name": f"a{number}.example.test", "content": "192.0.2.1"}
        sandbox.change_record("example.test", "add", **record)
    other = {"email_platform": "google-workspace"}
    api.post(dns(domain, "setup"), other)
    work_off()
    asked = api.post(dns(domain, "setup"), other)
    assert (asked.status, asked.error) == (409, "CONFIRMATION_REQUIRED")
    details = asked.body["error"]["details"]
    assert [(one["kind"], one["name"]) for one in details["losses"]] == [
        ("mail", "example.test"), ("sending", "example.test"), ("extent", "example.test"),
    ]  # fmt: skip
    assert "stops arriving at the inboxes made here" in details["losses"][0]["sentence"]
    for wrong in ({"confirmation": "x" * 32}, {"confirm": True}):
        assert api.post(dns(domain, "setup"), {**other, **wrong}).status in {400, 409}
    assert [row["content"] for row in sandbox.records("example.test") if row["type"] == "MX"] == [
        "mx.mail-sandbox.test"
    ]
    confirmed = {**other, "confirmation": details["confirmation"]}
    done = finished(api, domain, confirmed).body
    assert done["status"] == "applied"
    assert ChangePlan.objects.count() == 2
    assert [row["content"] for row in sandbox.records("example.test") if row["type"] == "MX"] == [
        "smtp.google.com"
    ]


def test_a_setup_that_fails_says_what_was_kept(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    sandbox.fault("cloudflare", "status", method="POST", path="/zones/", status=403, times=20)
    failed = finished(api, domain, OWN)
    assert (failed.status, failed.body["status"]) == (200, "failed")
    assert (failed.body["records_created"], failed.body["records_failed"]) == (0, 4)
    assert failed.body["spf"]["status"] == "failed"
    assert failed.body["errors"]
    sandbox.clear_faults()
    retried = api.post(f"/api/jobs/{failed.body['deployment_id']}/retry")
    assert retried.status == 200
    work_off()
    done = api.post(dns(domain, "setup"), OWN).body
    assert (done["status"], done["records_created"], done["errors"]) == ("applied", 4, [])


@pytest.mark.django_db(transaction=True)
def test_who_prefers_to_wait_gets_the_answer(
    ada: Person, sandbox: RunningSandbox, patiently: str
) -> None:
    domain = verified(ada, "example.test", sandbox)
    patient = Api(ada.token, Prefer=f"respond-async, {patiently}")
    with working():
        eventually(lambda: Heartbeat.objects.exclude(name="clock").exists())
        preview = patient.post(dns(domain, "preview"), OWN)
        assert (preview.status, preview.body["status"]) == (200, "ready")
        assert preview.headers["Preference-Applied"] == patiently
        done = patient.post(dns(domain, "setup"), OWN)
        assert (done.status, done.body["status"]) == (200, "applied")
        session = PropagationSession.objects.get()
        seen = patient.post(polling(session, "/check"))
        assert seen.status == 200
        assert not Record.objects.filter(checked_at=None).exists()
    hasty = Api(ada.token, Prefer="wait=1")
    other = {**OWN, "dmarc_policy": "reject"}
    unanswered = hasty.post(dns(domain, "preview"), other)  # nobody works any more
    assert (unanswered.status, unanswered.body["status"]) == (202, "computing")
    assert unanswered.headers["Preference-Applied"] == "wait=1"
    keyed = hasty.post(dns(domain, "preview"), other, key="one")
    assert (keyed.status, keyed.headers.get("Preference-Applied")) == (202, None)


# --- How it stands and spreads ---------------------------------------------------------------


def test_what_stands_is_verified_and_unknown_is_not_missing(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api, domain = Api(ada.token), published(ada, "example.test", sandbox)
    good = api.get(dns(domain, "verify"))
    assert good.status == 200
    assert good.body["checked_at"] is not None
    assert {**good.body, "checked_at": None} == {
        "spf_configured": True,
        "dkim_configured": True,
        "dmarc_configured": True,
        "mx_configured": True,
        "tracking_configured": False,
        "missing_records": [],
        "conflicts": [],
        "unknown": [],
        "checked_at": None,
    }

    def seen(verdict: str, purpose: str) -> dict[str, Any]:
        own: dict[str, Any] = {"verdict": verdict, "found": [], "until": None, "why": ""}
        Record.objects.filter(purpose=purpose).update(own=own)
        return dict(api.get(dns(domain, "verify")).body)

    lost = seen("missing", "dmarc")
    assert (lost["dmarc_configured"], lost["missing_records"]) == (
        False,
        ["TXT _dmarc.example.test"],
    )
    silent = seen("unknown", "mx")
    assert (silent["mx_configured"], silent["unknown"]) == (False, ["MX example.test"])
    assert silent["missing_records"] == lost["missing_records"]
    assert seen("conflicts", "spf")["conflicts"] == ["TXT example.test"]


def test_before_any_setup_everything_is_missing(ada: Person) -> None:
    domain = estate(ada).domain
    Record.objects.all().delete()
    shown = Api(ada.token).get(dns(domain, "verify")).body
    assert shown["missing_records"] == [
        "SPF is not set up",
        "DKIM is not set up",
        "DMARC is not set up",
        "MX is not set up",
    ]
    assert shown["checked_at"] is None


def test_propagation_is_watched_from_start_to_end(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), verified(ada, "example.test", sandbox)
    none = api.post(dns(domain, "polling"))
    assert (none.status, none.error) == (409, "CONFLICT")
    assert api.get(dns(domain, "status")).body["active_session"] is None
    sandbox.set_resolver_delay("127.0.0.11", 3600)
    finished(api, domain, OWN)
    running = api.post(dns(domain, "polling"))
    assert running.status == 200  # applying the plan started it
    assert set(running.body) == SESSION
    assert running.body["status"] == "polling"
    session = PropagationSession.objects.get(pk=running.body["id"])

    checked = api.post(polling(session, "/check"))
    assert checked.status == 200
    work_off()
    report = api.get(polling(session)).body
    assert set(report) == {"session", "progress", "records", "eta"}
    assert set(report["session"]) == SESSION
    assert report["session"]["check_count"] >= 1
    assert report["progress"]["records_total"] == 4
    assert set(report["progress"]) == {
        "overall_progress", "records_propagated", "records_total", "records_pending",
    }  # fmt: skip
    for record in report["records"]:
        assert set(record) == {
            "record_id", "type", "name", "purpose", "status", "propagation_percentage",
            "servers_asked", "servers_checked", "servers_propagated",
        }  # fmt: skip
        assert (record["status"], record["propagation_percentage"]) == ("propagating", 75)
        assert (record["servers_checked"], record["servers_propagated"]) == (4, 3)
    assert set(report["eta"]) == {"estimated_completion_at", "minutes_remaining"}
    assert report["eta"]["minutes_remaining"] is not None

    status = api.get(dns(domain, "status")).body
    assert status["active_session"]["id"] == str(session.pk)
    assert status["records"] == report["records"]
    assert status["summary"] == {
        "total_records": 4, "propagated": 0, "propagating": 4, "pending": 0, "failed": 0,
    }  # fmt: skip

    sandbox.set_resolver_delay("127.0.0.11", 0)
    session_is_over = lambda: api.get(polling(session)).body["session"]["status"] != "polling"  # noqa: E731
    for _ in range(3):
        spread()
        api.post(polling(session, "/check"))
        work_off()
        if session_is_over():
            break
    over = api.get(polling(session)).body
    assert (over["session"]["status"], over["progress"]["overall_progress"]) == ("completed", 100)
    assert over["progress"]["records_pending"] == 0
    assert over["eta"] == {"estimated_completion_at": None, "minutes_remaining": None}
    done = api.post(polling(session, "/cancel"))
    assert (done.status, done.error) == (409, "CONFLICT")
    assert api.post(dns(domain, "polling")).status == 201  # watch once more


def test_a_session_is_cancelled(ada: Person, bo: Person, cy: Person) -> None:
    mine = estate(ada)
    api, path = Api(ada.token), polling(mine.session)
    assert Api(bo.token).get(path).status == 200
    assert Api(bo.token).post(f"{path}/cancel").error == "FORBIDDEN"
    foreign, unknown = Api(cy.token).get(path), Api(cy.token).get(f"/api/v1/dns/polling/{uuid4()}")
    assert (foreign.status, foreign.error) == (404, "SESSION_NOT_FOUND")
    assert foreign.raw == unknown.raw
    for _ in range(2):
        stopped = api.post(f"{path}/cancel")
        assert (stopped.status, stopped.body["status"]) == (200, "cancelled")
        assert stopped.body["completed_at"] is not None
    assert api.get(dns(mine.domain, "status")).body["active_session"] is None


def test_reports_cost_the_same_for_few_and_for_many_records(
    ada: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    mine, api = estate(ada), Api(ada.token)
    early_in_a_minute()
    api.get(dns(mine.domain, "status"))
    for _ in range(2):
        with django_assert_num_queries(4):  # session, domain, polling, records
            api.get(dns(mine.domain, "status"))
        with django_assert_num_queries(3):
            api.get(polling(mine.session))
        with django_assert_num_queries(3):
            api.get(dns(mine.domain, "verify"))
        Record.objects.bulk_create(
            Record(zone=mine.zone, purpose="mx", level="required", reason="x", name="example.test",
                   type="MX", content=f"mx{n}.test", ttl=300, priority=n)
            for n in range(30)
        )  # fmt: skip


# --- SPF -------------------------------------------------------------------------------------


def test_an_spf_record_is_flattened(ada: Person, sandbox: RunningSandbox) -> None:
    key = Api(create_api_key(ada.actor, name="CI", scopes=["dns:read"]).plain)
    text = "v=spf1 include:_spf.mail-sandbox.test ip4:192.0.2.0/24 -all"
    answer = key.post(FLATTEN, {"domain": "example.test", "original_spf": text})
    assert answer.status == 200, answer.body
    assert set(answer.body) == {
        "original", "flattened_record", "lookups_before", "lookups_after", "void_lookups",
        "ip_addresses", "warnings", "errors",
    }  # fmt: skip
    assert answer.body["original"] == text
    flat = answer.body["flattened_record"]
    assert flat.startswith("v=spf1 ip4:")
    assert "include" not in flat
    assert flat.endswith(" -all")
    assert (answer.body["lookups_before"], answer.body["lookups_after"]) == (1, 0)
    assert "192.0.2.0/24" in answer.body["ip_addresses"]
    assert answer.body["errors"] == []


def test_the_published_record_is_flattened_where_none_is_given(
    ada: Person, sandbox: RunningSandbox
) -> None:
    published(ada, "example.test", sandbox)
    answer = Api(ada.token).post(FLATTEN, {"domain": "example.test"})
    assert answer.status == 200
    assert answer.body["original"] == "v=spf1 include:_spf.mail-sandbox.test ~all"
    none = Api(ada.token).post(FLATTEN, {"domain": "mail-sandbox.test"})
    assert (none.status, list(none.body["error"]["details"])) == (400, ["original_spf"])


def test_what_still_needs_too_many_lookups_is_an_error(
    ada: Person, sandbox: RunningSandbox
) -> None:
    terms = " ".join(f"exists:%{{i}}.e{number}.test" for number in range(11))
    body = {"domain": "example.test", "original_spf": f"v=spf1 {terms} -all"}
    answer = Api(ada.token).post(FLATTEN, body).body
    assert answer["lookups_after"] == 11
    (error,) = answer["errors"]
    assert "11 DNS lookups" in error
    assert error not in answer["warnings"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "domain"),
        ({"domain": "localhost"}, "domain"),
        ({"domain": "exa mple.test"}, "domain"),
        ({"domain": "example.test", "original_spf": "nonsense"}, "original_spf"),
        ({"domain": "example.test", "original_spf": "v=spf1 odd:x"}, "original_spf"),
        ({"domain": "example.test", "ipv6_support": "no"}, "ipv6_support"),
    ],
)
def test_records_that_cannot_be_flattened(ada: Person, body: dict[str, Any], field: str) -> None:
    answer = Api(ada.token).post(FLATTEN, body)
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    assert list(answer.body["error"]["details"]) == [field]


def test_silent_dns_is_502_and_loses_no_sender(ada: Person, sandbox: RunningSandbox) -> None:
    for address in DNS_ADDRESSES:
        sandbox.set_server(address, "down")
    text = "v=spf1 include:_spf.mail-sandbox.test -all"
    answer = Api(ada.token).post(FLATTEN, {"domain": "example.test", "original_spf": text})
    assert (answer.status, answer.error) == (502, "PROVIDER_ERROR")
