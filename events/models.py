"""One record per change; written by services in their own transaction, never changed."""

from django.conf import settings
from django.db import models

from mpanel.core.models import Row


class Event(Row):
    """Somebody did something to a subject. `changes` never holds a secret."""

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(max_length=254)
    address = models.CharField(max_length=45, blank=True)
    action = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=32)
    subject_id = models.UUIDField(null=True)
    sentence = models.TextField()
    changes = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="event_by_tenant"),
            models.Index(fields=["tenant", "subject_id", "-id"], name="event_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action}: {self.sentence}"
