"""What every table shares: time-ordered ids, timestamps, and the one door of a status."""

from typing import Any, ClassVar, Self
from uuid import UUID

import uuid6
from django.db import models
from django.utils import timezone

from mpanel.core.errors import Conflict
from mpanel.core.secrets import SealedField, seal, unseal


def new_id() -> UUID:
    """A UUID of version 7 (RFC 9562): ordered by time, so that indexes stay compact."""
    return UUID(bytes=uuid6.uuid7().bytes)


class Row(models.Model):
    """A table's row: id, and when it was made and last changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class StatusRow(Row):
    """A row with a status that moves only along `TRANSITIONS`."""

    TRANSITIONS: ClassVar[dict[str, frozenset[str]]] = {}

    status = models.CharField(max_length=32)

    class Meta:
        abstract = True

    def can_move(self, to: str) -> bool:
        """Whether the present status allows this move."""
        return to in self.TRANSITIONS.get(self.status, frozenset())

    def move(self, to: str, **changes: Any) -> Self:
        """Move to another status, and change these columns with it, by compare-and-set.

        Raises `Conflict` where the move is not allowed, or somebody else moved the row first.
        """
        if not self.can_move(to):
            raise Conflict(
                f"Its status is {self.status.replace('_', ' ')}, so it cannot become "
                f"{to.replace('_', ' ')}."
            )
        changes = {"status": to, "updated_at": timezone.now(), **changes}
        rows = type(self)._base_manager.filter(pk=self.pk, status=self.status)
        if rows.update(**changes) != 1:
            raise Conflict("This was changed by somebody else just now. Please look again.")
        for name, value in changes.items():
            setattr(self, name, value)
        return self


class RateWindow(models.Model):
    """How many requests were counted for a bucket in one window of time."""

    bucket = models.CharField(max_length=120, primary_key=True)
    used = models.PositiveIntegerField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["updated_at"], name="window_by_age")]

    def __str__(self) -> str:
        return self.bucket


class IdempotentAnswer(models.Model):
    """What a request with an `Idempotency-Key` was answered; sealed, for it may hold a secret."""

    id = models.CharField(max_length=64, primary_key=True)
    request_digest = models.CharField(max_length=64)
    # The role in which it was asked for; "" where nobody signed in.
    role = models.CharField(max_length=20, blank=True, default="")
    # Whether it may hold what an older browser session is asked a fresh code for.
    was_confirmed = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField(default=0)
    sealed = SealedField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="answer_by_age")]

    def __str__(self) -> str:
        return self.id

    def keep(self, *, status: int, body: str) -> None:
        """Keep an answer for the next request with this key."""
        self.status, self.sealed = status, seal(body, row=self, column="sealed")
        self.save(update_fields=["status", "sealed"])

    def answer(self) -> str:
        """The body that was kept, as JSON text."""
        return unseal(self.sealed, row=self, column="sealed")
