"""Serializers of what happened: notifications, webhooks, the audit log."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from events.models import WebhookDelivery
from events.services.webhooks import MOST_PATTERNS
from mpanel.core.api.serializers import (
    CamelPageQuerySerializer,
    CamelSerializer,
    PageQuerySerializer,
    Serializer,
    Text,
    YesNo,
)

TIMES = ["created_at", "-created_at"]

# --- Notifications ---------------------------------------------------------------------------


class NotificationQuerySerializer(PageQuerySerializer):
    """Which notifications."""

    unread = serializers.ChoiceField(choices=["true", "false"], default="false")
    kind = Text(max_length=64, required=False, default="", allow_blank=True)
    order = serializers.ChoiceField(choices=TIMES, default="-created_at")


class NotificationSerializer(Serializer):
    """What a person was told. `link`: the path of a page here."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    link = serializers.CharField()
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class MarkReadSerializer(Serializer):
    """Which ones were read; others' and unknown ids are passed over."""

    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=500)


class MarkedSerializer(Serializer):
    """How many were unread before."""

    marked = serializers.IntegerField()


class WaysSerializer(Serializer):
    """How a person is told of one kind."""

    label = serializers.CharField()  # type: ignore[assignment]
    in_app = serializers.BooleanField()
    email = serializers.BooleanField()


class PreferencesSerializer(Serializer):
    """How a person is told, by kind."""

    preferences = serializers.DictField(child=WaysSerializer())


class WaysChangeSerializer(Serializer):
    """What is given changes."""

    in_app = YesNo(required=False)
    email = YesNo(required=False)


class PreferencesChangeSerializer(Serializer):
    """The kinds that change."""

    preferences = serializers.DictField(child=WaysChangeSerializer())


# --- Webhooks --------------------------------------------------------------------------------


class WebhookQuerySerializer(PageQuerySerializer):
    """Which webhooks."""

    search = Text(max_length=80, required=False, default="", allow_blank=True)
    order = serializers.ChoiceField(choices=TIMES, default="created_at")


class Actions(serializers.ListField):
    """Events: `mailboxes.proved`, `mailbox.*` or `*`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            child=Text(max_length=64), min_length=1, max_length=MOST_PATTERNS, **kwargs
        )


class NewWebhookSerializer(Serializer):
    """Where to tell, and of what."""

    url = Text(max_length=2000)
    actions = Actions()
    description = Text(max_length=200, required=False, default="", allow_blank=True)


class WebhookChangeSerializer(Serializer):
    """What is given changes."""

    url = Text(max_length=2000, required=False)
    actions = Actions(required=False)
    description = Text(max_length=200, required=False, allow_blank=True)
    enabled = YesNo(required=False)


class WebhookSerializer(Serializer):
    """A webhook, without its secret. `disabled_reason`: why it is off, if it is."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    actions = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField()
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField()
    failures = serializers.IntegerField(help_text="Failed tries since the last success.")
    failing_since = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class WebhookMadeSerializer(WebhookSerializer):
    """A new webhook; `secret` is shown only once."""

    secret = serializers.CharField()


class NewSecretSerializer(Serializer):
    """A new signing secret, shown only once; until then the old one signs as well."""

    secret = serializers.CharField()
    previous_until = serializers.DateTimeField(allow_null=True)


class TestSentSerializer(Serializer):
    """The event that is on its way to this webhook alone."""

    __test__ = False
    event_id = serializers.UUIDField(source="pk")


class DeliveryQuerySerializer(PageQuerySerializer):
    """Which deliveries."""

    status = serializers.ChoiceField(
        choices=list(WebhookDelivery.STATUSES), required=False, default="", allow_blank=True
    )
    order = serializers.ChoiceField(choices=TIMES, default="-created_at")


class DeliverySerializer(Serializer):
    """An event on its way to a webhook. `message_id`: the header `webhook-id` of every try."""

    id = serializers.UUIDField()
    message_id = serializers.CharField(source="webhook_id")
    event_id = serializers.UUIDField()
    action = serializers.CharField(source="event.action")
    status = serializers.ChoiceField(choices=list(WebhookDelivery.STATUSES))
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.SerializerMethodField()
    last_status = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField()
    response = serializers.CharField(help_text="The beginning of the last answer.")
    duration_ms = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, row: WebhookDelivery) -> str | None:
        if row.status != WebhookDelivery.PENDING:
            return None
        return str(serializers.DateTimeField().to_representation(row.next_at))


# --- Audit log -------------------------------------------------------------------------------


class AuditQuerySerializer(CamelPageQuerySerializer):
    """Which events. `type`: an action, or all about a noun, such as `mailbox.*`."""

    actor_id = serializers.UUIDField(required=False, default=None)
    type = Text(max_length=64, required=False, default="", allow_blank=True)
    resource_type = Text(max_length=32, required=False, default="", allow_blank=True)
    resource_id = serializers.UUIDField(required=False, default=None)
    since = serializers.DateTimeField(required=False, default=None)
    until = serializers.DateTimeField(required=False, default=None)
    search = Text(max_length=80, required=False, default="", allow_blank=True)
    order = serializers.ChoiceField(choices=["createdAt", "-createdAt"], default="-createdAt")


class AuditEventSerializer(CamelSerializer):
    """Somebody did something. `sequence` and `hash`: its place in the chain, once it is sealed."""

    id = serializers.UUIDField()
    tenant_id = serializers.UUIDField()
    actor_id = serializers.UUIDField(source="user_id", allow_null=True)
    actor_name = serializers.CharField()
    action = serializers.CharField()
    resource_type = serializers.CharField(source="subject_type")
    resource_id = serializers.UUIDField(source="subject_id", allow_null=True)
    metadata = serializers.DictField(source="changes")
    message = serializers.CharField(source="sentence")
    via = serializers.CharField(help_text="What the person acted through; empty for a browser.")
    address = serializers.CharField()
    request_id = serializers.CharField()
    sequence = serializers.IntegerField(source="seq", allow_null=True)
    hash = serializers.CharField()
    created_at = serializers.DateTimeField()
