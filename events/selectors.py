"""Reading what happened."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from events.models import Event
from mpanel.core.actor import Actor


def trail(actor: Actor, *, subject_ids: Sequence[UUID] = ()) -> QuerySet[Event]:
    """The tenant's events, newest first; of these subjects only, where some are named."""
    found = Event.objects.filter(tenant_id=actor.tenant_id)
    return found.filter(subject_id__in=subject_ids) if subject_ids else found
