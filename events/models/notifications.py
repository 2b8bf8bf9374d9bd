"""What people are told of events, and what they want to be told."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from events.models.events import Event
from mpanel.core.models import Row


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
