"""Change plans over the pages: shown, applied as shown, refused when outdated, taken back."""

import re
from typing import Any

import pytest

from dnszones import spf
from dnszones.dkim import records as dkim
from dnszones.dkim.keys import MOST_DKIM_KEYS, TooManyKeys, dkim_key
from dnszones.models import ChangePlan, DkimKey, PropagationSession, Record
from dnszones.plans import services
from dnszones.plans.reverts import NothingToRevert, revert_plan
from dnszones.plans.services import apply_plan, make_plan
from domains.models import Domain
from events.models import Event
from mpanel.core.errors import Forbidden, Invalid
from provisioning.models import Job
from tests.api import Api
from tests.cast import Person
from tests.confirming import typed
from tests.sandboxes import RunningSandbox
from tests.stories import OWN_SERVER, planned, verified
from tests.work import ended, sure, work_off

ZONE = "example.test"
FORM = {"platform": "mailserver", "dmarc_policy": "none", "tracking_provider": "none"}


def contents(sandbox: RunningSandbox) -> list[tuple[object, ...]]:
    """What the zone says, without the vendor's ids."""
    columns = ("name", "type", "content", "ttl", "priority", "proxied")
    rows = [tuple(record.get(key) for key in columns) for record in sandbox.records(ZONE)]
    return sorted(rows, key=str)


def values(sandbox: RunningSandbox, kind: str, name: str = ZONE) -> list[str]:
    return sorted(
        record["content"].replace('" "', "").strip('"')
        for record in sandbox.records(ZONE)
        if (record["type"], record["name"]) == (kind, name)
    )


def add(sandbox: RunningSandbox, kind: str, content: str, name: str = "@", **more: Any) -> None:
    sandbox.change_record(ZONE, "add", type=kind, name=name, content=content, **more)


def show(person: Person, domain: Domain, **form: str) -> Any:
    """Ask for a plan on the page, let a worker make it, and look at it."""
    path = f"/setup/{domain.pk}/dns/"
    answer = person.client.post(path, {**FORM, **form})
    assert answer.status_code == 302, answer.context["form"].errors
    work_off()
    return person.client.get(path)


def actions(page: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for change in page.context["plan"].changes:
        found.setdefault(change.purpose, []).append(change.action)
    return found


def apply(person: Person, page: Any, **form: str) -> Any:
    row = page.context["row"]
    answer: Any = person.client.post(f"/setup/{row.zone.domain_id}/dns/{row.pk}/apply/", form)
    work_off()
    return answer


def apply_job() -> Job:
    return Job.objects.filter(workflow="dnszones.apply").latest("pk")


@pytest.fixture
def domain(ada: Person, sandbox: RunningSandbox) -> Domain:
    return verified(ada, ZONE, sandbox)


def test_an_empty_zone_is_filled_as_shown(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    page = show(ada, domain)
    assert actions(page) == {p: ["create"] for p in ("mx", "spf", "dkim", "dmarc")}
    text = page.content.decode()
    plan = page.context["plan"]
    assert all(change.reason in text for change in plan.changes if "'" not in change.reason)
    assert "Apply 4 changes" in text
    assert sandbox.records(ZONE) == [], "nothing is written before it is agreed"
    assert apply(ada, page).status_code == 302
    assert values(sandbox, "MX") == ["mx.mail-sandbox.test"]
    assert values(sandbox, "TXT") == ["v=spf1 include:_spf.mail-sandbox.test ~all"]
    assert values(sandbox, "TXT", f"_dmarc.{ZONE}") == [
        f"v=DMARC1; p=none; rua=mailto:dmarc@{ZONE}"
    ]
    assert len(sandbox.records(ZONE)) == len(plan.outcome)
    domain.refresh_from_db()
    assert domain.status == Domain.DNS_CONFIGURING
    assert PropagationSession.objects.get().status == PropagationSession.POLLING
    assert "The records are written" in ada.client.get(f"/setup/{domain.pk}/dns/").content.decode()
    # Planned again, there is nothing to do.
    again = show(ada, domain)
    assert actions(again) == {p: ["keep"] for p in ("mx", "spf", "dkim", "dmarc")}
    assert "Nothing to write" in again.content.decode()


def test_records_of_others_stay(ada: Person, domain: Domain, sandbox: RunningSandbox) -> None:
    add(sandbox, "A", "192.0.2.7", "www")
    add(sandbox, "TXT", '"google-site-verification=abc"')
    add(sandbox, "TXT", '"v=spf1 include:sendgrid.net -all"')
    add(sandbox, "TXT", '"v=DMARC1; p=reject; rua=mailto:ada@example.test"', "_dmarc")
    add(sandbox, "MX", "mail.bo.test", priority=5)
    before = contents(sandbox)
    page = show(ada, domain)
    assert actions(page) == {
        "mx": ["conflict"],
        "spf": ["update"],
        "dkim": ["create"],
        "dmarc": ["keep"],
    }
    assert "receives its mail elsewhere" in page.content.decode()
    apply(ada, page)
    assert apply_job().status == Job.SUCCEEDED
    left = [row for row in before if "v=spf1" not in str(row[2])]
    assert set(left) < set(contents(sandbox))
    assert values(sandbox, "MX") == ["mail.bo.test"]
    (text,) = [value for value in values(sandbox, "TXT") if "spf" in value]
    assert text == "v=spf1 include:_spf.mail-sandbox.test include:sendgrid.net -all"


def test_a_conflict_is_replaced_with_consent(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    add(sandbox, "TXT", '"v=spf1 include:sendgrid.net ~all"')
    add(sandbox, "TXT", '"v=spf1 include:zoho.com ~all"')
    page = show(ada, domain)
    assert actions(page)["spf"] == ["conflict"]
    assert "may have one SPF record only" in page.content.decode()
    row = page.context["row"]
    (conflict,) = page.context["plan"].conflicts
    path = f"/setup/{domain.pk}/dns/{row.pk}/replace/"
    ada.client.post(path, {"replace": ["unknown", conflict.id]})
    work_off()
    page = ada.client.get(f"/setup/{domain.pk}/dns/")
    assert sorted(actions(page)["spf"]) == ["delete", "update"]
    apply(ada, page)
    (text,) = values(sandbox, "TXT")
    for sender in ("sendgrid.net", "zoho.com", "_spf.mail-sandbox.test"):
        assert f"include:{sender}" in text
    # The older plan is over.
    assert ada.client.post(path, {"replace": conflict.id}).status_code == 409


def test_an_outdated_plan_writes_nothing(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    page = show(ada, domain)
    add(sandbox, "TXT", '"v=spf1 -all"')
    before = contents(sandbox)
    apply(ada, page)
    job = apply_job()
    assert (job.status, job.error_code) == (Job.FAILED, "ZONE_CHANGED")
    assert contents(sandbox) == before
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    shown = ada.client.get(f"/setup/{domain.pk}/dns/").content.decode()
    assert "Make a new plan" in shown
    # Records that the plan does not rest on may change meanwhile.
    page = show(ada, domain)
    add(sandbox, "A", "192.0.2.7", "www")
    apply(ada, page)
    assert apply_job().status == Job.SUCCEEDED


def test_a_large_change_must_be_confirmed(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    for number in range(3):
        add(sandbox, "MX", f"mx{number}.bo.test", priority=number)
    for number in range(4):
        add(sandbox, "A", "192.0.2.7", f"h{number}")
    page = show(ada, domain)
    row, ids = page.context["row"], [c.id for c in page.context["plan"].conflicts]
    ada.client.post(f"/setup/{domain.pk}/dns/{row.pk}/replace/", {"replace": ids})
    work_off()
    page = ada.client.get(f"/setup/{domain.pk}/dns/")
    assert "changes or deletes 3 of the zone" in page.content.decode()
    before = contents(sandbox)
    refused = apply(ada, page)
    assert refused.status_code == 422
    assert contents(sandbox) == before
    digest = page.context["typed"].digest
    assert apply(ada, page, typed_name="bo.test", confirmation=digest).status_code == 422
    assert apply(ada, page, typed_name=ZONE, confirmation="x").status_code == 422
    assert contents(sandbox) == before
    assert apply(ada, page, typed_name=ZONE, confirmation=digest).status_code == 302
    assert values(sandbox, "MX") == ["mx.mail-sandbox.test"]


def test_only_the_newest_plan_is_applied(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    older = show(ada, domain)
    newer = show(ada, domain, dmarc_policy="reject")
    assert apply(ada, older).status_code == 409
    assert sandbox.records(ZONE) == []
    assert apply(ada, newer).status_code == 302
    assert apply(ada, newer).status_code == 409, "and once"
    assert "p=reject" in values(sandbox, "TXT", f"_dmarc.{ZONE}")[0]
    assert Job.objects.filter(workflow="dnszones.apply").count() == 1


def test_a_double_click_applies_once(ada: Person, domain: Domain) -> None:
    plan = planned(ada, domain)
    jobs = {apply_plan(ada.actor, plan.pk).pk for _ in range(2)}
    assert len(jobs) == 1
    assert Event.objects.filter(action="dns.plan_applied").count() == 1


def test_taking_back_restores_the_zone(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    add(sandbox, "A", "192.0.2.7", "www")
    add(sandbox, "TXT", '"v=spf1 include:sendgrid.net -all"', ttl=600)
    add(sandbox, "MX", "mail.bo.test", priority=5, ttl=3600)
    before = contents(sandbox)
    page = show(ada, domain)
    row, ids = page.context["row"], [c.id for c in page.context["plan"].conflicts]
    ada.client.post(f"/setup/{domain.pk}/dns/{row.pk}/replace/", {"replace": ids})
    work_off()
    page = ada.client.get(f"/setup/{domain.pk}/dns/")
    apply(ada, page, typed_name=ZONE, confirmation=page.context["typed"].digest)
    assert contents(sandbox) != before
    applied = page.context["row"]
    path = f"/domains/plans/{applied.pk}/revert/"
    assert "Take back these DNS changes?" in ada.client.get(path).content.decode()
    asked = ada.client.post(path)
    assert asked.status_code == 422
    assert "stops arriving at the inboxes made here; it goes to mail.bo.test" in (
        asked.content.decode()
    )
    assert typed(ada.client, path, ZONE)["Location"].startswith("/jobs/")
    work_off()
    assert contents(sandbox) == before
    domain.refresh_from_db()
    assert domain.status == Domain.VERIFIED
    assert not Record.objects.exists()
    assert PropagationSession.objects.get().status == PropagationSession.CANCELLED
    # Once is enough.
    assert ada.client.post(path).status_code == 409
    assert contents(sandbox) == before


def test_taking_back_the_second_plan_returns_to_the_first(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    first = planned(ada, domain)
    ended(apply_plan(ada.actor, first.pk))
    after_first = contents(sandbox)
    second = planned(ada, domain, dmarc_policy="reject")
    ended(apply_plan(ada.actor, second.pk))
    assert contents(sandbox) != after_first
    with pytest.raises(NothingToRevert):
        sure(revert_plan, ada.actor, first.pk)
    ended(sure(revert_plan, ada.actor, second.pk))
    assert contents(sandbox) == after_first
    assert Record.objects.get(purpose="dmarc").content.startswith("v=DMARC1; p=none")
    ended(sure(revert_plan, ada.actor, first.pk))
    assert sandbox.records(ZONE) == []


def test_what_somebody_changed_since_then_is_theirs(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    plan = planned(ada, domain)
    ended(apply_plan(ada.actor, plan.pk))
    sandbox.change_record(
        ZONE, "replace", type="MX", name="@", content="mail.bo.test", priority=1, ttl=300
    )
    ended(sure(revert_plan, ada.actor, plan.pk))
    assert values(sandbox, "MX") == ["mail.bo.test"]
    assert values(sandbox, "TXT") == []


def test_our_dkim_key_is_sealed(ada: Person, domain: Domain, sandbox: RunningSandbox) -> None:
    ended(apply_plan(ada.actor, planned(ada, domain).pk))
    key = DkimKey.objects.get(zone__domain=domain)
    pem = key.private_pem()
    assert "BEGIN PRIVATE KEY" in pem
    body = "".join(pem.splitlines()[1:3])
    stored = "".join(str(list(model.objects.values())) for model in (DkimKey, ChangePlan, Event))
    assert body not in stored
    assert values(sandbox, "TXT", f"mpanel._domainkey.{ZONE}") == [key.public_value]
    # The same key in the next plan.
    planned(ada, domain, dmarc_policy="reject")
    assert DkimKey.objects.get(zone__domain=domain).pk == key.pk


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ({"platform": "google-workspace"}, (["smtp.google.com"], ["_spf.google.com"])),
        (
            {
                "platform": "microsoft-365",
                "spf_includes": "sendgrid.net",
                "microsoft_mx": "Example0I.k-v1.mx.microsoft.",
            },
            (
                ["example0i.k-v1.mx.microsoft"],
                ["spf.protection.outlook.com", "sendgrid.net"],
            ),
        ),
        (
            {"platform": "custom", "custom_mx": "10 mx1.bo.test\n20 mx2.bo.test."},
            (["mx1.bo.test", "mx2.bo.test"], []),
        ),
    ],
    ids=["google", "microsoft", "custom"],
)
def test_every_platform_has_its_records(
    ada: Person,
    domain: Domain,
    sandbox: RunningSandbox,
    form: dict[str, str],
    written: tuple[list[str], list[str]],
) -> None:
    mx, includes = written
    page = show(ada, domain, **form)
    missing = form["platform"] in {"google-workspace", "microsoft-365"}
    assert ("take the DKIM key" in " ".join(page.context["row"].warnings)) == missing
    apply(ada, page)
    assert values(sandbox, "MX") == mx
    (text,) = values(sandbox, "TXT")
    assert re.findall(r"include:(\S+)", text) == includes
    assert bool(values(sandbox, "TXT", f"mpanel._domainkey.{ZONE}")) != missing


def test_what_microsoft_365_has_in_the_zone_is_kept(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    add(sandbox, "MX", "ada-co-test0i.mail.protection.outlook.com", priority=5)
    targets = [f"selector{n}-ada._domainkey.ada.n-v1.dkim.mail.microsoft" for n in (1, 2)]
    for number, target in enumerate(targets, start=1):
        add(sandbox, "CNAME", target, f"selector{number}._domainkey")
    page = show(ada, domain, platform="microsoft-365", microsoft_mx="else.k-v1.mx.microsoft")
    found = actions(page)
    assert (found["mx"], found["dkim"]) == (["keep"], ["keep", "keep"])
    told = " ".join(page.context["row"].warnings)
    assert "ada-co-test0i.mail.protection.outlook.com at Microsoft 365 already" in told
    assert apply(ada, page).status_code == 302
    assert values(sandbox, "MX") == ["ada-co-test0i.mail.protection.outlook.com"]
    assert values(sandbox, "CNAME", f"selector1._domainkey.{ZONE}") == [targets[0]]


def test_the_host_that_microsoft_shows_is_asked_for(ada: Person, domain: Domain) -> None:
    path = f"/setup/{domain.pk}/dns/"
    for host in ("", "mx.bo.test", "example-test.mail.protection.outlook.com.bo.test"):
        form = {**FORM, "platform": "microsoft-365", "microsoft_mx": host}
        answer = ada.client.post(path, form)
        assert answer.status_code == 422
        assert "that Microsoft shows" in str(answer.context["form"].errors["microsoft_mx"])
        body = {"email_platform": "microsoft-365", "microsoft_mx_host": host}
        refused = Api(ada.token).post(f"/api/v1/domains/{domain.pk}/dns/preview", body)
        assert (refused.status, list(refused.body["error"]["details"])) == (
            400,
            ["microsoft_mx_host"],
        )
    assert not ChangePlan.objects.exists()


def test_a_tracking_name_and_a_given_key_are_written(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    value = dkim.make_key().value
    page = show(
        ada,
        domain,
        platform="google-workspace",
        dkim_value=value,
        tracking_provider="smartlead",
        tracking_subdomain="go",
    )
    apply(ada, page)
    assert values(sandbox, "TXT", f"google._domainkey.{ZONE}") == [value]
    assert values(sandbox, "CNAME", f"go.{ZONE}") == ["open.sleadtrack.com"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"platform": "custom", "custom_mx": ""}, "custom_mx"),
        ({"platform": "custom", "custom_mx": "10 10 mx.bo.test"}, "custom_mx"),
        ({"spf_includes": "not_a_name!"}, "spf_includes"),
        ({"platform": "google-workspace", "dkim_value": "no key"}, "dkim_value"),
        ({"dkim_value": dkim.make_key().value}, "dkim_value"),  # our server signs with its own
        ({"dkim_selector": "a b"}, "dkim_selector"),
        ({"dmarc_rua": "nobody"}, "dmarc_rua"),
        ({"platform": "pigeon"}, "platform"),
        ({"tracking_provider": "smartlead", "tracking_subdomain": "_x"}, "tracking_subdomain"),
    ],
)
def test_mistakes_are_named_beside_their_fields(
    ada: Person, domain: Domain, form: dict[str, str], field: str
) -> None:
    answer = ada.client.post(f"/setup/{domain.pk}/dns/", {**FORM, **form})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not ChangePlan.objects.exists()


def test_spf_over_ten_lookups_is_flattened(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    senders = ("_spf.google.com", "mailgun.org", "zoho.com", "_spf.atlassian.net", "sendgrid.net")
    add(sandbox, "TXT", f'"v=spf1 {" ".join(f"include:{s}" for s in senders)} ~all"')
    page = show(ada, domain)
    change, *parts = [c for c in page.context["plan"].changes if c.purpose == "spf"]
    assert change.action == "update"
    assert "no more than ten lookups" in change.reason
    assert {part.action for part in parts} == {"create"}
    apply(ada, page)
    (text,) = values(sandbox, "TXT")
    assert "include:_spf1.example.test" in text
    assert text.endswith("~all")
    published = {row["name"]: row["content"].strip('"') for row in sandbox.records(ZONE)}
    texts = [text, *(published[f"_spf{number}.{ZONE}"] for number in range(1, len(parts) + 1))]
    lookups = [
        term
        for one in texts
        for term in spf.parse(one.replace('" "', "")).terms
        if re.match(r"[?~+-]?(include|a|mx|exists|redirect)\b", str(term))
    ]
    assert len(lookups) <= 10
    for network in ("209.61.151.0/24", "167.89.0.0/17", "127.0.0.1"):
        assert any(f"ip4:{network}" in one.replace('" "', "") for one in texts)


def test_a_plan_is_for_admins_of_a_verified_domain(ada: Person, bo: Person, domain: Domain) -> None:
    with pytest.raises(Forbidden):
        make_plan(bo.actor, domain.pk, choices=OWN_SERVER)
    with pytest.raises(Invalid):
        make_plan(ada.actor, domain.pk, choices={"platform": "pigeon"})
    plan = planned(ada, domain)
    for refused in (apply_plan, revert_plan):
        with pytest.raises(Forbidden):
            refused(bo.actor, plan.pk)
    Domain.objects.update(verified_at=None)
    with pytest.raises(services.DomainNotVerified):
        make_plan(ada.actor, domain.pk, choices=OWN_SERVER)


def test_plans_are_listed_with_who_made_them(ada: Person, domain: Domain) -> None:
    ended(apply_plan(ada.actor, planned(ada, domain).pk))
    page = ada.client.get(f"/domains/{domain.pk}/plans/").content.decode()
    assert "4 changes" in page
    assert ada.user.email in page
    plan = ChangePlan.objects.get()
    detail = ada.client.get(f"/domains/plans/{plan.pk}/").content.decode()
    assert "mx.mail-sandbox.test" in detail
    assert f"/domains/plans/{plan.pk}/revert/" in detail


def test_a_zone_has_a_bounded_number_of_dkim_keys(
    ada: Person, domain: Domain, sandbox: RunningSandbox
) -> None:
    """Else whoever names one new selector after the other fills the table with keys."""
    for number in range(MOST_DKIM_KEYS - 1):
        dkim_key(domain.zone, f"s{number}")
    with pytest.raises(TooManyKeys):
        make_plan(ada.actor, domain.pk, choices={**OWN_SERVER, "dkim_selector": "one-more"})
    make_plan(ada.actor, domain.pk, choices={**OWN_SERVER, "dkim_selector": "s1"})
    assert domain.zone.dkim_keys.count() == MOST_DKIM_KEYS
