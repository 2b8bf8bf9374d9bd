"""What grows and is of no use any more goes. Events stay."""

from datetime import timedelta

from django.utils import timezone

from events.models import Notification, WebhookAttempt, WebhookDelivery
from mpanel.core.pruning import prune

ATTEMPTS_KEPT = timedelta(days=30)
DELIVERIES_KEPT = timedelta(days=30)
NOTIFICATIONS_KEPT = timedelta(days=180)


def forget_old() -> bool:
    """Drop old tries, deliveries that are over, and notifications; whether some are left."""
    now = timezone.now()
    over = WebhookDelivery.objects.exclude(status=WebhookDelivery.PENDING)
    return prune(
        WebhookAttempt.objects.filter(at__lt=now - ATTEMPTS_KEPT),
        over.filter(created_at__lt=now - DELIVERIES_KEPT),
        Notification.objects.filter(created_at__lt=now - NOTIFICATIONS_KEPT),
    )
