"""Signing a browser in and out: Django's session holds the id of ours."""

from dataclasses import replace
from datetime import timedelta
from typing import TypedDict
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import login, logout, update_session_auth_hash
from django.core import signing
from django.http import HttpRequest, HttpResponse

from mpanel.core.actor import Actor
from mpanel.core.interrupted import tell_what_was_not_done
from tenants import selectors, services
from tenants.models import Session, User

KEY = "mpanel_session"
DEVICE_COOKIE = "mpanel_device"
DEVICE_LASTS = timedelta(days=400)  # the most that browsers keep a cookie
BACKEND = "django.contrib.auth.backends.ModelBackend"


class Origin(TypedDict):
    """Network address and known device of a request."""

    address: str
    device: UUID | None


def sign_in(request: HttpRequest, user: User, *, by_link: bool = False) -> Session:
    """Start a session of this browser for a user who has proved who they are.

    `by_link`: with a link that was made in another session of theirs.
    """
    device = device_of(request) or uuid4()
    session = services.start_session(
        user,
        kind=Session.BROWSER,
        address=getattr(request, "address", ""),
        user_agent=request.headers.get("User-Agent", ""),
        device=device,
        by_link=by_link,
    )
    request.new_device = device  # type: ignore[attr-defined]  # the middleware sets the cookie
    login(request, user, backend=BACKEND)
    request.session[KEY] = str(session.pk)
    tell_what_was_not_done(request)
    return session


def device_of(request: HttpRequest) -> UUID | None:
    """The id that we gave this browser when somebody signed in; it proves nothing else."""
    try:
        return UUID(request.get_signed_cookie(DEVICE_COOKIE, salt=DEVICE_COOKIE))
    except (KeyError, signing.BadSignature, ValueError):
        return None


def origin(request: HttpRequest) -> Origin:
    """Where a request comes from, as the services that count want to know it."""
    return {"address": getattr(request, "address", ""), "device": device_of(request)}


def remember_device(request: HttpRequest, response: HttpResponse) -> None:
    """Give a browser that signed in its id, which outlives the sign-in."""
    device: UUID | None = getattr(request, "new_device", None)
    if device is not None:
        response.set_signed_cookie(
            DEVICE_COOKIE,
            str(device),
            salt=DEVICE_COOKIE,
            max_age=DEVICE_LASTS,
            httponly=True,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )


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
    actor = selectors.actor_in(session, address=address, request_id=request_id)
    return replace(actor, needs_code=not session.is_confirmed)
