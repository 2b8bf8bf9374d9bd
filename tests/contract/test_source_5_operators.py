"""Source 5, 2 to 4: health, status, tenants, users and customers, over HTTP."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from dnszones.models import Record
from events.models import Event
from mpanel.core import queues
from mpanel.core.actor import ADMIN, OWNER
from provisioning.models import Heartbeat
from tenants.models import Customer, OneTimeCode, ProviderCredential, Session, Tenant, User
from tenants.services import create_api_key, start_session
from tenants.services.operators import (
    activate_tenant,
    change_user,
    make_operator,
    suspend_tenant,
    suspend_user,
)
from tenants.services.operators.grants import LastOperator
from tenants.team.members import LastOwner, change_role, remove_member
from tenants.tokens import access_token, refresh_token
from tests.api import Answer, Api
from tests.cast import Person, helper_of, owner
from tests.processes import at_once
from tests.sandboxes import ROOT
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops(ada: Person) -> Api:
    """Ada, who runs this installation."""
    make_operator(ada.user)
    return Api(ada.token)


# --- Health and status -----------------------------------------------------------------------


def test_health_is_public_and_not_limited(settings: Any) -> None:
    settings.API_PUBLIC_RATE = 1
    for _ in range(5):
        answer = Api().get("/api/health")
        assert (answer.status, answer.body) == (200, {"status": "ok", "service": "mpanel-api"})


def test_health_is_503_without_a_database() -> None:
    call = "import django; django.setup(); from django.test import Client\n"
    call += "answer = Client(headers={'Host': 'localhost'}).get('/api/health')\n"
    call += "print(answer.status_code, answer.json())"
    ran = subprocess.run(
        [sys.executable, "-c", call],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    status, _, body = ran.stdout.partition(" ")
    assert status == "503", ran.stdout
    assert "'code': 'UNAVAILABLE'" in body
    assert "127.0.0.1" not in body


def test_status_tells_what_is_known(ada: Person, django_assert_num_queries: Any) -> None:
    def dependencies() -> dict[str, str]:
        answer = Api(ada.token).get("/api/status")
        assert set(answer.body) == {"service", "version", "uptimeSeconds", "dependencies"}
        assert answer.body["uptimeSeconds"] >= 0
        found: dict[str, str] = answer.body["dependencies"]
        return found

    fine = dict.fromkeys(("database", "dns", "mail", "maillog"), "ok")
    nothing_runs = {**fine, "clock": "down", "queue": "down"}
    assert dependencies() == nothing_runs
    Heartbeat.beat("clock")
    Heartbeat.beat("host:1:abc:jobs", queue=queues.JOBS)
    Heartbeat.beat("host:1:abc:sweeps", queue=queues.SWEEPS)
    assert dependencies()["queue"] == "down"  # nobody sends sign-in codes
    Heartbeat.beat("host:1:abc:urgent", queue=queues.URGENT)
    assert set(dependencies().values()) == {"ok"}

    now = timezone.now()
    OrmQ.objects.create(key="mpanel", payload="x", lock=now - timedelta(minutes=5))
    OneTimeCode.objects.create(email="x@people.test", expires_at=now + timedelta(minutes=5))
    OneTimeCode.objects.update(created_at=now - timedelta(minutes=1))
    records = Record.objects.filter(zone=estate(ada).zone)
    records.update(checked_at=now, next_check_at=now + timedelta(minutes=1))
    one = records.first()
    assert one is not None
    records.exclude(pk=one.pk).update(own={"verdict": "matches"})
    records.filter(pk=one.pk).update(own={"verdict": "unknown"})
    assert dependencies() == {
        "clock": "ok",
        "database": "ok",
        "dns": "degraded",
        "mail": "degraded",
        "maillog": "ok",
        "queue": "degraded",
    }
    records.update(own={"verdict": "unknown"})
    Heartbeat.objects.update(seen_at=now - timedelta(minutes=10))
    found = dependencies()
    assert (found["clock"], found["queue"], found["dns"]) == ("down", "down", "down")
    assert Api().get("/api/status").error == "UNAUTHORIZED"


# --- Tenants ---------------------------------------------------------------------------------


def test_tenants_are_listed_made_and_shown(ops: Api, ada: Person, cy: Person) -> None:
    made = ops.post("/api/tenants", {"name": "Example Tenant", "status": "active"})
    assert made.status == 201
    assert set(made.body) == {"id", "name", "status", "createdAt"}
    assert ops.get(f"/api/tenants/{made.body['id']}").body == made.body
    listed = ops.get("/api/tenants", {"order": "name"}).body
    assert listed["total"] == 3
    assert [row["name"] for row in listed["items"]] == [
        "Example Tenant",
        "ada@people.test",
        "cy@people.test",
    ]
    assert ops.get("/api/tenants", {"search": "cy@"}).body["items"][0]["id"] == str(cy.tenant.pk)
    assert ops.get("/api/tenants", {"page": 2, "pageSize": 2}).body["total"] == 3
    assert len(ops.get("/api/tenants", {"page": 2, "pageSize": 2}).body["items"]) == 1
    assert ops.get("/api/tenants", {"status": "suspended"}).body == {"items": [], "total": 0}
    assert ops.get(f"/api/tenants/{ada.user.pk}").error == "TENANT_NOT_FOUND"
    # It begins with what every tenant has, and its own trail says who made it.
    assert ProviderCredential.objects.filter(tenant_id=made.body["id"], port="dns").count() == 1
    event = Event.objects.get(tenant_id=made.body["id"], action="tenant.created")
    assert (event.user_id, event.actor_name, event.via) == (
        ada.user.pk,
        "ada@people.test",
        "operator",
    )


def test_the_first_owner_of_a_tenant_becomes_its_customer(ops: Api) -> None:
    tenant = ops.post("/api/tenants", {"name": "Empty"}).body
    ops.post("/api/users", user_in(tenant["id"], email="di@people.test", roles=["owner"]))
    ops.post("/api/users", user_in(tenant["id"], email="ed@people.test", roles=["owner"]))
    (customer,) = ops.get("/api/customers", {"search": "Empty"}).body["items"]
    assert (customer["email"], customer["tenantId"]) == ("di@people.test", tenant["id"])


# --- Users -----------------------------------------------------------------------------------


def user_in(tenant_id: Any, **changes: Any) -> dict[str, Any]:
    return {
        "tenantId": str(tenant_id),
        "name": "Di",
        "email": "di@people.test",
        "roles": ["admin"],
        "status": "active",
        **changes,
    }


def test_a_user_is_made_found_changed_and_deleted(ops: Api, ada: Person, cy: Person) -> None:
    made = ops.post("/api/users", user_in(cy.tenant.pk))
    assert made.status == 201
    assert {**made.body, **user_in(cy.tenant.pk)} == made.body
    where = f"/api/users/{made.body['id']}"
    assert ops.get(where).body == made.body
    start_session(User.objects.get(pk=made.body["id"]), kind=Session.API, address="")

    changed = ops.put(where, {"name": "Di D", "email": "DiD@people.test", "roles": ["member"]})
    assert changed.status == 200
    assert (changed.body["email"], changed.body["roles"]) == ("did@people.test", ["member"])
    assert changed.body["status"] == "active"
    assert ops.put(where, {"tenantId": str(ada.tenant.pk)}).error == "VALIDATION_ERROR"
    assert ops.put(where, user_in(cy.tenant.pk)).body == made.body

    assert ops.delete(where).status == 204
    assert ops.get(where).error == "USER_NOT_FOUND"
    assert ops.delete(where).error == "USER_NOT_FOUND"
    trail = Event.objects.filter(tenant=cy.tenant, subject_id=made.body["id"]).order_by("id")
    assert [event.action for event in trail] == [
        "user.created",
        "user.updated",
        "user.updated",
        "user.updated",
        "user.updated",
        "user.deleted",
    ]
    assert {event.user_id for event in trail} == {ada.user.pk}


def test_somebody_who_left_their_only_tenant_is_shown_and_changed(ops: Api, ada: Person) -> None:
    bo = helper_of(ada, "bo")
    remove_member(ada.actor, bo.user.pk)
    where = f"/api/users/{bo.user.pk}"
    shown = ops.get(where).body
    assert (shown["tenantId"], shown["roles"]) == (None, [])
    assert ops.put(where, {"name": "Bo B", "email": "bb@people.test"}).body["name"] == "Bo B"
    assert ops.put(where, {"roles": ["admin"]}).error == "VALIDATION_ERROR"
    assert ops.put(where, {"tenantId": str(ada.tenant.pk)}).error == "VALIDATION_ERROR"
    assert ops.put(where, {"status": "suspended"}).body["status"] == "suspended"
    assert ops.delete(where).status == 204


def test_an_operator_does_not_demote_who_becomes_the_only_owner_meanwhile(
    ada: Person, cy: Person
) -> None:
    make_operator(ada.user)
    di = helper_of(cy, "di", ADMIN)

    def promote(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if Tenant._meta.db_table in sql and not promoted:
            promoted.append(sql)
            change_role(cy.actor, di.user.pk, OWNER)
            remove_member(cy.actor, cy.user.pk)
        return found

    operator = replace(ada.actor, is_operator=True)
    for attempt in (
        partial(change_user, operator, di.user.pk, roles=["member"]),
        partial(suspend_user, operator, di.user.pk),
    ):
        promoted: list[str] = []
        with connection.execute_wrapper(promote), pytest.raises(LastOwner):
            attempt()


def test_users_are_filtered_searched_and_ordered(ops: Api, ada: Person, cy: Person) -> None:
    bo = helper_of(ada, "bo")
    of_ada = ops.get("/api/users", {"tenantId": str(ada.tenant.pk), "order": "email"}).body
    assert [row["email"] for row in of_ada["items"]] == ["ada@people.test", "bo@people.test"]
    assert [row["roles"] for row in of_ada["items"]] == [["owner", "operator"], ["member"]]
    assert ops.get("/api/users", {"search": "CY@"}).body["items"][0]["id"] == str(cy.user.pk)
    assert ops.put(f"/api/users/{bo.user.pk}", {"status": "suspended"}).status == 200
    suspended = ops.get("/api/users", {"status": "suspended"}).body
    assert [row["id"] for row in suspended["items"]] == [str(bo.user.pk)]
    newest = ops.get("/api/users").body["items"]
    assert [row["email"][:2] for row in newest] == ["bo", "cy", "ad"]


def test_an_address_is_taken_once(ops: Api, ada: Person, cy: Person) -> None:
    assert ops.post("/api/users", user_in(ada.tenant.pk, email="CY@people.test")).error == (
        "EMAIL_TAKEN"
    )
    bo = helper_of(ada, "bo")
    taken = ops.put(f"/api/users/{bo.user.pk}", {"email": "cy@people.test"})
    assert (taken.status, taken.error) == (409, "EMAIL_TAKEN")
    nowhere = ops.post("/api/users", user_in(cy.user.pk))
    assert (nowhere.status, nowhere.error) == (404, "TENANT_NOT_FOUND")


@pytest.mark.parametrize(
    "roles", [[], ["operator"], ["owner", "admin"], ["king"], ["member", "king"], "admin", None]
)
def test_roles_that_make_no_sense(ops: Api, ada: Person, roles: Any) -> None:
    answer = ops.post("/api/users", user_in(ada.tenant.pk, roles=roles))
    assert answer.error == "VALIDATION_ERROR"
    assert any(name.startswith("roles") for name in answer.body["error"]["details"])
    assert not User.objects.filter(email="di@people.test").exists()


def test_suspending_a_user_ends_sessions_and_keys_at_once(ops: Api, ada: Person) -> None:
    di = helper_of(ada, "di", "admin")
    key = create_api_key(di.actor, name="CI", scopes=["account:read"]).plain
    renew = {"refreshToken": refresh_token(di.session)}
    assert Api(key).get("/api/auth/me").status == 200
    where = f"/api/users/{di.user.pk}"
    assert ops.put(where, {"status": "suspended"}).body["status"] == "suspended"
    assert Api(key).get("/api/auth/me").error == "INVALID_TOKEN"
    assert Api(di.token).get("/api/auth/me").error == "INVALID_TOKEN"
    assert Api().post("/api/auth/refresh", renew).error == "INVALID_TOKEN"
    assert di.client.get("/overview/").status_code == 302
    told = Event.objects.filter(tenant=ada.tenant, user=ada.user).values_list("action", flat=True)
    assert {"user.suspended", "session.ended", "api_key.revoked"} <= set(told)
    # Active again, they sign in anew; what ended stays so.
    assert ops.put(where, {"status": "active"}).status == 200
    assert Api(key).get("/api/auth/me").error == "INVALID_TOKEN"
    fresh = start_session(User.objects.get(pk=di.user.pk), kind=Session.API, address="")
    assert Api(access_token(fresh)).get("/api/auth/me").status == 200


def test_deleting_a_user_ends_sessions_and_keys_at_once(ops: Api, ada: Person) -> None:
    di = helper_of(ada, "di", "admin")
    key = create_api_key(di.actor, name="CI", scopes=["account:read"]).plain
    token = di.token
    assert ops.delete(f"/api/users/{di.user.pk}").status == 204
    assert Api(key).get("/api/auth/me").error == "INVALID_TOKEN"
    assert Api(token).get("/api/auth/me").error == "INVALID_TOKEN"
    assert di.client.get("/overview/").status_code == 302


def test_a_tenant_keeps_an_owner(ops: Api, cy: Person) -> None:
    where = f"/api/users/{cy.user.pk}"
    for answer in (
        ops.put(where, {"roles": ["member"]}),
        ops.put(where, {"status": "suspended"}),
        ops.delete(where),
    ):
        assert (answer.status, answer.error) == (409, "LAST_OWNER")
    # Somebody who is suspended owns nothing.
    deputy = ops.post("/api/users", user_in(cy.tenant.pk, roles=["owner"], status="suspended")).body
    assert ops.delete(where).error == "LAST_OWNER"
    assert ops.put(f"/api/users/{deputy['id']}", {"status": "active"}).status == 200
    assert ops.delete(where).status == 204


def test_an_operator_remains_and_nobody_removes_themselves(ops: Api, ada: Person) -> None:
    di = helper_of(ada, "di", OWNER)
    mine = f"/api/users/{ada.user.pk}"
    assert ops.delete(mine).error == "NOT_YOURSELF"
    assert ops.put(mine, {"status": "suspended"}).error == "NOT_YOURSELF"
    assert ops.put(mine, {"roles": ["owner"]}).error == "LAST_OPERATOR"
    assert ops.put(f"/api/users/{di.user.pk}", {"roles": ["owner", "operator"]}).status == 200
    assert Event.objects.filter(tenant=ada.tenant, action="operator.granted").count() == 2
    assert ops.put(mine, {"roles": ["owner"]}).body["roles"] == ["owner"]
    assert ops.get(mine).error == "FORBIDDEN"


@pytest.mark.django_db(transaction=True)
def test_of_operators_who_suspend_each_other_at_once_one_remains(ada: Person) -> None:
    crew = [helper_of(ada, f"op{n}", ADMIN) for n in range(4)]
    for one in crew:
        make_operator(one.user)
    actors = [replace(one.actor, is_operator=True) for one in crew]
    pairs = zip(actors, [*crew[1:], crew[0]], strict=True)
    found = at_once(*[partial(suspend_user, actor, other.user.pk) for actor, other in pairs])
    assert [type(one) for one in found].count(LastOperator) == 1
    assert User.objects.filter(is_operator=True, is_active=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_tenants_with_all_operators_one_stays_active(ada: Person, cy: Person) -> None:
    for one in (ada, cy):
        make_operator(one.user)
    mine, theirs = (replace(one.actor, is_operator=True) for one in (ada, cy))
    found = at_once(
        partial(suspend_tenant, mine, cy.tenant.pk), partial(suspend_tenant, theirs, ada.tenant.pk)
    )
    assert sorted(type(one).__name__ for one in found) == ["LastOperator", "Tenant"]
    assert Tenant.objects.filter(status=Tenant.ACTIVE).count() == 1


def test_a_key_makes_no_operators_and_moves_nobodys_codes(
    ops: Api, ada: Person, bo: Person
) -> None:
    actor = replace(ada.actor, is_operator=True)
    key = Api(create_api_key(actor, name="Ops", scopes=["operator"]).plain)
    where = f"/api/users/{bo.user.pk}"
    for answer in (
        key.post("/api/users", user_in(ada.tenant.pk, roles=["member", "operator"])),
        key.put(where, {"roles": ["member", "operator"]}),
        key.put(where, {"email": "eve@people.test"}),
    ):
        assert (answer.status, answer.error) == (403, "PERSON_NEEDED")
    same = {"name": "Bo", "email": "Bo@people.test", "roles": ["member"]}
    assert key.put(where, same).body["name"] == "Bo"
    assert key.post("/api/users", user_in(ada.tenant.pk)).status == 201


def test_the_command_makes_and_removes_operators(ada: Person, cy: Person) -> None:
    for _ in range(2):
        call_command("operator", "Ada@people.test", stdout=StringIO())
    assert Event.objects.filter(action="operator.granted").count() == 1
    assert Api(ada.token).get("/api/tenants").status == 200
    with pytest.raises(CommandError, match="last operator"):
        call_command("operator", "ada@people.test", "--remove")
    with pytest.raises(CommandError, match="Nobody signed up"):
        call_command("operator", "nobody@people.test")
    call_command("operator", "cy@people.test", stdout=StringIO())
    call_command("operator", "ada@people.test", "--remove", stdout=StringIO())
    assert Api(ada.token).get("/api/tenants").error == "FORBIDDEN"


# --- Customers -------------------------------------------------------------------------------

NEW = {
    "name": "John Doe",
    "email": "john@example.com",
    "phone": "+1-555-1234",
    "address": {
        "line1": "123 Main St",
        "city": "Miami",
        "state": "FL",
        "postalCode": "33101",
        "country": "US",
    },
}


def test_a_customer_is_made_with_a_tenant_that_they_own(ops: Api, ada: Person) -> None:
    made = ops.post("/api/customers", NEW)
    assert made.status == 201
    expected = {**NEW, "address": {"line2": "", **NEW["address"]}, "status": "active"}  # type: ignore[dict-item]
    assert {**made.body, **expected} == made.body
    assert set(made.body) - set(expected) == {"id", "tenantId", "createdAt"}
    owner_row = User.objects.get(email="john@example.com")
    membership = owner_row.memberships.get()
    assert (str(membership.tenant_id), membership.role) == (made.body["tenantId"], OWNER)
    session = start_session(owner_row, kind=Session.API, address="")
    assert Api(access_token(session)).get("/api/auth/me").body["roles"] == ["owner"]
    again = ops.post("/api/customers", NEW)
    assert (again.status, again.error) == (409, "EMAIL_TAKEN")
    assert ops.post("/api/customers", {**NEW, "email": "ADA@people.test"}).error == "EMAIL_TAKEN"
    actions = Event.objects.filter(tenant_id=made.body["tenantId"]).values_list("action", "user_id")
    assert ("customer.created", ada.user.pk) in actions


def test_customers_are_found_and_changed(ops: Api, ada: Person, cy: Person) -> None:
    made = ops.post("/api/customers", NEW).body
    where = f"/api/customers/{made['id']}"
    assert ops.get(where).body == made
    assert ops.get("/api/customers", {"search": "555-1234"}).body["items"] == [made]
    listed = ops.get("/api/customers", {"order": "email"}).body
    assert [row["email"][:3] for row in listed["items"]] == ["ada", "cy@", "joh"]

    changed = ops.put(where, {"email": "accounts@example.com", "address": {"country": "CA"}}).body
    assert changed["email"] == "accounts@example.com"
    assert (changed["address"]["country"], changed["address"]["city"]) == ("CA", "")
    assert changed["name"] == "John Doe"
    assert User.objects.filter(email="john@example.com").exists()
    event = Event.objects.get(tenant_id=made["tenantId"], action="customer.updated")
    assert event.changes == {"fields": ["email", "address"]}
    refused = ops.put(where, {"address": {"country": "Canada"}})
    assert list(refused.body["error"]["details"]) == ["address.country"]

    mine = Customer.objects.get(tenant=ada.tenant)
    assert ops.put(f"/api/customers/{mine.pk}", {"status": "suspended"}).error == "NOT_YOURSELF"
    assert ops.put(where, {"status": "suspended"}).body["status"] == "suspended"
    assert ops.get(f"/api/tenants/{made['tenantId']}").body["status"] == "suspended"
    assert ops.get("/api/customers", {"status": "suspended"}).body["total"] == 1
    assert ops.get(f"/api/customers/{made['tenantId']}").error == "CUSTOMER_NOT_FOUND"


# --- Who may ---------------------------------------------------------------------------------


def test_for_others_all_of_this_is_403_whatever_the_id(ada: Person, cy: Person) -> None:
    ids = {"tenants": ada.tenant.pk, "users": ada.user.pk, "customers": ada.tenant.customer.pk}
    api = Api(ada.token)
    for noun, own in ids.items():
        refused: list[Answer] = [api.get(f"/api/{noun}"), api.post(f"/api/{noun}", {})]
        for some in (own, cy.user.pk):
            refused.append(api.get(f"/api/{noun}/{some}"))
            if noun != "tenants":
                refused.append(api.put(f"/api/{noun}/{some}", {}))
        refused.append(api.get(f"/api/{noun}", {"page": "x"}))
        assert {(answer.status, answer.error) for answer in refused} == {(403, "FORBIDDEN")}
    assert api.delete(f"/api/users/{cy.user.pk}").status == 403


def test_a_key_needs_the_scope(ops: Api, ada: Person) -> None:
    other = sorted({"account:read", "audit:read"})
    key = create_api_key(ada.actor, name="x", scopes=other).plain
    assert Api(key).get("/api/tenants").error == "SCOPE_MISSING"
    actor = replace(ada.actor, is_operator=True)
    made = create_api_key(actor, name="Ops", scopes=["operator"])
    assert Api(made.plain).get("/api/tenants").status == 200
    tenant = Api(made.plain).post("/api/tenants", {"name": "By key"}).body
    event = Event.objects.get(tenant_id=tenant["id"], action="tenant.created")
    assert event.via == "operator (API key “Ops”)"


def test_people_of_a_suspended_tenant_are_refused_everywhere(ops: Api, ada: Person) -> None:
    cy = owner("cy")
    key = create_api_key(cy.actor, name="x", scopes=["account:read"]).plain
    renew = {"refreshToken": refresh_token(cy.session)}
    operator = replace(ada.actor, is_operator=True)
    suspend_tenant(operator, cy.tenant.pk)

    for api in (Api(key), Api(cy.token)):
        assert api.get("/api/auth/me").error == "ACCOUNT_CLOSED"
    assert Api().post("/api/auth/refresh", renew).error == "ACCOUNT_CLOSED"
    by_cookie = cy.client.get("/api/auth/me")
    assert (by_cookie.status_code, by_cookie.json()["error_code"]) == (403, "ACCOUNT_CLOSED")
    for page in ("/overview/", "/domains/", "/settings/profile/"):
        assert cy.client.get(page).status_code == 403
        assert cy.client.get(page, headers={"HX-Request": "true"}).status_code == 403
    assert cy.client.get("/").status_code == 200
    assert Client().get("/sign-in/").status_code == 200

    activate_tenant(operator, cy.tenant.pk)
    assert Api(key).get("/api/auth/me").status == 200
    assert Api().post("/api/auth/refresh", renew).status == 200
    assert cy.client.get("/overview/").status_code == 200
    assert Tenant.objects.get(pk=cy.tenant.pk).status == Tenant.ACTIVE


@pytest.mark.parametrize("noun", ["tenants", "users", "customers"])
def test_lists_cost_the_same_for_3_and_30(
    ops: Api, django_assert_num_queries: Any, noun: str
) -> None:
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            ops.post("/api/customers", {**NEW, "email": f"c{number}@example.com"})

    grow(0, 2)
    # Who asks, how many there are, and the page.
    with django_assert_num_queries(3):
        assert len(ops.get(f"/api/{noun}", {"pageSize": 100}).body["items"]) == 3
    grow(2, 29)
    with django_assert_num_queries(3):
        assert len(ops.get(f"/api/{noun}", {"pageSize": 100}).body["items"]) == 30
