"""Source 3 over HTTP: connecting, nameservers, DNS, propagation, SPF, e-mail accounts."""

from typing import Any
from uuid import uuid4

import pytest

from domains.models import Domain
from domains.registrars import REGISTRARS
from events.models import Event
from mailboxes.models import Batch, Mailbox
from mailboxes.services import provision_mailboxes
from mailboxes.states import PasswordsAreHashed
from mpanel.core.api.errors import error_body
from mpanel.core.registry import all_providers
from provisioning.models import Job
from tenants.models import ProviderCredential
from tenants.services import create_api_key
from tests.api import Answer, Api
from tests.cast import Person
from tests.contract.test_source_1 import ready
from tests.mailboxes.test_services import can_log_in
from tests.sandboxes import DNS_ADDRESSES, RunningSandbox
from tests.stories import connected
from tests.wizard.rows import estate
from tests.work import until, work_off

pytestmark = pytest.mark.django_db
CONNECT, VERIFY = "/api/v1/domains/connect", "/api/v1/domains/verify-nameservers"
ACCOUNTS, BATCH = "/api/v1/email-accounts", "/api/v1/email-accounts/batch"
DOMAIN = {
    "id", "domain", "provider", "assigned_nameservers", "verification_status", "last_verified_at",
    "is_active", "notes", "status", "health_score", "created_at", "updated_at",
    "zone_complete",
}  # fmt: skip


def at(domain: Domain, *rest: str) -> str:
    return "/".join(["/api/v1/domains", str(domain.pk), *rest])


# --- Connecting ------------------------------------------------------------------------------


def test_a_domain_is_connected(ada: Person, sandbox: RunningSandbox) -> None:
    api = Api(ada.token)
    wish = {"domain": "https://www.Example.test/", "provider": "godaddy", "notes": "For sales."}
    answer = api.post(CONNECT, wish)
    assert answer.status == 201, answer.body
    assert set(answer.body) == {"domain", "nameserver_instructions", "deployment_id"}
    domain = answer.body["domain"]
    assert set(domain) == DOMAIN
    assert (domain["domain"], domain["provider"]) == ("example.test", "godaddy")
    assert (domain["notes"], domain["is_active"]) == ("For sales.", True)
    assert (domain["status"], domain["verification_status"]) == ("pending", "pending")
    assert domain["assigned_nameservers"] == []
    assert (domain["last_verified_at"], domain["health_score"]) == (None, None)
    assert answer.body["nameserver_instructions"] is None

    path = f"/api/v1/domains/{domain['id']}"
    early = api.get(f"{path}/nameserver-instructions")
    assert (early.status, early.error) == (409, "NAMESERVERS_NOT_ASSIGNED")
    work_off()  # the zone is made
    now = api.get(path).body
    assert now["verification_status"] == now["status"] == "pending_nameservers"
    assert len(now["assigned_nameservers"]) == 2
    shown = api.get(f"{path}/nameserver-instructions")
    assert shown.status == 200
    assert shown.body == {
        "provider": "godaddy",
        "provider_name": "GoDaddy",
        "nameservers": now["assigned_nameservers"],
        "instructions": [
            step.format(dns_provider="Cloudflare") for step in REGISTRARS["godaddy"].steps
        ],
        "documentation_url": REGISTRARS["godaddy"].documentation_url,
        "estimated_propagation_time": "15-30 minutes",
    }
    job = Job.objects.get(pk=answer.body["deployment_id"])
    assert job.workflow == "domains.connect"


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"domain": ""},
        {"domain": "not a domain"},
        {"domain": "127.0.0.1"},
        {"domain": "sub.example.test"},
        {"domain": "example.test", "provider": "elsewhere"},
        {"domain": "example.test", "notes": "x" * 2001},
        {"domain": "example.test", "status": "ready"},
        {"domain": "example.test", "credential_id": 5},
    ],
)
def test_bad_wishes_are_told_by_field(ada: Person, wish: dict[str, Any]) -> None:
    answer = Api(ada.token).post(CONNECT, wish)
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    (field,) = answer.body["error"]["details"]
    assert field == ([*wish, "domain"][-1 if len(wish) == 0 else len(wish) - 1])
    assert not Domain.objects.exists()


def test_what_stands_against_connecting(ada: Person, bo: Person, cy: Person) -> None:
    api, wish = Api(ada.token), {"domain": "example.test"}
    assert api.post(CONNECT, wish).status == 201
    again = api.post(CONNECT, wish)
    assert (again.status, again.error) == (409, "DOMAIN_ALREADY_CONNECTED")
    assert Api(bo.token).post(CONNECT, {"domain": "other.test"}).error == "FORBIDDEN"
    estate(cy, "theirs.test")
    assert api.post(CONNECT, {"domain": "theirs.test"}).error == "DOMAIN_TAKEN"
    foreign = {"domain": "other.test", "credential_id": str(cy.credential.pk)}
    assert api.post(CONNECT, foreign).error == "CREDENTIAL_NOT_FOUND"
    ProviderCredential.objects.filter(tenant=cy.tenant, port="dns").update(port="registrar")
    none = Api(cy.token).post(CONNECT, {"domain": "other.test"})
    assert (none.status, none.error) == (409, "DNS_NOT_CONNECTED")
    for number in range(4):
        assert api.post(CONNECT, {"domain": f"d{number}.test"}).status == 201
    more = api.post(CONNECT, {"domain": "more.test"})
    assert (more.status, more.error) == (402, "PLAN_LIMIT_EXCEEDED")


def test_a_domain_is_seen_by_its_own_only(ada: Person, bo: Person, cy: Person) -> None:
    domain = estate(ada).domain
    shown = Api(bo.token).get(at(domain))
    assert shown.status == 200
    assert shown.body["verification_status"] == "verified"
    assert shown.body["last_verified_at"] is not None
    foreign, unknown = (
        Api(cy.token).get(at(domain)),
        Api(cy.token).get(f"/api/v1/domains/{uuid4()}"),
    )
    assert (foreign.status, foreign.error) == (404, "DOMAIN_NOT_FOUND")
    assert foreign.raw == unknown.raw


# --- Nameservers -----------------------------------------------------------------------------


def verified(api: Api, domain: Domain) -> Answer:
    answer = api.post(at(domain, "verify-nameservers"), {})
    assert answer.status == 200, answer.body
    assert set(answer.body) == {
        "is_verified", "current_nameservers", "expected_nameservers", "message", "checked_at",
        "domain",
    }  # fmt: skip
    assert set(answer.body["domain"]) == DOMAIN
    return answer


def test_nameservers_are_verified(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), connected(ada, "example.test")
    wanted = sorted(domain.nameservers)
    sandbox.set_nameservers(domain.name, ["ns1.elsewhere.test", "ns2.elsewhere.test"])
    still = verified(api, domain).body
    assert still["is_verified"] is False
    assert still["current_nameservers"] == ["ns1.elsewhere.test", "ns2.elsewhere.test"]
    assert still["expected_nameservers"] == wanted
    assert "ns1.elsewhere.test" in still["message"]

    sandbox.set_nameservers(domain.name)
    seen = verified(api, domain).body
    assert (seen["is_verified"], seen["current_nameservers"]) == (True, wanted)
    work_off()  # the job that waits was woken, and moves the domain on
    shown = api.get(at(domain)).body
    assert shown["status"] == shown["verification_status"] == "verified"
    assert shown["last_verified_at"] is not None


def test_who_is_not_reached_says_nothing_about_the_domain(
    ada: Person, sandbox: RunningSandbox
) -> None:
    domain = connected(ada, "example.test")
    sandbox.set_nameservers(domain.name)
    for address in DNS_ADDRESSES:
        sandbox.set_server(address, "down")
    seen = verified(Api(ada.token), domain).body
    assert (seen["is_verified"], seen["current_nameservers"]) == (False, [])
    assert "says nothing about the domain" in seen["message"]


def test_a_zone_that_is_being_made_has_nothing_to_verify(ada: Person) -> None:
    domain = estate(ada).domain
    Domain.objects.update(nameservers=[], verified_at=None, status="pending")
    seen = verified(Api(ada.token), domain).body
    assert (seen["is_verified"], seen["expected_nameservers"]) == (False, [])
    assert "being made" in seen["message"]


def test_a_key_that_may_only_read_may_verify(ada: Person, sandbox: RunningSandbox) -> None:
    domain = connected(ada, "example.test")
    key = create_api_key(ada.actor, name="CI", scopes=["domains:read"]).plain
    verified(Api(key), domain)


def test_several_domains_are_verified_in_their_order(
    ada: Person, cy: Person, sandbox: RunningSandbox
) -> None:
    one, two = connected(ada, "one.test"), connected(ada, "two.test")
    theirs = estate(cy, "theirs.test").domain
    sandbox.set_nameservers(two.name)
    ids = [str(two.pk), str(theirs.pk), str(one.pk), str(uuid4()), str(two.pk)]
    answer = Api(ada.token).post(VERIFY, {"domain_ids": ids})
    assert answer.status == 200
    rows = answer.body["results"]
    assert [row["domain_id"] for row in rows] == ids
    assert [row.get("is_verified") for row in rows] == [True, None, False, None, True]
    foreign, unknown = rows[1], rows[3]
    missing = error_body(404, "DOMAIN_NOT_FOUND", "There is no such domain in your account.")
    assert foreign == {"domain_id": ids[1], "error": missing["error"]}
    assert unknown == {**foreign, "domain_id": ids[3]}


def test_fifty_domains_at_most(ada: Person) -> None:
    api = Api(ada.token)
    for ids in ([], [str(uuid4())] * 51, ["x"], "x", [5]):
        assert api.post(VERIFY, {"domain_ids": ids}).error == "VALIDATION_ERROR"
    assert api.post(VERIFY, {"domain_ids": [str(uuid4())] * 50}).status == 200


# --- E-mail accounts -------------------------------------------------------------------------


def account(domain: Domain, username: str = "john", **more: Any) -> dict[str, Any]:
    names = {"first_name": "John", "last_name": "Doe"}
    return {"domain_id": str(domain.pk), "username": username, **names, **more}


@pytest.mark.django_db(transaction=True)
def test_an_email_account_is_made_and_logs_in(ada: Person, sandbox: RunningSandbox) -> None:
    api, domain = Api(ada.token), ready(ada)
    answer = api.post(ACCOUNTS, account(domain, "John.Doe"))
    assert answer.status == 201, answer.body
    assert set(answer.body) == {"id", "email", "status", "deployment_id", "credentials"}
    assert (answer.body["email"], answer.body["status"]) == ("john.doe@acme.test", "provisioning")
    credentials = answer.body["credentials"]
    assert set(credentials) == {"email", "password", "smtp", "imap"}
    for login in (credentials["smtp"], credentials["imap"]):
        assert set(login) == {"host", "port", "username", "password", "use_tls"}
        assert login["username"] == "john.doe@acme.test"
        assert login["password"] == credentials["password"]
        assert login["use_tls"] is True
    path = f"/api/v1/infrastructure/deployment/{answer.body['deployment_id']}"
    until(lambda: api.get(path).body["status"] not in {"pending", "in_progress"})
    assert api.get(path).body["status"] == "provisioned"
    assert can_log_in(sandbox, "john.doe@acme.test", credentials["password"])
    again = api.get(f"{ACCOUNTS}/{answer.body['id']}/credentials")
    assert again.status == 200
    assert again.body == credentials


@pytest.mark.django_db(transaction=True)
def test_a_password_that_was_given_is_the_one(ada: Person, sandbox: RunningSandbox) -> None:
    chosen = "correct horse, battery!"
    answer = Api(ada.token).post(ACCOUNTS, account(ready(ada), password=chosen))
    assert answer.status == 201, answer.body
    assert answer.body["credentials"]["password"] == chosen
    mailbox = Mailbox.objects.get()
    assert chosen not in str(list(Mailbox.objects.values()))
    until(lambda: not Mailbox.objects.unverified().exists())
    mailbox.refresh_from_db()
    assert mailbox.status == Mailbox.ACTIVE, mailbox.error_message
    assert can_log_in(sandbox, mailbox.address, chosen)


def test_a_given_password_is_never_kept_as_a_fast_digest(ada: Person) -> None:
    """Only passwords that nobody can guess may be (docs/decisions/0003)."""
    api, domain = Api(ada.token), ready(ada)
    for name in ("one", "two"):
        assert api.post(ACCOUNTS, account(domain, name, password="chosen by me")).status == 201
    for batch in Batch.objects.exclude(count=0):
        PasswordsAreHashed().apply(batch)
    rows = Mailbox.objects.all()
    assert {(row.password_hash[:4], row.proof_digest) for row in rows} == {("$2b$", "")}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"username": "jo hn"}, "INVALID_USERNAME", "username"),
        ({"username": "john@acme.test"}, "INVALID_USERNAME", "username"),
        ({"username": "j" * 65}, "INVALID_USERNAME", "username"),
        ({"username": "=cmd"}, "INVALID_USERNAME", "username"),
        ({"username": ""}, "VALIDATION_ERROR", "username"),
        ({"username": 5}, "VALIDATION_ERROR", "username"),
        ({"password": "short"}, "VALIDATION_ERROR", "password"),
        ({"password": "x" * 73}, "VALIDATION_ERROR", "password"),
        ({"password": "tab\tin the middle"}, "VALIDATION_ERROR", "password"),
        ({"password": "pässwörd of twelve"}, "VALIDATION_ERROR", "password"),
        ({"password": "=HYPERLINK(1,2)"}, "VALIDATION_ERROR", "password"),
        ({"first_name": "x" * 61}, "VALIDATION_ERROR", "first_name"),
        ({"last_name": "a\nb"}, "VALIDATION_ERROR", "last_name"),
        ({"organization_unit": "/sales"}, "VALIDATION_ERROR", "organization_unit"),
        ({"provider": "odd"}, "VALIDATION_ERROR", "provider"),
        ({"role": "owner"}, "VALIDATION_ERROR", "role"),
    ],
)
def test_accounts_that_cannot_be(
    ada: Person, changes: dict[str, Any], code: str, field: str
) -> None:
    answer = Api(ada.token).post(ACCOUNTS, {**account(ready(ada)), **changes})
    assert (answer.status, answer.error) == (400, code)
    assert list(answer.body["error"]["details"]) == [field]
    assert not Mailbox.objects.exists()


def test_a_provider_that_nobody_installed_is_not_connected(ada: Person) -> None:
    assert ("mail", "microsoft-365") not in all_providers(), "it is there: change this test"
    answer = Api(ada.token).post(ACCOUNTS, account(ready(ada), provider="microsoft-365"))
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    assert "not connected yet" in answer.body["error"]["message"]


def test_what_stands_against_an_account(ada: Person, bo: Person, cy: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    assert api.post(ACCOUNTS, account(domain)).status == 201
    again = api.post(ACCOUNTS, account(domain, "JOHN"))
    assert (again.status, again.error) == (409, "USER_ALREADY_EXISTS")
    Mailbox.objects.update(status=Mailbox.DELETED)
    assert api.post(ACCOUNTS, account(domain)).error == "USER_ALREADY_EXISTS"
    foreign = api.post(ACCOUNTS, account(ready(cy, "theirs.test")))
    unknown = api.post(ACCOUNTS, {**account(domain), "domain_id": str(uuid4())})
    assert (foreign.status, foreign.error) == (404, "DOMAIN_NOT_FOUND")
    assert foreign.raw == unknown.raw
    assert Api(bo.token).post(ACCOUNTS, account(domain, "bo")).error == "FORBIDDEN"
    key = create_api_key(ada.actor, name="CI", scopes=["mailboxes:write"]).plain
    assert Api(key).post(ACCOUNTS, account(domain, "ci")).error == "SCOPE_MISSING"
    Domain.objects.filter(pk=domain.pk).update(status=Domain.VERIFIED)
    assert api.post(ACCOUNTS, account(domain, "early")).error == "DOMAIN_NOT_READY"


def test_one_bad_row_blocks_no_other_and_the_limit_holds(ada: Person) -> None:
    api, domain = Api(ada.token), ready(ada)
    provision_mailboxes(ada.actor, domain.pk, count=47, convention="firstname")
    accounts = [
        account(domain, "one.more"),
        account(domain, "not valid"),
        {**account(domain, "nowhere"), "domain_id": str(uuid4())},
        account(domain, "two.more"),
        account(domain, "one.more"),
    ]
    answer = api.post(BATCH, {"accounts": accounts})
    assert answer.status == 200
    assert set(answer.body) == {"success", "results", "summary"}
    results = answer.body["results"]
    assert [row["success"] for row in results] == [True, False, False, True, False]
    assert answer.body["summary"] == {"total": 5, "successful": 2, "failed": 3}
    assert answer.body["success"] is False
    assert results[0]["email_account"]["email"] == "one.more@acme.test"
    codes = [row["error"]["code"] for row in results if not row["success"]]
    assert codes == ["INVALID_USERNAME", "DOMAIN_NOT_FOUND", "USER_ALREADY_EXISTS"]

    last = api.post(BATCH, {"accounts": [account(domain, f"last.{n}") for n in range(3)]}).body
    assert [row["success"] for row in last["results"]] == [True, False, False]
    error = last["results"][2]["error"]
    assert error["code"] == "PLAN_LIMIT_EXCEEDED"
    assert error["details"] == {"limit": 50, "used": 50, "requested": 1}
    assert Mailbox.objects.count() == 50
    for wrong in ([], [account(domain)] * 6, [5], [{"username": "x"}], "x"):
        assert api.post(BATCH, {"accounts": wrong}).error == "VALIDATION_ERROR"


def test_the_same_key_makes_no_second_account(ada: Person) -> None:
    api, body = Api(ada.token), account(ready(ada))
    first, second = (api.post(ACCOUNTS, body, key="one") for _ in range(2))
    assert (first.status, first.raw) == (201, second.raw)
    rows = {"accounts": [{**body, "username": "jane"}, {**body, "username": "not valid"}]}
    first, second = (api.post(BATCH, rows, key="two") for _ in range(2))
    assert (first.status, first.raw) == (200, second.raw)
    assert Mailbox.objects.count() == 2


def test_credentials_are_revealed_to_those_who_may_and_recorded(
    ada: Person, bo: Person, cy: Person
) -> None:
    mailbox = estate(ada).mailboxes[0]
    path = f"{ACCOUNTS}/{mailbox.pk}/credentials"
    key = create_api_key(ada.actor, name="CI", scopes=["mailboxes:reveal"]).plain
    shown = Api(key).get(path)
    assert shown.status == 200
    assert shown.body["password"] == mailbox.password()
    assert shown.headers["Cache-Control"] == "no-store, private"
    event = Event.objects.get(action="password.revealed")
    assert (event.subject_id, event.via) == (mailbox.pk, "API key “CI”")
    assert mailbox.password() not in str(vars(event))
    mailbox.refresh_from_db()
    assert mailbox.revealed_at is not None

    less = create_api_key(ada.actor, name="CI", scopes=["mailboxes:write"]).plain
    assert Api(less).get(path).error == "SCOPE_MISSING"
    assert Api(bo.token).get(path).error == "FORBIDDEN"
    foreign, unknown = (
        Api(cy.token).get(path),
        Api(cy.token).get(f"{ACCOUNTS}/{uuid4()}/credentials"),
    )
    assert (foreign.status, foreign.error) == (404, "MAILBOX_NOT_FOUND")
    assert foreign.raw == unknown.raw
    browser = ada.client.get(path)  # whoever finds it open has no code
    assert (browser.status_code, browser.json()["error_code"]) == (403, "TOKEN_NEEDED")
    assert Event.objects.filter(action="password.revealed").count() == 1
