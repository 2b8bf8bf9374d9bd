"""Signing a browser in and out: Django's session holds the id of ours."""

from uuid import UUID

from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest

from mpanel.core.actor import Actor
from tenants import selectors, services
from tenants.models import Session, User

KEY = "mpanel_session"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def sign_in(request: HttpRequest, user: User) -> Session:
    """Start a session of this browser for a user who has proved who they are."""
    session = services.start_session(
        user,
        kind=Session.BROWSER,
        address=getattr(request, "address", ""),
        user_agent=request.headers.get("User-Agent", ""),
    )
    login(request, user, backend=BACKEND)
    request.session[KEY] = str(session.pk)
    return session


def keep_signed_in(request: HttpRequest, user: User) -> None:
    """Go on in this session after the password was changed, which ends it for Django otherwise."""
    update_session_auth_hash(request, user)


def sign_out(request: HttpRequest, actor: Actor | None) -> None:
    """End the session in which this person acts, and forget the browser's."""
    if actor is not None and actor.session_id is not None:
        services.end_session(actor, actor.session_id)
    logout(request)


def actor_of(request: HttpRequest) -> Actor | None:
    """Who is signed in; a session that was ended elsewhere is signed out here."""
    user = request.user
    if not isinstance(user, User):
        return None
    known = request.session.get(KEY)
    session = selectors.live_session(UUID(known)) if known else None
    if session is None or session.membership.user_id != user.pk:
        logout(request)
        return None
    if not selectors.may_act(session.membership):
        return None
    address: str = getattr(request, "address", "")
    services.note_use(session, address=address)
    request_id: str = getattr(request, "request_id", "")
    return selectors.actor_in(session, address=address, request_id=request_id)
