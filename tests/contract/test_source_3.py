"""Source 3 over HTTP: connecting, nameservers, DNS, propagation, SPF, e-mail accounts."""

from typing import Any
from uuid import uuid4

import pytest

from domains.models import Domain
from domains.registrars import REGISTRARS
from mpanel.core.api.errors import error_body
from provisioning.models import Job
from tenants.models import ProviderCredential
from tenants.services import create_api_key
from tests.api import Answer, Api
from tests.cast import Person
from tests.sandboxes import DNS_ADDRESSES, RunningSandbox
from tests.stories import connected
from tests.wizard.rows import estate
from tests.work import work_off

pytestmark = pytest.mark.django_db
CONNECT, VERIFY = "/api/v1/domains/connect", "/api/v1/domains/verify-nameservers"
DOMAIN = {
    "id", "domain", "provider", "assigned_nameservers", "verification_status", "last_verified_at",
    "is_active", "notes", "status", "health_score", "created_at", "updated_at",
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
        "instructions": list(REGISTRARS["godaddy"].steps),
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
