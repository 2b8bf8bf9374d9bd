"""Jobs, their steps and log lines; and what the clock and the workers remember."""

import math
import os
import time
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from mpanel.core import queues
from mpanel.core.models import Row, StatusRow
from provisioning.desired import Observation

BEAT_AT_MOST_EVERY = 5.0  # seconds
CLOCKS_DIFFER = timedelta(minutes=5)  # by less than this, between machines
APPLIED = 0.9  # share of a step that was applied and not yet observed
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class JobQuerySet(models.QuerySet["Job"]):
    """Query methods for jobs."""

    def active(self) -> "JobQuerySet":
        """Not ended: waiting for its turn, running, or waiting for something outside."""
        return self.filter(status__in=Job.ACTIVE)

    def due(self, now: datetime) -> "JobQuerySet":
        """Those that somebody should advance now, a dead runner's included."""
        return self.filter(
            Q(status__in=(Job.PENDING, Job.WAITING), run_at__lte=now)
            | Q(status=Job.RUNNING, lease_until__lt=now)
        )

    def claim(self, job_id: UUID, *, token: UUID, lease: timedelta) -> bool:
        """Become this job's runner by compare-and-set; False when it is not due or taken.

        One running job per lock: the partial unique index refuses a second one.
        """
        now = timezone.now()
        try:
            with transaction.atomic():
                taken = (
                    self.due(now)
                    .filter(pk=job_id)
                    .update(
                        status=Job.RUNNING,
                        lease_token=token,
                        lease_until=now + lease,
                        updated_at=now,
                    )
                )
        except IntegrityError:
            # Another job holds the lock; come back shortly.
            self.filter(pk=job_id).update(run_at=now + timedelta(seconds=2))
            return False
        return taken == 1


class Job(StatusRow):
    """One piece of work: a workflow for a subject, and how far it is."""

    PENDING, RUNNING, WAITING = "pending", "running", "waiting"
    SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
    ACTIVE = (PENDING, RUNNING, WAITING)
    STATUSES: ClassVar[dict[str, str]] = {
        PENDING: "Queued",
        RUNNING: "Running",
        WAITING: "Waiting",
        SUCCEEDED: "Done",
        FAILED: "Failed",
        CANCELLED: "Cancelled",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        PENDING: frozenset({RUNNING, CANCELLED}),
        RUNNING: frozenset({RUNNING, WAITING, SUCCEEDED, FAILED, CANCELLED}),
        WAITING: frozenset({RUNNING, CANCELLED}),
        FAILED: frozenset({PENDING}),
        CANCELLED: frozenset({PENDING}),
    }

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    workflow = models.CharField(max_length=64)
    label = models.CharField(max_length=200)
    subject_id = models.UUIDField()
    subject_label = models.CharField(max_length=254, blank=True)
    params = models.JSONField(default=dict)
    lock = models.CharField(max_length=100, blank=True)
    idempotency_key = models.CharField(max_length=100, blank=True)
    run_at = models.DateTimeField(default=timezone.now)
    notified_at = models.DateTimeField(default=timezone.now)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)
    waiting_for = models.TextField(blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["lock"],
                condition=Q(status="running") & ~Q(lock=""),
                name="one_running_job_per_lock",
            ),
            models.UniqueConstraint(
                fields=["tenant", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="one_job_per_idempotency_key",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="job_by_tenant"),
            models.Index(fields=["status", "run_at"], name="job_by_due"),
            models.Index(fields=["subject_id", "-id"], name="job_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.subject_label}".strip()

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]

    @property
    def progress(self) -> int:
        """Percent done, over all steps, 0-100; 100 only when it succeeded."""
        if self.status == self.SUCCEEDED:
            return 100
        steps = list(self.steps.all())
        share = sum(step.share for step in steps) / len(steps) if steps else 0.0
        return min(99, int(share * 100))


class JobStep(Row):
    """One desired state of a job, and what was last seen of it."""

    PENDING, RUNNING, WAITING, DONE, FAILED = "pending", "running", "waiting", "done", "failed"

    job = models.ForeignKey(Job, models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=64)
    label = models.CharField(max_length=200)
    status = models.CharField(max_length=16, default=PENDING)
    attempts = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    observed = models.JSONField(null=True)
    drift = models.JSONField(null=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["job", "name"], name="one_step_per_name"),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def share(self) -> float:
        """How much of this step is done, 0 to 1; 1 only once it is observed to be so."""
        if self.status == self.DONE:
            return 1.0
        return APPLIED * self.done / self.total if self.total else 0.0

    @property
    def observation(self) -> Observation | None:
        return Observation.from_json(self.observed) if self.observed else None

    @property
    def drifted(self) -> Observation | None:
        """What a later look found, where it no longer matches."""
        if not self.drift or self.drift["verdict"] == "matches":
            return None
        return Observation.from_json(self.drift)


class JobLog(models.Model):
    """One line of a job's log, in plain words."""

    INFO, WARNING, ERROR = "info", "warning", "error"

    job = models.ForeignKey(Job, models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=8, default=INFO)
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"[{self.at:%H:%M:%S}] {self.text}"

    @property
    def tone(self) -> str:
        """The tone of the line on a page; "" for a plain one."""
        return {self.WARNING: "warning", self.ERROR: "danger"}.get(self.level, "")


class Lease(models.Model):
    """Who may do a thing that only one process may do, and until when."""

    name = models.CharField(max_length=64, primary_key=True)
    holder = models.UUIDField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def take(cls, name: str, *, holder: UUID, seconds: float) -> bool:
        """Take or renew the lease; False while another holder's has not run out."""
        now = timezone.now()
        until = now + timedelta(seconds=seconds)
        _, created = cls.objects.get_or_create(
            name=name, defaults={"holder": holder, "until": until}
        )
        # So far ahead is no lease: the clock was set back since it was taken.
        free = Q(until__lt=now) | Q(until__gt=until + CLOCKS_DIFFER)
        mine = cls.objects.filter(Q(holder=holder) | free, name=name)
        return created or mine.update(holder=holder, until=until) == 1

    @classmethod
    def release(cls, name: str, *, holder: UUID) -> None:
        """Give the lease back, if it is still ours."""
        cls.objects.filter(name=name, holder=holder).update(until=LONG_AGO)


class Sweep(models.Model):
    """When a periodic sweep is next due."""

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Heartbeat(models.Model):
    """When a worker or the clock last proved that it gets work done."""

    _last_beat: ClassVar[float] = -math.inf

    name = models.CharField(max_length=100, primary_key=True)
    # Which queue a worker's cluster takes its messages from; "" for the clock.
    queue = models.CharField(max_length=32, blank=True, default="")
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def beat(cls, name: str, *, queue: str = "") -> None:
        defaults = {"seen_at": timezone.now(), "queue": queue}
        cls.objects.update_or_create(name=name, defaults=defaults)

    @classmethod
    def beat_of_worker(cls) -> None:
        """Beat for the watched cluster that this process belongs to, every few seconds at most.

        Called whenever a message, a step or a part of one is done, so that a cluster with much to
        do is not taken for one that hangs.
        """
        worker = os.environ.get("MPANEL_WORKER")
        beat_every = min(BEAT_AT_MOST_EVERY, settings.WORKER_STALE_AFTER / 6)
        if worker and time.monotonic() - cls._last_beat > beat_every:
            cls._last_beat = time.monotonic()
            cls.beat(worker, queue=os.environ.get("Q_CLUSTER_NAME", queues.JOBS))
