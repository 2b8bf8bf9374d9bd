"""Source 1 over HTTP: domains, provisioning, inboxes, their CSV, deployments."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from billing.models import Account
from domains.models import Domain, Registration
from events.models import Event
from mailboxes.models import Batch, Mailbox
from tenants.models import ProviderCredential
from tenants.services import create_api_key
from tests.api import Api, early_in_a_minute
from tests.cast import Person
from tests.domains.test_registration import ADA as CONTACT
from tests.mailboxes.test_services import can_log_in
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate
from tests.work import until

pytestmark = pytest.mark.django_db
DOMAINS, REGISTER = "/api/v1/domains", "/api/v1/domains/register"
PROVISION, INBOXES = "/api/v1/infrastructure/provision", "/api/v1/infrastructure/inboxes"
FILE = "/api/v1/infrastructure/provision/csv"


# --- Domains ---------------------------------------------------------------------------------


def test_a_users_domains_are_listed(ada: Person, cy: Person) -> None:
    api = Api(ada.token)
    assert api.get(DOMAINS).body == {"domains": [], "total": 0}
    estate(ada, "one.test")
    Domain.objects.filter(pk=estate(ada, "two.test").domain.pk).update(status=Domain.VERIFIED)
    estate(cy, "theirs.test")
    answer = api.get(DOMAINS)
    assert answer.status == 200
    assert answer.body["total"] == 2
    one, two = answer.body["domains"]
    assert set(one) == {"id", "name", "status", "dns_configured", "created_at"}
    assert (one["name"], one["status"], one["dns_configured"]) == ("one.test", "provisioned", True)
    assert (two["name"], two["status"], two["dns_configured"]) == ("two.test", "verified", False)
    assert Api().get(DOMAINS).error == "UNAUTHORIZED"


def test_domains_are_searched_filtered_and_ordered(ada: Person) -> None:
    for name in ("one.test", "two.test", "three.test"):
        estate(ada, name)
    Domain.objects.filter(name="two.test").update(status=Domain.VERIFIED)

    def names(**query: Any) -> list[str]:
        return [row["name"] for row in Api(ada.token).get(DOMAINS, query).body["domains"]]

    assert names() == ["one.test", "three.test", "two.test"]
    assert names(search="T") == names()
    assert names(search="two") == ["two.test"]
    assert names(status="provisioned") == ["one.test", "three.test"]
    assert names(order="-created_at") == ["three.test", "two.test", "one.test"]
    assert Api(ada.token).get(DOMAINS, {"status": "odd"}).error == "VALIDATION_ERROR"


def test_the_list_of_domains_costs_the_same_for_three_and_for_thirty(
    ada: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = Api(ada.token)
    early_in_a_minute()
    api.get(DOMAINS)
    for numbers in (range(3), range(3, 30)):
        Domain.objects.bulk_create(
            Domain(
                tenant=ada.tenant,
                name=f"d{n}.test",
                unicode_name=f"d{n}.test",
                dns_credential=ada.credential,
            )
            for n in numbers
        )
        with django_assert_num_queries(2):  # session, domains
            assert api.get(DOMAINS).body["total"] == numbers[-1] + 1


def test_a_new_domain_is_registered(ada: Person, sandbox: RunningSandbox) -> None:
    api = Api(ada.token)
    answer = api.post(REGISTER, {"domain": "acme.test", "contact": CONTACT, "max_cost": 20})
    assert answer.status == 201, answer.body
    assert set(answer.body) == {
        "domain_id", "domain", "status", "cost", "currency", "auto_renews", "deployment_id",
    }  # fmt: skip
    assert answer.body["domain"] == "acme.test"
    assert (answer.body["cost"], answer.body["currency"]) == (9.98, "USD")
    assert (answer.body["status"], answer.body["auto_renews"]) == ("pending", None)
    assert Registration.objects.get().max_cost == 2000

    path = f"/api/v1/infrastructure/deployment/{answer.body['deployment_id']}"
    assert api.get(path).body["status"] == "pending"
    until(lambda: api.get(path).body["status"] not in {"pending", "in_progress"})
    assert api.get(path).body["status"] == "provisioned"
    assert [row["name"] for row in api.get(DOMAINS).body["domains"]] == ["acme.test"]
    # The next one is for the same person unless another is named.
    assert api.post(REGISTER, {"domain": "acme-two.test"}).status == 201


def test_what_a_registration_is_refused_for(
    ada: Person, bo: Person, sandbox: RunningSandbox
) -> None:
    api, wish = Api(ada.token), {"domain": "acme.test", "contact": CONTACT}
    assert api.post(REGISTER, {**wish, "domain": "no domain"}).error == "VALIDATION_ERROR"
    assert api.post(REGISTER, {"domain": "acme.test"}).error == "VALIDATION_ERROR"  # for whom?
    for odd in ("9.99", True, -1, 1.234, 1e300):
        assert api.post(REGISTER, {**wish, "max_cost": odd}).error == "VALIDATION_ERROR"
    assert api.post(REGISTER, {**wish, "max_cost": 1}).error == "PRICE_CHANGED"
    sandbox.namecheap(balance=1)
    funds = api.post(REGISTER, wish)
    assert (funds.status, funds.error) == (402, "PAYMENT_FAILED")
    sandbox.namecheap(balance=100_000)
    sandbox.set_nameservers("acme.test", ["ns1.elsewhere.test"])
    taken = api.post(REGISTER, wish)
    assert (taken.status, taken.error) == (400, "DOMAIN_UNAVAILABLE")
    sandbox.fault("namecheap", "status", status=500, times=5)
    down = api.post(REGISTER, {**wish, "domain": "other.test"})
    assert (down.status, down.error) == (502, "PROVIDER_ERROR")
    assert down.body["detail"].endswith("Nothing was bought. Try again in a few minutes.")
    sandbox.clear_faults()
    assert Api(bo.token).post(REGISTER, wish).error == "FORBIDDEN"
    foreign = {**wish, "registrar_credential_id": str(uuid4())}
    assert api.post(REGISTER, foreign).error == "CREDENTIAL_NOT_FOUND"
    ProviderCredential.objects.filter(port="registrar").delete()
    missing = api.post(REGISTER, wish)
    assert (missing.status, missing.error) == (409, "REGISTRAR_NOT_CONNECTED")
    assert not Domain.objects.exists()


def test_a_domain_beyond_the_plan_is_402(ada: Person, sandbox: RunningSandbox) -> None:
    for number in range(5):
        estate(ada, f"d{number}.test")
    answer = Api(ada.token).post(REGISTER, {"domain": "acme.test", "contact": CONTACT})
    assert (answer.status, answer.error) == (402, "PLAN_LIMIT_EXCEEDED")
    assert answer.body["error"]["details"] == {"limit": 5, "used": 5, "requested": 1}


# --- Provisioning ----------------------------------------------------------------------------


def ready(person: Person, name: str = "acme.test") -> Domain:
    domain = estate(person, name, inboxes=0).domain
    Domain.objects.filter(pk=domain.pk).update(status=Domain.READY)
    return domain


def requested(domain: Domain, count: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "domain_id": str(domain.pk),
        "inbox_count": count,
        "naming_convention": "firstname",
        **more,
    }


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.django_db(transaction=True)
def test_inboxes_are_provisioned(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), ready(ada)
    answer = api.post(PROVISION, requested(domain, 5))
    assert answer.status == 201, answer.body
    assert set(answer.body) == {
        "inboxes_created", "domain", "csv_data", "deployment_id", "status", "next_steps",
    }  # fmt: skip
    assert (answer.body["inboxes_created"], answer.body["domain"]) == (5, "acme.test")
    assert answer.body["status"] == "provisioning"
    assert answer.body["next_steps"]
    assert answer.headers["Cache-Control"] == "no-store, private"

    text = answer.body["csv_data"]
    assert text.startswith("email,username,password,smtp_host,smtp_port\r\n")
    rows = rows_of(text)
    assert len({row["email"] for row in rows}) == len({row["password"] for row in rows}) == 5
    assert all(row["username"] == row["email"] for row in rows)

    path = f"/api/v1/infrastructure/deployment/{answer.body['deployment_id']}"
    assert api.get(path).body["status"] == "pending"
    until(lambda: api.get(path).body["status"] not in {"pending", "in_progress"})
    deployed = api.get(path).body
    assert (deployed["status"], deployed["progress"]) == ("provisioned", 100)
    assert any("Verified 5 inboxes" in line for line in deployed["logs"])
    assert not any(row["password"] in line for row in rows for line in deployed["logs"])
    assert {row["status"] for row in api.get(INBOXES).body["inboxes"]} == {"active"}
    for row in rows:  # the passwords of the answer are those of the logins
        assert can_log_in(sandbox, row["email"], row["password"])


def test_the_reveal_of_a_provisioning_is_recorded_and_used_up(ada: Person) -> None:
    answer = Api(ada.token).post(PROVISION, requested(ready(ada)))
    batch = Batch.objects.get(count=3)
    assert batch.revealed_by_id == ada.user.pk
    assert batch.revealed_at is not None
    event = Event.objects.get(action="credentials.revealed")
    assert event.subject_id == batch.pk
    passwords = [row["password"] for row in rows_of(answer.body["csv_data"])]
    for password in passwords:
        assert password not in str(list(Event.objects.values()))
        assert password not in str(list(Mailbox.objects.values()))


def test_names_come_from_people_or_from_a_list(ada: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    people = [{"first_name": "Ada", "last_name": "Byron"}]
    answer = api.post(PROVISION, requested(domain, 1, personas=people))
    assert [row["email"] for row in rows_of(answer.body["csv_data"])] == ["ada@acme.test"]
    own = requested(domain, 2, naming_convention="custom", custom=["Hello", "info"])
    answer = api.post(PROVISION, own)
    emails = [row["email"] for row in rows_of(answer.body["csv_data"])]
    assert emails == ["hello@acme.test", "info@acme.test"]
    again = api.post(PROVISION, own)
    assert (again.status, again.error) == (400, "VALIDATION_ERROR")
    assert "hello" in str(again.body["error"]["details"]["custom"])


@pytest.mark.parametrize(
    "changes",
    [
        {"inbox_count": 0},
        {"inbox_count": -1},
        {"inbox_count": 1001},
        {"inbox_count": 1.5},
        {"inbox_count": "5"},
        {"inbox_count": True},
        {"inbox_count": None},
        {"naming_convention": "odd"},
        {"naming_convention": "custom"},
        {"custom": ["hello"]},
        {"personas": [{"first_name": "Ada"}]},
        {"personas": "Ada Byron"},
        {"domain_id": "no-id"},
        {"status": "active"},
    ],
)
def test_a_wish_that_makes_no_sense_is_400(ada: Person, changes: dict[str, Any]) -> None:
    answer = Api(ada.token).post(PROVISION, {**requested(ready(ada)), **changes})
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    (field,) = answer.body["error"]["details"]
    assert field.partition(".")[0] in {*changes, "custom"}
    assert not Mailbox.objects.exists()


def test_beyond_the_plan_is_402_with_the_figures(ada: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    assert api.post(PROVISION, requested(domain, 48)).status == 201
    answer = api.post(PROVISION, requested(domain, 3))
    assert (answer.status, answer.error) == (402, "PLAN_LIMIT_EXCEEDED")
    assert answer.body["error"]["details"] == {"limit": 50, "used": 48, "requested": 3}
    assert api.post(PROVISION, requested(domain, 2)).status == 201


def test_who_and_what_is_refused(ada: Person, bo: Person, cy: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    theirs = ready(cy, "theirs.test")
    foreign = api.post(PROVISION, requested(theirs))
    unknown = api.post(PROVISION, {**requested(theirs), "domain_id": str(uuid4())})
    assert (foreign.status, foreign.error) == (404, "DOMAIN_NOT_FOUND")
    assert foreign.raw == unknown.raw
    assert Api(bo.token).post(PROVISION, requested(domain)).error == "FORBIDDEN"
    assert Api().post(PROVISION, requested(domain)).status == 401
    key = create_api_key(ada.actor, name="CI", scopes=["mailboxes:write"]).plain
    refused = Api(key).post(PROVISION, requested(domain))
    assert (refused.status, refused.error) == (403, "SCOPE_MISSING")
    Domain.objects.filter(pk=domain.pk).update(status=Domain.DNS_CONFIGURING)
    early = api.post(PROVISION, requested(domain))
    assert (early.status, early.error) == (409, "DOMAIN_NOT_READY")
    Domain.objects.filter(pk=domain.pk).update(status=Domain.READY)
    Account.objects.create(tenant=ada.tenant, trial_ends_at="2000-01-01T00:00Z")
    over = api.post(PROVISION, requested(domain))
    assert (over.status, over.error) == (403, "TRIAL_EXPIRED")
    assert not Mailbox.objects.exists()


def test_a_key_with_both_scopes_may_provision(ada: Person) -> None:
    scopes = ["mailboxes:write", "mailboxes:reveal"]
    key = Api(create_api_key(ada.actor, name="CI", scopes=scopes).plain)
    answer = key.post(PROVISION, requested(ready(ada)))
    assert answer.status == 201
    path = f"/api/v1/infrastructure/deployment/{answer.body['deployment_id']}"
    assert key.get(path).status == 200
    assert key.get(INBOXES).body["total"] == 3


def test_the_same_key_twice_gives_the_same_passwords_and_one_batch(ada: Person) -> None:
    api, body = Api(ada.token), requested(ready(ada))
    first, second = (api.post(PROVISION, body, key="one") for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.raw == second.raw
    assert Batch.objects.filter(count=3).count() == 1
    assert Mailbox.objects.count() == 3
    assert api.post(PROVISION, {**body, "inbox_count": 4}, key="one").status == 409
    assert api.post(PROVISION, body).status == 201  # without it, it is another wish


# --- The list and its file -------------------------------------------------------------------


def test_inboxes_are_listed(ada: Person, bo: Person, cy: Person) -> None:
    mine = estate(ada, "acme.test", inboxes=3)
    estate(cy, "theirs.test")
    Mailbox.objects.filter(pk=mine.mailboxes[2].pk).update(status=Mailbox.SUSPENDED)
    answer = Api(bo.token).get(INBOXES)
    assert answer.status == 200
    assert set(answer.body) == {"inboxes", "total", "status_breakdown"}
    assert answer.body["total"] == 3
    assert answer.body["status_breakdown"] == {
        "active": 2, "warming": 0, "suspended": 1, "provisioning": 0, "failed": 0, "deleting": 0,
    }  # fmt: skip
    first = answer.body["inboxes"][0]
    created = mine.mailboxes[0].created_at.isoformat().replace("+00:00", "Z")
    assert first == {
        "id": str(mine.mailboxes[0].pk),
        "email": "box0@acme.test",
        "domain": "acme.test",
        "status": "active",
        "health_score": None,
        "daily_sent": 0,
        "daily_limit": 200,
        "created_at": created,
    }


def test_inboxes_are_filtered_and_searched(ada: Person, cy: Person) -> None:
    one, two = estate(ada, "one.test"), estate(ada, "two.test")
    theirs = estate(cy, "theirs.test")
    Mailbox.objects.filter(pk=one.mailboxes[0].pk).update(status=Mailbox.FAILED)
    Mailbox.objects.filter(pk=one.mailboxes[1].pk).update(status=Mailbox.DELETED)
    api = Api(ada.token)

    def found(**query: Any) -> tuple[list[str], dict[str, int]]:
        answer = api.get(INBOXES, query)
        assert answer.status == 200
        assert answer.body["total"] == len(answer.body["inboxes"])
        counts = {name: n for name, n in answer.body["status_breakdown"].items() if n}
        return [row["email"] for row in answer.body["inboxes"]], counts

    assert found() == (
        ["box0@one.test", "box0@two.test", "box1@two.test"],
        {"active": 2, "failed": 1},
    )
    assert found(domain_id=one.domain.pk) == (["box0@one.test"], {"failed": 1})
    assert found(status="failed") == (["box0@one.test"], {"active": 2, "failed": 1})
    assert found(status="failed", domain_id=two.domain.pk) == ([], {"active": 2})
    assert found(search="box1") == (["box1@two.test"], {"active": 1})
    assert found(domain_id=theirs.domain.pk) == ([], {}) == found(domain_id=uuid4())
    for wrong in ({"status": "deleted"}, {"domain_id": "x"}, {"page": 0}):
        assert api.get(INBOXES, wrong).error == "VALIDATION_ERROR"


def test_the_list_of_inboxes_is_two_queries_however_many(
    ada: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = Api(ada.token)
    early_in_a_minute()
    api.get(INBOXES)
    for number, name in ((3, "one.test"), (27, "two.test")):
        estate(ada, name, inboxes=number)
        with django_assert_num_queries(3):  # session, inboxes, what they sent today
            listed = api.get(INBOXES).body
        assert len(listed["inboxes"]) == (3 if number == 3 else 30)
        with django_assert_num_queries(4):  # and the counts of all statuses
            api.get(INBOXES, {"status": "active"})


def test_the_file_of_inboxes_hides_every_password(ada: Person, cy: Person) -> None:
    mine, other = estate(ada, "acme.test"), estate(ada, "other.test")
    estate(cy, "theirs.test")
    api = Api(ada.token)
    answer = api.get(FILE)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="inboxes.csv"'
    text = answer.raw.decode()
    assert text.splitlines()[0] == "email,username,password,smtp_host,smtp_port,smtp_auth,smtp_tls"
    rows = rows_of(text)
    assert len(rows) == 4
    assert {row["password"] for row in rows} == {"***HIDDEN***"}
    assert {(row["smtp_auth"], row["smtp_tls"]) for row in rows} == {("true", "true")}
    assert "Secret" not in text
    assert "theirs.test" not in text

    def emails(**query: Any) -> list[str]:
        return [row["email"] for row in rows_of(api.get(FILE, query).raw.decode())]

    assert emails(domain_id=mine.domain.pk) == ["box0@acme.test", "box1@acme.test"]
    assert emails(deployment_id=other.job.pk) == ["box0@other.test", "box1@other.test"]
    assert api.get(FILE, {"deployment_id": uuid4()}).error == "JOB_NOT_FOUND"
    theirs = Api(cy.token).get(FILE, {"deployment_id": other.job.pk})
    assert theirs.raw == api.get(FILE, {"deployment_id": uuid4()}).raw
