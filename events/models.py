"""What happened, sealed into one chain per tenant; who is told of it, in here, by mail, by webhook.

Events are written by services in their own transaction and never changed. The relay seals them
and makes the notifications and deliveries that follow (`events/relay.py`).
"""

import base64
import contextlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Any, ClassVar, NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import RowNumber
from django.utils import timezone

from mpanel.core.models import Row, StatusRow
from mpanel.core.secrets import SealedField, Unsealable, seal, unseal

SECRET_PREFIX = "whsec_"  # noqa: S105  (how every such secret begins)
OLD_SECRET_GOOD_FOR = timedelta(hours=24)


class EventIsFinal(TypeError):
    """An event is written once: it is never changed and never deleted."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise EventIsFinal(EventIsFinal.__doc__)


class EventQuerySet(models.QuerySet["Event"]):
    """Events can be added and read."""

    update = bulk_update = delete = _refuse

    def waiting(self) -> "EventQuerySet":
        """Those that the relay has not seen yet."""
        return self.filter(seq=None)


class Event(Row):
    """Somebody did something to a subject. `changes` never holds a secret.

    `seq` and `hash` are its place in the tenant's chain, given by the relay shortly afterwards.
    A user who is deleted stays in the trail, by id and name.
    """

    tenant = models.ForeignKey("tenants.Tenant", models.PROTECT, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="+",
    )
    actor_name = models.CharField(max_length=254)
    via = models.CharField(max_length=200, blank=True)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=32)
    subject_id = models.UUIDField(null=True)
    sentence = models.TextField()
    changes = models.JSONField(default=dict)
    seq = models.PositiveBigIntegerField(null=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "seq"], name="one_event_per_place"),
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="event_by_tenant"),
            models.Index(fields=["tenant", "subject_id", "-id"], name="event_by_subject"),
            models.Index(fields=["id"], name="event_waiting", condition=Q(seq=None)),
        ]

    def __str__(self) -> str:
        return f"{self.action}: {self.sentence}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            _refuse()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()


class Chain(models.Model):
    """The end of a tenant's chain of events: how many are sealed, and the hash of the last."""

    tenant = models.OneToOneField(
        "tenants.Tenant", models.PROTECT, primary_key=True, related_name="+"
    )
    seq = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.seq}"


# --- Notifications ---------------------------------------------------------------------------


class NotificationQuerySet(models.QuerySet["Notification"]):
    """What notifications are called."""

    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at=None)

    def to_mail(self, now: datetime) -> "NotificationQuerySet":
        """Those whose e-mail is wanted, not sent, and in nobody's hands."""
        return self.filter(
            Q(mail_claimed_until=None) | Q(mail_claimed_until__lt=now),
            by_mail=True,
            mailed_at=None,
            mail_tries__lt=Notification.MAIL_TRIES,
        )


class Notification(Row):
    """One person is told of one event."""

    MAIL_TRIES: ClassVar[int] = 12

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    event = models.ForeignKey(Event, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=64)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    link = models.CharField(max_length=500, blank=True)
    in_app = models.BooleanField(default=True)
    read_at = models.DateTimeField(null=True)
    by_mail = models.BooleanField(default=False)
    mailed_at = models.DateTimeField(null=True)
    mail_claimed_until = models.DateTimeField(null=True)
    mail_tries = models.PositiveSmallIntegerField(default=0)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["event", "user", "kind"], name="told_once"),
        ]
        indexes = [
            models.Index(fields=["user", "tenant", "-id"], name="notification_by_user"),
            models.Index(
                fields=["user", "tenant"],
                name="notification_unread",
                condition=Q(read_at=None, in_app=True),
            ),
            models.Index(
                fields=["id"],
                name="notification_to_mail",
                condition=Q(by_mail=True, mailed_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Preference(Row):
    """How a person wants to be told of a kind, where that differs from the kind's own way."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    kind = models.CharField(max_length=64)
    in_app = models.BooleanField()
    email = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant", "kind"], name="one_wish_per_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.in_app}, {self.email}"


# --- Webhooks --------------------------------------------------------------------------------


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
