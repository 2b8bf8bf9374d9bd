"""Notifications, webhooks and the audit log over JSON, as integrators use them."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Event, Notification, WebhookDelivery, WebhookEndpoint
from events.relay import relay
from events.selectors import preferences
from events.services import create_webhook, record
from tenants.services import create_api_key
from tests.api import Answer, Api
from tests.cast import Person
from tests.events.receiver import Receiver
from tests.work import work_off

pytestmark = pytest.mark.django_db
NOTIFICATIONS, WEBHOOKS, AUDIT = "/api/v1/notifications", "/api/v1/webhooks", "/api/audit"
KIND = "mailboxes.proved"
URL = "https://hooks.example.com/mpanel"


def happen(person: Person, number: int = 1, action: str = KIND) -> None:
    for one in range(number):
        record(person.actor, action, person.tenant, f"Number {one}.", changes={"n": one})
    relay()


def texts(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [row["text"] for row in answer.body["items"]]


# --- Notifications ---------------------------------------------------------------------------


def test_notifications_are_listed_filtered_ordered_and_paged(
    ada: Person, bo: Person, cy: Person
) -> None:
    happen(ada, 3)
    happen(cy)
    api = Api(ada.token)
    listed = api.get(NOTIFICATIONS, {"kind": KIND})
    assert set(listed.body) == {"items", "total", "page", "page_size"}
    assert (listed.body["total"], listed.body["page"], listed.body["page_size"]) == (3, 1, 20)
    assert texts(listed) == ["Number 2.", "Number 1.", "Number 0."]
    assert set(listed.body["items"][0]) == {
        "id", "kind", "title", "text", "link", "created_at", "read_at",
    }  # fmt: skip
    assert texts(api.get(NOTIFICATIONS, {"kind": KIND, "order": "created_at"}))[0] == "Number 0."
    second = api.get(NOTIFICATIONS, {"kind": KIND, "page": 2, "page_size": 2})
    assert texts(second) == ["Number 0."]
    assert len(Api(bo.token).get(NOTIFICATIONS, {"kind": KIND}).body["items"]) == 3
    for bad in ({"unread": "perhaps"}, {"page": 0}, {"order": "title"}, {"colour": "red"}):
        assert api.get(NOTIFICATIONS, bad).error == "VALIDATION_ERROR"


def test_notifications_are_marked_as_read(ada: Person, cy: Person) -> None:
    happen(ada, 3)
    api = Api(ada.token)
    ids = [row["id"] for row in api.get(NOTIFICATIONS, {"kind": KIND}).body["items"]]
    strange = Api(cy.token).post(f"{NOTIFICATIONS}/mark-read", {"ids": ids})
    assert strange.body == {"data": {"marked": 0}}
    answer = api.post(f"{NOTIFICATIONS}/mark-read", {"ids": [ids[0], str(uuid4())]})
    assert (answer.status, answer.body) == (200, {"data": {"marked": 1}})
    unread = api.get(NOTIFICATIONS, {"unread": "true", "kind": KIND})
    assert [row["id"] for row in unread.body["items"]] == ids[1:]
    left = api.get(NOTIFICATIONS, {"unread": "true"}).body["total"]
    assert api.post(f"{NOTIFICATIONS}/mark-all-read").body == {"data": {"marked": left}}
    assert api.get(NOTIFICATIONS, {"unread": "true"}).body["total"] == 0
    refused: list[Any] = [{}, {"ids": []}, {"ids": ["x"]}, {"ids": "x"}, {"ids": ids, "all": True}]
    for bad in refused:
        assert api.post(f"{NOTIFICATIONS}/mark-read", bad).error == "VALIDATION_ERROR"


def test_preferences_are_read_and_changed(ada: Person, bo: Person) -> None:
    api = Api(ada.token)
    told = api.get(f"{NOTIFICATIONS}/settings").body["data"]["preferences"]
    assert told[KIND] == {"label": "Provisioning finished", "in_app": True, "email": True}
    answer = api.patch(f"{NOTIFICATIONS}/settings", {"preferences": {KIND: {"email": False}}})
    assert answer.body["data"]["preferences"][KIND]["email"] is False
    assert preferences(ada.actor)[KIND].in_app
    assert preferences(bo.actor)[KIND].email
    refused: list[Any] = [
        {"preferences": {"nothing": {"email": True}}},
        {"preferences": {KIND: {"email": "no"}}},
        {"preferences": {KIND: {"sms": True}}},
        {"preferences": []},
        {"email": True},
    ]
    for bad in refused:
        assert api.patch(f"{NOTIFICATIONS}/settings", bad).error == "VALIDATION_ERROR"


# --- Webhooks --------------------------------------------------------------------------------


def test_a_webhook_lives_its_life(ada: Person, receiver: Receiver) -> None:
    api = Api(ada.token)
    made = api.post(
        WEBHOOKS, {"url": receiver.url(), "actions": ["mailbox.*"], "description": "Ours"}
    )
    assert made.status == 201
    webhook = made.body["data"]
    secret, path = webhook.pop("secret"), f"{WEBHOOKS}/{webhook['id']}"
    assert webhook["enabled"] is True
    listed = api.get(WEBHOOKS)
    assert listed.body["items"] == [webhook]
    assert secret.encode() not in listed.raw

    sent = api.post(f"{path}/test")
    assert sent.status == 202
    work_off()
    (taken,) = receiver.taken
    assert taken.verified(secret)["data"]["id"] == sent.body["data"]["event_id"]
    (delivery,) = api.get(f"{path}/deliveries").body["items"]
    assert (delivery["status"], delivery["last_status"]) == ("delivered", 200)
    assert (delivery["message_id"], delivery["action"]) == (taken.id, "webhook.tested")
    assert delivery["next_attempt_at"] is None
    assert api.get(f"{path}/deliveries", {"status": "failed"}).body["items"] == []

    again = api.post(f"{path}/deliveries/{delivery['id']}/redeliver")
    assert (again.status, again.body["data"]["status"]) == (202, "pending")
    assert again.body["data"]["next_attempt_at"]
    work_off()
    assert [one.id for one in receiver.taken] == [taken.id] * 2

    rotated = api.post(f"{path}/rotate-secret").body["data"]
    assert rotated["secret"] != secret
    assert rotated["previous_until"]

    off = api.patch(path, {"enabled": False}).body["data"]
    assert (off["enabled"], off["disabled_reason"]) == (
        False,
        f"Switched off by {ada.user.email}.",
    )
    assert api.post(f"{path}/test").error == "WEBHOOK_DISABLED"
    assert api.post(f"{path}/deliveries/{delivery['id']}/redeliver").error == "WEBHOOK_DISABLED"

    assert api.delete(path).status == 204
    assert api.delete(path).error == "WEBHOOK_NOT_FOUND"
    assert api.get(WEBHOOKS).body["total"] == 0


def test_one_key_makes_one_webhook_and_shows_its_secret_again(ada: Person) -> None:
    api, body = Api(ada.token), {"url": URL, "actions": ["*"]}
    first, second = (api.post(WEBHOOKS, body, key="once") for _ in range(2))
    assert first.status == second.status == 201
    assert first.raw == second.raw
    assert WebhookEndpoint.objects.count() == 1
    assert api.post(WEBHOOKS, {**body, "url": f"{URL}/2"}, key="once").status == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "https://user@hooks.example.com/"}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": 5}, "url"),
        ({"actions": []}, "actions"),
        ({"actions": ["everything"]}, "actions"),
        ({"actions": "*"}, "actions"),
        ({"actions": ["*"] * 51}, "actions"),
        ({"description": "x" * 201}, "description"),
        ({"enabled": "yes"}, "enabled"),
        ({"tenant_id": "x"}, "tenant_id"),
        ({"sealed_secret": "x"}, "sealed_secret"),
        ({"secret": "whsec_x"}, "secret"),
    ],
)
def test_bad_webhooks_are_refused_with_their_field(
    ada: Person, change: dict[str, Any], field: str
) -> None:
    api = Api(ada.token)
    answer = api.post(WEBHOOKS, {"url": URL, "actions": ["*"], **change})
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    assert field in answer.body["error"]["details"]
    endpoint, _ = create_webhook(ada.actor, url=URL, actions=["*"])
    answer = api.patch(f"{WEBHOOKS}/{endpoint.pk}", change)
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    assert field in answer.body["error"]["details"]


def test_the_eleventh_is_a_conflict(ada: Person) -> None:
    api = Api(ada.token)
    for _ in range(WebhookEndpoint.MOST):
        assert api.post(WEBHOOKS, {"url": URL, "actions": ["*"]}).status == 201
    assert api.post(WEBHOOKS, {"url": URL, "actions": ["*"]}).error == "WEBHOOK_LIMIT"


def test_webhooks_are_for_admins_and_keys_with_the_scope(ada: Person, bo: Person) -> None:
    assert Api(bo.token).get(WEBHOOKS).error == "FORBIDDEN"
    assert Api(bo.token).post(WEBHOOKS, {"url": URL, "actions": ["*"]}).error == "FORBIDDEN"
    reader = Api(create_api_key(ada.actor, name="r", scopes=["webhooks:read"]).plain)
    assert reader.get(WEBHOOKS).status == 200
    assert reader.post(WEBHOOKS, {"url": URL, "actions": ["*"]}).error == "SCOPE_MISSING"
    writer = Api(create_api_key(ada.actor, name="w", scopes=["webhooks:write"]).plain)
    made = writer.post(WEBHOOKS, {"url": URL, "actions": ["*"]})
    assert made.status == 201
    assert "w" in Event.objects.get(action="webhook.created").via


def test_a_delivery_is_reached_through_its_own_webhook_only(ada: Person, cy: Person) -> None:
    theirs, _ = create_webhook(cy.actor, url=URL, actions=["*"])
    mine, _ = create_webhook(ada.actor, url=URL, actions=["*"])
    happen(cy)
    delivery = WebhookDelivery.objects.filter(endpoint=theirs)[0]
    api = Api(ada.token)
    for webhook in (mine, theirs):
        path = f"{WEBHOOKS}/{webhook.pk}/deliveries/{delivery.pk}/redeliver"
        assert api.post(path).status == 404
    delivery.refresh_from_db()
    assert delivery.status == "pending"


# --- Audit log -------------------------------------------------------------------------------


def test_the_audit_log_has_the_fields_of_its_source(ada: Person) -> None:
    happen(ada)
    answer = Api(ada.token, **{"X-Request-ID": "my-own-request-id"}).get(AUDIT)
    assert set(answer.body) == {"items", "total"}
    first = answer.body["items"][0]
    assert {
        "id", "tenantId", "actorId", "action", "resourceType", "resourceId", "metadata",
        "createdAt",
    } <= set(first)  # fmt: skip
    assert (first["tenantId"], first["actorId"]) == (str(ada.tenant.pk), str(ada.user.pk))
    assert (first["action"], first["resourceType"]) == (KIND, "tenant")
    assert (first["resourceId"], first["metadata"]) == (str(ada.tenant.pk), {"n": 0})
    assert first["sequence"]
    assert len(first["hash"]) == 64


def test_the_audit_log_names_the_request(ada: Person) -> None:
    api = Api(ada.token, **{"X-Request-ID": "my-own-request-id"})
    api.post(WEBHOOKS, {"url": URL, "actions": ["*"]})
    newest = api.get(AUDIT, {"type": "webhook.*"}).body["items"][0]
    assert newest["requestId"] == "my-own-request-id"
    assert newest["address"] == "127.0.0.1"


def test_the_audit_log_is_filtered_ordered_and_paged(ada: Person, bo: Person, cy: Person) -> None:
    happen(ada, 2)
    happen(bo, 1, "domain.tried")
    happen(cy, 4)
    api = Api(ada.token)

    def found(**query: Any) -> list[str]:
        answer = api.get(AUDIT, query)
        assert answer.status == 200, answer.body
        return [row["message"] for row in answer.body["items"]]

    assert found(type=KIND) == ["Number 1.", "Number 0."]
    assert found(type=KIND, order="createdAt") == ["Number 0.", "Number 1."]
    assert found(type="mailboxes.*") == found(type=KIND)
    assert found(type="mailboxes") == []
    assert found(type="domain.tried", actorId=bo.user.pk) == ["Number 0."]
    assert found(actorId=cy.user.pk) == []
    assert found(resourceType="tenant", resourceId=ada.tenant.pk, type=KIND) == found(type=KIND)
    assert found(resourceId=cy.tenant.pk) == []
    assert found(type=KIND, pageSize=1, page=2) == ["Number 0."]
    assert found(type=KIND, search="ber 1") == ["Number 1."]
    last = Event.objects.filter(tenant=ada.tenant, action=KIND)[0].created_at.isoformat()
    assert found(type=KIND, since=last) == ["Number 1."]
    assert found(type=KIND, until=last) == ["Number 0."]
    for bad in ({"since": "soon"}, {"actorId": "x"}, {"pageSize": 101}, {"actor_id": ada.user.pk}):
        assert api.get(AUDIT, bad).error == "VALIDATION_ERROR"


def test_the_audit_log_is_for_admins_and_cannot_be_written(ada: Person, bo: Person) -> None:
    assert Api(bo.token).get(AUDIT).error == "FORBIDDEN"
    key = create_api_key(ada.actor, name="k", scopes=["audit:read"]).plain
    assert Api(key).get(AUDIT).status == 200
    for method in ("post", "put", "patch", "delete"):
        assert getattr(Api(ada.token), method)(AUDIT).status == 405


# --- Query counts ----------------------------------------------------------------------------


def cost(api: Api, path: str) -> int:
    """How often the database is asked; counting requests for their limit is left out, since it
    writes from time to time only."""
    with CaptureQueriesContext(connection) as seen:
        assert api.get(path).status == 200
    return sum("ratewindow" not in query["sql"] for query in seen.captured_queries)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        (f"{NOTIFICATIONS}?page_size=100", 3),
        (WEBHOOKS, 3),
        ("deliveries", 4),
        (f"{AUDIT}?pageSize=100", 3),
        (f"{NOTIFICATIONS}/settings", 2),
    ],
)
def test_lists_cost_the_same_however_long(ada: Person, path: str, number: int) -> None:
    endpoint, _ = create_webhook(ada.actor, url=URL, actions=["*"])
    if path == "deliveries":
        path = f"{WEBHOOKS}/{endpoint.pk}/deliveries"
    api = Api(ada.token)
    cost(api, path)  # the first of all notes that the session is used
    for rows in (1, 30):
        happen(ada, rows)
        assert cost(api, path) == number
    assert Notification.objects.filter(kind=KIND).count() == 31
