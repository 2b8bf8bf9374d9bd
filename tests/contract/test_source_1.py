"""Source 1 over HTTP: domains, provisioning, inboxes, their CSV, deployments."""

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from domains.models import Domain, Registration
from tenants.models import ProviderCredential
from tests.api import Api
from tests.cast import Person
from tests.domains.test_registration import ADA as CONTACT
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate
from tests.work import until

pytestmark = pytest.mark.django_db
DOMAINS, REGISTER = "/api/v1/domains", "/api/v1/domains/register"


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
