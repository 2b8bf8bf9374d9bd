"""JSON about what happened: notifications, webhooks, the audit log."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from events import selectors, services
from events import serializers as shapes
from events.selectors import AuditFilter
from events.services.notifications import Wish
from mpanel.core.api.shapes import page_of, paged, single
from mpanel.core.api.views import ApiView, operation

NOTIFICATIONS, WEBHOOKS, AUDIT = "Notifications", "Webhooks", "Audit log"
ORDERS = {
    "created_at": "id",
    "-created_at": "-id",
    "createdAt": "id",
    "-createdAt": "-id",
}
EXAMPLE_ID = "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11"
EXAMPLE_NOTIFICATION = {
    "id": EXAMPLE_ID,
    "kind": "mailboxes.proved",
    "title": "Your inboxes are ready",
    "text": "Proved 50 inboxes on example.com by logging in.",
    "link": "/mailboxes/",
    "created_at": "2026-11-21T10:00:00Z",
    "read_at": None,
}
EXAMPLE_PREFERENCES = {
    "preferences": {
        "mailboxes.proved": {"label": "Provisioning finished", "in_app": True, "email": True}
    }
}
EXAMPLE_WEBHOOK = {
    "id": EXAMPLE_ID,
    "url": "https://hooks.example.com/mpanel",
    "actions": ["mailboxes.*", "domain.ready"],
    "description": "Our CRM",
    "enabled": True,
    "disabled_reason": "",
    "failures": 0,
    "failing_since": None,
    "created_at": "2026-11-21T10:00:00Z",
}
EXAMPLE_DELIVERY = {
    "id": EXAMPLE_ID,
    "message_id": "msg_01994f2c6a707c3e9d0a1f6f2f0a6b11",
    "event_id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12",
    "action": "domain.ready",
    "status": "delivered",
    "attempts": 1,
    "next_attempt_at": None,
    "last_status": 200,
    "last_error": "",
    "response": "ok",
    "duration_ms": 84,
    "created_at": "2026-11-21T10:00:00Z",
    "delivered_at": "2026-11-21T10:00:01Z",
}
EXAMPLE_EVENT = {
    "id": EXAMPLE_ID,
    "tenantId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b12",
    "actorId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b13",
    "actorName": "ada@example.com",
    "action": "domain.connected",
    "resourceType": "domain",
    "resourceId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b14",
    "metadata": {},
    "message": "Connected example.com.",
    "via": "",
    "address": "192.0.2.7",
    "requestId": "01994f2c6a707c3e9d0a1f6f2f0a6b15",
    "sequence": 12,
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "createdAt": "2026-11-21T10:00:00Z",
}


class Notifications(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "List notifications",
        tag=NOTIFICATIONS,
        query=shapes.NotificationQuery,
        answers=paged(shapes.NotificationShape),
        example={"items": [EXAMPLE_NOTIFICATION], "total": 1, "page": 1, "page_size": 20},
    )
    def get(self, request: Request) -> Response:
        """What the person was told in the panel, the newest first."""
        query = self.query(request, shapes.NotificationQuery)
        found = selectors.notifications(
            self.actor, unread=query["unread"] == "true", kind=query["kind"]
        ).order_by(ORDERS[query["order"]])
        return Response(page_of(found, query, shapes.NotificationShape))


class MarkRead(ApiView):
    scopes = {"POST": "account:write"}

    @operation(
        "Mark notifications as read",
        tag=NOTIFICATIONS,
        takes=shapes.MarkRead,
        answers=single(shapes.Marked),
        request_example={"ids": [EXAMPLE_ID]},
        example={"data": {"marked": 1}},
    )
    def post(self, request: Request) -> Response:
        """Ids that are unknown or another person's are passed over."""
        given = self.body(request, shapes.MarkRead)
        return Response({"data": {"marked": services.mark_read(self.actor, given["ids"])}})


class MarkAllRead(ApiView):
    scopes = {"POST": "account:write"}

    @operation(
        "Mark all notifications as read",
        tag=NOTIFICATIONS,
        answers=single(shapes.Marked),
        example={"data": {"marked": 3}},
    )
    def post(self, request: Request) -> Response:
        """The person's own, in this organisation."""
        return Response({"data": {"marked": services.mark_all_read(self.actor)}})


class NotificationSettings(ApiView):
    scopes = {"GET": "account:read", "PATCH": "account:write"}

    @operation(
        "Get how one is told",
        tag=NOTIFICATIONS,
        answers=single(shapes.PreferencesShape),
        example={"data": EXAMPLE_PREFERENCES},
    )
    def get(self, request: Request) -> Response:
        """Of each kind: in the panel, by e-mail, both or not at all."""
        return self._answer()

    @operation(
        "Change how one is told",
        tag=NOTIFICATIONS,
        takes=shapes.PreferencesChange,
        answers=single(shapes.PreferencesShape),
        request_example={"preferences": {"mailboxes.proved": {"email": False}}},
        example={"data": EXAMPLE_PREFERENCES},
    )
    def patch(self, request: Request) -> Response:
        """Only the kinds and ways that are given change."""
        given = self.body(request, shapes.PreferencesChange)["preferences"]
        wishes = {kind: Wish(**ways) for kind, ways in given.items()}
        services.change_preferences(self.actor, wishes)
        return self._answer()

    def _answer(self) -> Response:
        settings = selectors.preferences(self.actor)
        ways = {
            key: {"label": setting.kind.label, "in_app": setting.in_app, "email": setting.email}
            for key, setting in settings.items()
        }
        return Response({"data": {"preferences": ways}})


class Webhooks(ApiView):
    scopes = {"GET": "webhooks:read", "POST": "webhooks:write"}

    @operation(
        "List webhooks",
        tag=WEBHOOKS,
        query=shapes.WebhookQuery,
        answers=paged(shapes.WebhookShape),
        example={"items": [EXAMPLE_WEBHOOK], "total": 1, "page": 1, "page_size": 20},
    )
    def get(self, request: Request) -> Response:
        """For admins. Secrets are not shown again."""
        query = self.query(request, shapes.WebhookQuery)
        found = selectors.webhooks(self.actor, search=query["search"])
        return Response(page_of(found.order_by(ORDERS[query["order"]]), query, shapes.WebhookShape))

    @operation(
        "Add a webhook",
        tag=WEBHOOKS,
        takes=shapes.NewWebhook,
        answers=single(shapes.WebhookMade),
        status=201,
        request_example={
            "url": "https://hooks.example.com/mpanel",
            "actions": ["mailboxes.*", "domain.ready"],
            "description": "Our CRM",
        },
        example={"data": {**EXAMPLE_WEBHOOK, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}},
    )
    def post(self, request: Request) -> Response:
        """`secret` is shown only once. Deliveries are signed after the Standard Webhooks
        specification. Ten webhooks at most: 409 WEBHOOK_LIMIT."""
        given = self.body(request, shapes.NewWebhook)
        endpoint, secret = services.create_webhook(self.actor, **given)
        made = {**shapes.WebhookShape(endpoint).data, "secret": secret}
        return Response({"data": made}, 201)


class OneWebhook(ApiView):
    scopes = {"PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @operation(
        "Change a webhook",
        tag=WEBHOOKS,
        takes=shapes.WebhookChange,
        answers=single(shapes.WebhookShape),
        errors=(404,),
        request_example={"enabled": True, "actions": ["*"]},
        example={"data": EXAMPLE_WEBHOOK},
    )
    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """What is on its way to a webhook that is switched off is given up."""
        given = self.body(request, shapes.WebhookChange)
        endpoint = services.change_webhook(self.actor, webhook_id, **given)
        return Response({"data": shapes.WebhookShape(endpoint).data})

    @operation("Delete a webhook", tag=WEBHOOKS, status=204, errors=(404,))
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Its log of deliveries goes with it."""
        services.delete_webhook(self.actor, webhook_id)
        return Response(status=204)


class RotateSecret(ApiView):
    scopes = {"POST": "webhooks:write"}

    @operation(
        "Make a new signing secret",
        tag=WEBHOOKS,
        answers=single(shapes.NewSecret),
        errors=(404,),
        example={
            "data": {
                "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "previous_until": "2026-11-22T10:00:00Z",
            }
        },
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Shown only once. For 24 hours the old secret signs every delivery as well."""
        secret = services.rotate_secret(self.actor, webhook_id)
        endpoint = selectors.get_webhook(self.actor, webhook_id)
        answer = {"secret": secret, "previous_until": endpoint.previous_until}
        return Response({"data": shapes.NewSecret(answer).data})


class TestWebhook(ApiView):
    __test__ = False
    scopes = {"POST": "webhooks:write"}

    @operation(
        "Send a test to a webhook",
        tag=WEBHOOKS,
        answers=single(shapes.TestSent),
        status=202,
        errors=(404,),
        example={"data": {"event_id": EXAMPLE_ID}},
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """An event `webhook.tested`, to this webhook alone. 409 while it is switched off."""
        event = services.send_test(self.actor, webhook_id)
        return Response({"data": shapes.TestSent(event).data}, 202)


class Deliveries(ApiView):
    scopes = {"GET": "webhooks:read"}

    @operation(
        "List what was sent to a webhook",
        tag=WEBHOOKS,
        query=shapes.DeliveryQuery,
        answers=paged(shapes.DeliveryShape),
        errors=(404,),
        example={"items": [EXAMPLE_DELIVERY], "total": 1, "page": 1, "page_size": 20},
    )
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Of the last 30 days, the newest first."""
        query = self.query(request, shapes.DeliveryQuery)
        found = selectors.deliveries(self.actor, webhook_id, status=query["status"])
        return Response(
            page_of(found.order_by(ORDERS[query["order"]]), query, shapes.DeliveryShape)
        )


class Redeliver(ApiView):
    scopes = {"POST": "webhooks:write"}

    @operation(
        "Send a delivery once more",
        tag=WEBHOOKS,
        answers=single(shapes.DeliveryShape),
        status=202,
        errors=(404,),
        example={"data": {**EXAMPLE_DELIVERY, "status": "pending"}},
    )
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Under the same `webhook-id`. 409 while the webhook is switched off."""
        delivery = services.redeliver(self.actor, webhook_id, delivery_id)
        return Response({"data": shapes.DeliveryShape(delivery).data}, 202)


class Audit(ApiView):
    scopes = {"GET": "audit:read"}

    @operation(
        "Read the audit log",
        tag=AUDIT,
        query=shapes.AuditQuery,
        answers=paged(shapes.AuditEvent),
        example={"items": [EXAMPLE_EVENT], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """For admins: who did what, when and from where, the newest first."""
        query = self.query(request, shapes.AuditQuery)
        wanted = AuditFilter(
            user_id=query["actor_id"],
            action=query["type"],
            subject_type=query["resource_type"],
            subject_id=query["resource_id"],
            since=query["since"],
            until=query["until"],
            search=query["search"],
        )
        found = selectors.audit(self.actor, wanted).order_by(ORDERS[query["order"]])
        return Response(page_of(found, query, shapes.AuditEvent))
