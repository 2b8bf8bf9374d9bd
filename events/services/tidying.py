"""What grows and is of no use any more goes. Events stay."""

from datetime import timedelta

from django.utils import timezone

from events.models import Notification, WebhookAttempt, WebhookDelivery

ATTEMPTS_KEPT = timedelta(days=30)
DELIVERIES_KEPT = timedelta(days=30)
NOTIFICATIONS_KEPT = timedelta(days=180)


def forget_old() -> None:
    """Drop old tries, deliveries that are over, and notifications."""
    now = timezone.now()
    WebhookAttempt.objects.filter(at__lt=now - ATTEMPTS_KEPT).delete()
    WebhookDelivery.objects.exclude(status=WebhookDelivery.PENDING).filter(
        created_at__lt=now - DELIVERIES_KEPT
    ).delete()
    Notification.objects.filter(created_at__lt=now - NOTIFICATIONS_KEPT).delete()
