"""Confirming a browser's session with a fresh code, so that an open screen is not enough."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.services import record
from mpanel.core.actor import Actor
from mpanel.core.errors import InvalidToken
from tenants import selectors
from tenants.models import OneTimeCode, Session
from tenants.services.codes import ask_for_code, check_code, use_up


@transaction.atomic
def ask_to_confirm(actor: Actor) -> OneTimeCode:
    """Send the person a code that confirms this session. Raises `TooManyRequests`."""
    actor.require_person()
    return ask_for_code(
        actor.email,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.CONFIRM,
        subject_id=actor.session_id,
    )


def confirm_session(actor: Actor, code: str) -> None:
    """For a while this session may do what `Actor.require_fresh_code` guards.

    Raises `CodeRefused`, `TooManyRequests`.
    """
    actor.require_person()
    if actor.session_id is None:
        raise InvalidToken
    # Outside the transaction, so that a wrong try counts even though it is refused.
    checked = check_code(
        actor.email,
        code,
        address=actor.address,
        device=actor.session_id,
        purpose=OneTimeCode.CONFIRM,
        about=Q(subject_id=actor.session_id),
    )
    with transaction.atomic():
        use_up(checked)
        session = selectors.get_session(actor, actor.session_id)
        Session.objects.filter(pk=session.pk).update(confirmed_at=timezone.now())
        record(actor, "session.confirmed", session, f"Confirmed the session of {session}.")
