"""What was proved before a lock was waited for must still hold under it.

A password reset, a suspension or the end of all sessions takes the user's row first, and then ends
what there is. What begins something new takes the same row: either it sees the change, or its own
row is there to be ended.
"""

from django.db import transaction

from mpanel.core.actor import Actor
from mpanel.core.errors import InvalidToken, Unauthorized
from tenants.models import Session, User


class SignInOutdated(Unauthorized):
    """Your password was changed while you signed in. Please sign in again."""

    code = "SIGN_IN_OUTDATED"


def hold_user(user: User) -> User:
    """The user as they are now, held until the transaction ends.

    `user`: as they were when they proved who they are. Raises `SignInOutdated` where the password
    was changed since; whether they may sign in at all (`is_active`) is for the caller to see.
    """
    assert transaction.get_connection().in_atomic_block
    present = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
    if present is None or present.password != user.password:
        raise SignInOutdated
    return present


def hold_session(actor: Actor) -> None:
    """Raise `InvalidToken` where the session that asks was ended since it was looked up.

    For what outlives a session: keys, links, invitations. Lock the user before the tenant.
    """
    assert transaction.get_connection().in_atomic_block
    user = User.objects.select_for_update(no_key=True).filter(pk=actor.person_id, is_active=True)
    if not user.exists():
        raise InvalidToken
    if actor.session_id and not Session.objects.live().filter(pk=actor.session_id).exists():
        raise InvalidToken
