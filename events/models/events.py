"""What happened, sealed into one chain per tenant."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q

from mpanel.core.models import Row


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
