"""JSON about what happened: notifications, webhooks, the audit log."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from events import selectors, serializers, services
from events.selectors import AuditFilter
from events.services.notifications import PreferenceChange
from mpanel.core.api.serializers import page_of, paged, single
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


class NotificationsView(ApiView):
    scopes = {"GET": "account:read"}

    @operation(
        "List notifications",
        tag=NOTIFICATIONS,
        query=serializers.NotificationQuerySerializer,
        answers=paged(serializers.NotificationSerializer),
        example={"items": [EXAMPLE_NOTIFICATION], "total": 1, "page": 1, "page_size": 20},
    )
    def get(self, request: Request) -> Response:
        """What the person was told in the panel, the newest first."""
        query = self.query(request, serializers.NotificationQuerySerializer)
        found = selectors.notifications(
            self.actor, unread=query["unread"] == "true", kind=query["kind"]
        ).order_by(ORDERS[query["order"]])
        return Response(page_of(found, query, serializers.NotificationSerializer))


class MarkReadView(ApiView):
    scopes = {"POST": "account:write"}

    @operation(
        "Mark notifications as read",
        tag=NOTIFICATIONS,
        takes=serializers.MarkReadSerializer,
        answers=single(serializers.MarkedSerializer),
        request_example={"ids": [EXAMPLE_ID]},
        example={"data": {"marked": 1}},
    )
    def post(self, request: Request) -> Response:
        """Ids that are unknown or another person's are passed over."""
        given = self.body(request, serializers.MarkReadSerializer)
        return Response({"data": {"marked": services.mark_read(self.actor, given["ids"])}})


class MarkAllReadView(ApiView):
    scopes = {"POST": "account:write"}

    @operation(
        "Mark all notifications as read",
        tag=NOTIFICATIONS,
        answers=single(serializers.MarkedSerializer),
        example={"data": {"marked": 3}},
    )
    def post(self, request: Request) -> Response:
        """The person's own, in this organisation."""
        return Response({"data": {"marked": services.mark_all_read(self.actor)}})


class NotificationSettingsView(ApiView):
    scopes = {"GET": "account:read", "PATCH": "account:write"}

    @operation(
        "Get how one is told",
        tag=NOTIFICATIONS,
        answers=single(serializers.PreferencesSerializer),
        example={"data": EXAMPLE_PREFERENCES},
    )
    def get(self, request: Request) -> Response:
        """Of each kind: in the panel, by e-mail, both or not at all."""
        return self._answer()

    @operation(
        "Change how one is told",
        tag=NOTIFICATIONS,
        takes=serializers.PreferencesChangeSerializer,
        answers=single(serializers.PreferencesSerializer),
        request_example={"preferences": {"mailboxes.proved": {"email": False}}},
        example={"data": EXAMPLE_PREFERENCES},
    )
    def patch(self, request: Request) -> Response:
        """Only the kinds and ways that are given change."""
        given = self.body(request, serializers.PreferencesChangeSerializer)["preferences"]
        changes = {kind: PreferenceChange(**ways) for kind, ways in given.items()}
        services.change_preferences(self.actor, changes)
        return self._answer()

    def _answer(self) -> Response:
        settings = selectors.preferences(self.actor)
        ways = {
            key: {"label": setting.kind.label, "in_app": setting.in_app, "email": setting.email}
            for key, setting in settings.items()
        }
        return Response({"data": {"preferences": ways}})


class WebhooksView(ApiView):
    scopes = {"GET": "webhooks:read", "POST": "webhooks:write"}

    @operation(
        "List webhooks",
        tag=WEBHOOKS,
        query=serializers.WebhookQuerySerializer,
        answers=paged(serializers.WebhookSerializer),
        example={"items": [EXAMPLE_WEBHOOK], "total": 1, "page": 1, "page_size": 20},
    )
    def get(self, request: Request) -> Response:
        """For admins. Secrets are not shown again."""
        query = self.query(request, serializers.WebhookQuerySerializer)
        found = selectors.webhooks(self.actor, search=query["search"])
        return Response(
            page_of(found.order_by(ORDERS[query["order"]]), query, serializers.WebhookSerializer)
        )

    @operation(
        "Add a webhook",
        tag=WEBHOOKS,
        takes=serializers.NewWebhookSerializer,
        answers=single(serializers.WebhookMadeSerializer),
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
        given = self.body(request, serializers.NewWebhookSerializer)
        endpoint, secret = services.create_webhook(self.actor, **given)
        made = {**serializers.WebhookSerializer(endpoint).data, "secret": secret}
        return Response({"data": made}, 201)


class OneWebhookView(ApiView):
    scopes = {"PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @operation(
        "Change a webhook",
        tag=WEBHOOKS,
        takes=serializers.WebhookChangeSerializer,
        answers=single(serializers.WebhookSerializer),
        errors=(404,),
        request_example={"enabled": True, "actions": ["*"]},
        example={"data": EXAMPLE_WEBHOOK},
    )
    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """What is on its way to a webhook that is switched off is given up."""
        given = self.body(request, serializers.WebhookChangeSerializer)
        endpoint = services.change_webhook(self.actor, webhook_id, **given)
        return Response({"data": serializers.WebhookSerializer(endpoint).data})

    @operation("Delete a webhook", tag=WEBHOOKS, status=204, errors=(404,))
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Its log of deliveries goes with it."""
        services.delete_webhook(self.actor, webhook_id)
        return Response(status=204)


class RotateSecretView(ApiView):
    scopes = {"POST": "webhooks:write"}

    @operation(
        "Make a new signing secret",
        tag=WEBHOOKS,
        answers=single(serializers.NewSecretSerializer),
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
        return Response({"data": serializers.NewSecretSerializer(answer).data})


class TestWebhookView(ApiView):
    __test__ = False
    scopes = {"POST": "webhooks:write"}

    @operation(
        "Send a test to a webhook",
        tag=WEBHOOKS,
        answers=single(serializers.TestSentSerializer),
        status=202,
        errors=(404,),
        example={"data": {"event_id": EXAMPLE_ID}},
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """An event `webhook.tested`, to this webhook alone. 409 while it is switched off."""
        event = services.send_test(self.actor, webhook_id)
        return Response({"data": serializers.TestSentSerializer(event).data}, 202)


class DeliveriesView(ApiView):
    scopes = {"GET": "webhooks:read"}

    @operation(
        "List what was sent to a webhook",
        tag=WEBHOOKS,
        query=serializers.DeliveryQuerySerializer,
        answers=paged(serializers.DeliverySerializer),
        errors=(404,),
        example={"items": [EXAMPLE_DELIVERY], "total": 1, "page": 1, "page_size": 20},
    )
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Of the last 30 days, the newest first."""
        query = self.query(request, serializers.DeliveryQuerySerializer)
        found = selectors.deliveries(self.actor, webhook_id, status=query["status"])
        return Response(
            page_of(found.order_by(ORDERS[query["order"]]), query, serializers.DeliverySerializer)
        )


class RedeliverView(ApiView):
    scopes = {"POST": "webhooks:write"}

    @operation(
        "Send a delivery once more",
        tag=WEBHOOKS,
        answers=single(serializers.DeliverySerializer),
        status=202,
        errors=(404,),
        example={"data": {**EXAMPLE_DELIVERY, "status": "pending"}},
    )
    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Under the same `webhook-id`. 409 while the webhook is switched off."""
        delivery = services.redeliver(self.actor, webhook_id, delivery_id)
        return Response({"data": serializers.DeliverySerializer(delivery).data}, 202)


class AuditView(ApiView):
    scopes = {"GET": "audit:read"}

    @operation(
        "Read the audit log",
        tag=AUDIT,
        query=serializers.AuditQuerySerializer,
        answers=paged(serializers.AuditEventSerializer),
        example={"items": [EXAMPLE_EVENT], "total": 1},
    )
    def get(self, request: Request) -> Response:
        """For admins: who did what, when and from where, the newest first."""
        query = self.query(request, serializers.AuditQuerySerializer)
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
        return Response(page_of(found, query, serializers.AuditEventSerializer))
