"""Sessions: started by signing in, used, rotated, ended."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import ua_parser
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from events.services import record
from mpanel.core.actor import Actor
from mpanel.core.errors import InvalidToken
from mpanel.core.networks import network_of
from mpanel.core.pruning import prune
from tenants import selectors, tokens
from tenants.models import LoginLink, Membership, Session, User
from tenants.services.accounts import AccountClosed, open_account
from tenants.services.still_valid import hold_user
from tenants.team.selectors import get_organisation

LASTS = settings.SESSION_LASTS  # after its last use
NOTED_EVERY = timedelta(minutes=1)  # how exactly the last use is known


@transaction.atomic
def start_session(
    user: User,
    *,
    kind: str,
    address: str,
    user_agent: str = "",
    device: UUID | None = None,
    by_link: bool = False,
) -> Session:
    """A new session of this user, as they were when they proved who they are.

    Raises `AccountClosed`, and `SignInOutdated` where the password was changed since.

    Somebody who left their only tenant gets one of their own. From now on the browser `device` and
    the network are known (see `tenants.services.guesses`). `by_link`: another session vouches for
    the person, who gives a fresh code before anything that asks for one.
    """
    user = hold_user(user)
    if not user.is_active:
        raise AccountClosed
    membership = selectors.membership_of(user)
    if membership is None and not user.memberships.exists():
        open_account(user.email, address=address)
        membership = selectors.membership_of(user)
    if membership is None:
        raise AccountClosed
    session = Session.objects.create(
        membership=membership,
        kind=kind,
        device=device_name(user_agent),
        address=address,
        device_key=device,
        network=network_of(address),
        expires_at=timezone.now() + LASTS,
        refresh_id=uuid4().hex,
        confirmed_at=None if by_link else timezone.now(),
    )
    actor = selectors.actor_in(session, address=address)
    record(actor, "session.started", session, f"Signed in with {session}.")
    return session


def rotate(refresh_token: str, *, arrived_at: datetime) -> Session:
    """The session with its next refresh token, for the present one; of parallel tries one wins.

    A token that was replaced before this request arrived has been stolen, or its answer was lost:
    either way the session ends. Raises `InvalidToken`; `AccountClosed` while user or tenant is
    suspended, which leaves the token as it is.
    """
    session_id, user_id, refresh_id = tokens.read_refresh(refresh_token)
    session = selectors.live_session(session_id)
    if session is not None and session.membership.user_id != user_id:
        raise InvalidToken
    if session is not None and not selectors.may_act(session.membership):
        raise AccountClosed
    now = timezone.now()
    present = Session.objects.live().filter(pk=session_id, refresh_id=refresh_id)
    if not present.update(
        refresh_id=uuid4().hex,
        rotated_at=now,
        last_used_at=now,
        expires_at=now + LASTS,
    ):
        replayed = Session.objects.live().filter(pk=session_id)
        stolen = replayed.filter(Q(rotated_at__lt=arrived_at)).exclude(refresh_id=refresh_id)
        if reused := stolen.select_related("membership__user").first():
            _end([reused], reason="refresh token reused")
            _forget_devices(Session.objects.filter(pk=reused.pk))
        raise InvalidToken
    session = selectors.live_session(session_id)
    if session is None:
        raise InvalidToken
    return session


def note_use(session: Session, *, address: str) -> None:
    """Remember when and from where a session was used, to the minute."""
    now = timezone.now()
    if session.last_used_at < now - NOTED_EVERY:
        Session.objects.filter(pk=session.pk).update(
            last_used_at=now,
            address=address,
            network=network_of(address),
            expires_at=now + LASTS,
        )


@transaction.atomic
def end_session(actor: Actor, session_id: UUID) -> None:
    """End one of the person's own sessions. Raises `SessionNotFound`.

    Who signs out is known when they come back; another device is not, once its session was ended.
    """
    actor.require_person()
    session = selectors.get_session(actor, session_id)
    _end([session], reason="ended", actor=actor)
    if session.pk != actor.session_id:
        same_device = Q(pk=session.pk)
        if session.device_key is not None:
            same_device |= Q(device_key=session.device_key)
        _forget_devices(Session.objects.filter(same_device, membership=session.membership_id))


@transaction.atomic
def end_other_sessions(actor: Actor) -> int:
    """End all of the person's sessions but the present one; how many."""
    actor.require_person()
    others = [row for row in selectors.sessions(actor) if row.pk != actor.session_id]
    _end(others, reason="ended", actor=actor)
    elsewhere = Session.objects.filter(membership__user=actor.user_id)
    if actor.session_id is not None:
        elsewhere = elsewhere.exclude(pk=actor.session_id)
    _forget_devices(elsewhere)
    return len(others)


@transaction.atomic
def switch_organisation(actor: Actor, tenant_id: UUID) -> Session:
    """Act in another tenant of the person's from now on, in the same session.

    Raises `TenantNotFound`.
    """
    actor.require_person()
    membership = get_organisation(actor, tenant_id)
    if actor.session_id is None:
        raise InvalidToken
    Session.objects.live().filter(pk=actor.session_id).update(membership=membership)
    session = selectors.live_session(actor.session_id)
    if session is None:
        raise InvalidToken
    if tenant_id != actor.tenant_id:
        present = selectors.actor_in(session, address=actor.address, request_id=actor.request_id)
        record(
            present, "session.switched", session, f"Switched to this organisation with {session}."
        )
    return session


def end_all_sessions(user: User, *, reason: str) -> None:
    """End every session of a user, e.g. after the password was reset."""
    _end(
        list(Session.objects.live().filter(membership__user=user).select_related("membership")),
        reason=reason,
    )
    _forget_devices(Session.objects.filter(membership__user=user))


def end_sessions_of(
    membership: Membership, *, reason: str, actor: Actor, only: UUID | None = None
) -> int:
    """End a member's sessions, all or `only` one, by somebody who may; how many."""
    live = Session.objects.live().filter(membership=membership)
    ended = list(live.filter(pk=only) if only else live)
    _end(ended, reason=reason, actor=actor)
    every = Session.objects.filter(membership=membership)
    _forget_devices(every.filter(pk=only) if only else every)
    return len(ended)


def device_name(user_agent: str) -> str:
    """What a person recognises in a User-Agent header: "Firefox on Linux"."""
    seen = ua_parser.parse(user_agent[:1000])
    browser = seen.user_agent.family if seen.user_agent else ""
    system = seen.os.family if seen.os else ""
    if browser and system:
        return f"{browser} on {system}"[:120]
    return (browser or user_agent.split("/", maxsplit=1)[0].strip() or "an unknown client")[:120]


def forget_old_sessions() -> bool:
    """Drop sessions that ended a good while ago."""
    old = timezone.now() - timedelta(days=30)
    return prune(Session.objects.filter(Q(ended_at__lt=old) | Q(expires_at__lt=old)))


def _forget_devices(sessions: QuerySet[Session]) -> None:
    """Who comes from there is a stranger again."""
    sessions.update(device_key=None, network="")


def _end(sessions: list[Session], *, reason: str, actor: Actor | None = None) -> None:
    now = timezone.now()
    for session in sessions:
        rows = Session.objects.filter(pk=session.pk, ended_at=None)
        if rows.update(ended_at=now, end_reason=reason):
            who = actor or selectors.actor_in(session, address="")
            record(who, "session.ended", session, f"Ended the session of {session}: {reason}.")
    members = {session.membership_id for session in sessions}
    # A link that was made in one of them would be a way back in.
    LoginLink.objects.filter(membership_id__in=members, used_at=None).update(used_at=now)
