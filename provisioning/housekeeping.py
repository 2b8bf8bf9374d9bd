"""What grows and is of no use any more goes, once an hour."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone
from django_q.models import Task

from provisioning.models import Heartbeat

RESULTS_KEPT = timedelta(days=14)


def tidy() -> None:
    """Drop expired sessions, old results of the queue, and the heartbeats of workers long gone."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    Task.objects.filter(stopped__lt=now - RESULTS_KEPT).delete()
    Heartbeat.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
