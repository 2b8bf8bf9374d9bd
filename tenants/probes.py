"""How our own mail stands, as `/api/status` tells it."""

from datetime import timedelta

from django.utils import timezone

from mpanel.core.probes import DEGRADED, OK
from tenants.models import OneTimeCode

SENT_WITHIN = timedelta(seconds=30)


def mail() -> str:
    """Degraded while a one-time code that somebody waits for could not be sent."""
    now = timezone.now()
    waiting = OneTimeCode.objects.filter(
        sent_at=None, expires_at__gt=now, created_at__lt=now - SENT_WITHIN
    )
    return DEGRADED if waiting.exists() else OK
