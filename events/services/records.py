"""Writing down what happened."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Model

from events.models import Event
from mpanel.core.actor import Actor
from mpanel.core.bulk import PreparedRows


def record(
    actor: Actor,
    action: str,
    subject: Model,
    sentence: str,
    *,
    changes: dict[str, Any] | None = None,
) -> Event:
    """Record one change inside the caller's transaction.

    `action` is `noun.past_participle` (`domain.connected`), `sentence` is what a person reads in
    the trail. Neither it nor `changes` may hold a secret. The relay seals it and passes it on.
    """
    event = _event(actor, action, subject, sentence, changes or {})
    event.save()
    return event


def record_each(
    actor: Actor, action: str, subjects: Sequence[Model], sentence: Callable[[Model], str]
) -> None:
    """`record` for each of many subjects, in one statement."""
    prepare_each(actor, action, subjects, sentence).insert()


def prepare_each(
    actor: Actor, action: str, subjects: Sequence[Model], sentence: Callable[[Model], str]
) -> PreparedRows[Event]:
    """What `record_each` records, for who inserts it later, when something is locked."""
    return PreparedRows([_event(actor, action, one, sentence(one), {}) for one in subjects])


def _event(
    actor: Actor, action: str, subject: Model, sentence: str, changes: dict[str, Any]
) -> Event:
    return Event(
        tenant_id=actor.tenant_id,
        user_id=actor.user_id,
        actor_name=actor.email or "mPanel",
        via=actor.via,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        subject_type=type(subject).__name__.lower(),
        subject_id=subject.pk if isinstance(subject.pk, UUID) else None,
        sentence=sentence,
        changes=changes,
    )
