"""What grows and is of no use any more goes, once an hour."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_q.models import Task

from mpanel.core.pruning import prune
from provisioning.models import Heartbeat, Job

RESULTS_KEPT = timedelta(days=14)


def tidy() -> bool:
    """Drop jobs that ended long ago with their steps and logs, expired sessions, old results of the
    queue, and the heartbeats of workers long gone. Whether some are left.
    """
    now = timezone.now()
    ended = Job.objects.exclude(status__in=Job.ACTIVE)
    return prune(
        ended.filter(finished_at__lt=now - timedelta(days=settings.JOBS_KEPT)),
        Session.objects.filter(expire_date__lt=now),
        Task.objects.filter(stopped__lt=now - RESULTS_KEPT),
        Heartbeat.objects.filter(seen_at__lt=now - timedelta(days=1)),
    )
