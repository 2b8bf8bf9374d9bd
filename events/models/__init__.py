"""What happened, sealed into one chain per tenant; who is told of it, in here, by mail, by webhook.

Events are written by services in their own transaction and never changed. The relay seals them
and makes the notifications and deliveries that follow (`events/relay.py`).
"""

from events.models.events import Chain, Event, EventIsFinal, EventQuerySet
from events.models.notifications import Notification, NotificationQuerySet, Preference
from events.models.webhooks import (
    OLD_SECRET_GOOD_FOR,
    SECRET_PREFIX,
    DeliveryQuerySet,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    new_secret,
    tenant_model,
)

__all__ = [
    "OLD_SECRET_GOOD_FOR",
    "SECRET_PREFIX",
    "Chain",
    "DeliveryQuerySet",
    "Event",
    "EventIsFinal",
    "EventQuerySet",
    "Notification",
    "NotificationQuerySet",
    "Preference",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "new_secret",
    "tenant_model",
]
