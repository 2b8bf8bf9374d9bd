"""Endpoints of outbound webhooks, deliveries and their attempts."""

import base64
import contextlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import RowNumber
from django.utils import timezone

from events.models.events import Event
from mpanel.core.models import Row, StatusRow
from mpanel.core.secrets import SealedField, Unsealable, seal, unseal

SECRET_PREFIX = "whsec_"  # noqa: S105  (how every such secret begins)


OLD_SECRET_GOOD_FOR = timedelta(hours=24)


def new_secret() -> str:
    """A signing secret of the Standard Webhooks specification: 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


class WebhookEndpoint(Row):
    """Where a tenant wants to be told, and of what."""

    MOST: ClassVar[int] = 10

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    actions = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=500, blank=True)
    sealed_secret = SealedField()
    sealed_previous = SealedField(blank=True)
    previous_until = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["tenant", "id"], name="webhook_by_tenant")]

    def __str__(self) -> str:
        return self.description or self.url

    @property
    def name(self) -> str:
        """What events call it."""
        return self.description or self.host

    @property
    def host(self) -> str:
        """What events tell of its address: the rest may let in whoever reads it."""
        return urlsplit(self.url).hostname or ""

    def wants(self, event: Event) -> bool:
        """Whether this event goes here. A test goes to the endpoint that is tested only."""
        if event.action == "webhook.tested":
            return event.subject_id == self.pk
        return any(_covers(pattern, event.action) for pattern in self.actions)

    def set_secret(self, secret: str) -> None:
        """Sign with this from now on, and with the present one as well for a day."""
        self.sealed_previous, self.previous_until = "", None
        # One that cannot be opened signs nothing any more; that must not keep it from a new one.
        with contextlib.suppress(Unsealable):
            if self.sealed_secret:
                present = unseal(self.sealed_secret, row=self, column="sealed_secret")
                self.sealed_previous = seal(present, row=self, column="sealed_previous")
                self.previous_until = timezone.now() + OLD_SECRET_GOOD_FOR
        self.sealed_secret = seal(secret, row=self, column="sealed_secret")

    def secrets(self) -> list[str]:
        """What signs a delivery now, the present secret first: for the sender only.

        Raises `Unsealable`.
        """
        found = [unseal(self.sealed_secret, row=self, column="sealed_secret")]
        if self.previous_until and timezone.now() < self.previous_until:
            with contextlib.suppress(Unsealable):  # the present one signs
                found.append(unseal(self.sealed_previous, row=self, column="sealed_previous"))
        return found


def _covers(pattern: str, action: str) -> bool:
    if pattern.endswith(".*"):
        return action.startswith(pattern[:-1])
    return pattern in {"*", action}


class DeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    """What deliveries are called."""

    def due(self, now: datetime, *, each: int) -> "DeliveryQuerySet":
        """Those to be sent now, oldest first, so few that no endpoint has more than `each` open."""
        held = models.Case(models.When(claimed_until__gte=now, then=0), default=1)
        first = self.filter(
            status=WebhookDelivery.PENDING, next_at__lte=now, endpoint__enabled=True
        ).annotate(
            # Those in somebody's hands take the first places.
            place=models.Window(
                RowNumber(),
                partition_by=F("endpoint_id"),
                order_by=[held, F("next_at"), F("id")],
            )
        )
        return (
            self.filter(pk__in=first.filter(place__lte=each).values("pk"))
            .free(now)
            .order_by("next_at", "id")
        )

    def free(self, now: datetime) -> "DeliveryQuerySet":
        """Those that are to be sent and in nobody's hands."""
        return self.filter(
            Q(claimed_until=None) | Q(claimed_until__lt=now), status=WebhookDelivery.PENDING
        )


class WebhookDelivery(StatusRow):
    """One event on its way to one endpoint. Its id is the `webhook-id` of every try."""

    PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
    STATUSES: ClassVar[dict[str, str]] = {
        PENDING: "On its way",
        DELIVERED: "Delivered",
        FAILED: "Failed",
    }
    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {
        PENDING: frozenset({PENDING, DELIVERED, FAILED}),
        DELIVERED: frozenset({PENDING}),
        FAILED: frozenset({PENDING}),
    }

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(Event, models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, default=PENDING)
    attempts = models.PositiveIntegerField(default=0)
    # Failed tries since it was last asked for: the place in the schedule.
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=500, blank=True)
    response = models.TextField(blank=True)
    duration_ms = models.PositiveIntegerField(null=True)
    delivered_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="one_delivery_each"),
        ]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="delivery_by_endpoint"),
            models.Index(
                fields=["next_at"], name="delivery_pending", condition=Q(status="pending")
            ),
            models.Index(fields=["claim"], name="delivery_by_claim"),
        ]

    def __str__(self) -> str:
        return f"{self.event.action} to {self.endpoint}"

    @property
    def webhook_id(self) -> str:
        """The message's id, the same for every try, so that a receiver can tell a repetition."""
        return f"msg_{self.pk.hex}"

    @property
    def status_label(self) -> str:
        return self.STATUSES[self.status]

    def body(self) -> bytes:
        """What is sent: type, time and data (Standard Webhooks, "payload structure")."""
        event = self.event
        return json.dumps(
            {
                "type": event.action,
                "timestamp": event.created_at.isoformat(),
                "data": {
                    "id": str(event.pk),
                    "sentence": event.sentence,
                    "subject": {
                        "type": event.subject_type,
                        "id": str(event.subject_id) if event.subject_id else None,
                    },
                    "actor": {
                        "id": str(event.user_id) if event.user_id else None,
                        "name": event.actor_name,
                        "via": event.via,
                    },
                    "changes": event.changes,
                },
            },
            separators=(",", ":"),
        ).encode()


class WebhookAttempt(models.Model):
    """One try of a delivery, for its log."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True)
    response = models.TextField(blank=True)
    duration_ms = models.PositiveIntegerField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["at"], name="attempt_by_time")]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.status or self.error}"

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def tenant_model() -> Any:
    """The model of tenants, which stands above this app."""
    return Event._meta.get_field("tenant").related_model
