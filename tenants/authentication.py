"""Who calls the JSON API: an access token, an API key, or the browser's session."""

from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from mpanel.core.actor import Actor
from mpanel.core.errors import Forbidden, InvalidToken
from tenants import selectors, services, tokens
from tenants.models import ApiKey, Session
from tenants.services import AccountClosed


class CsrfFailed(Forbidden):
    """The browser's session needs the header X-CSRFToken for this. A token needs none."""

    code = "CSRF_FAILED"


class Bearer(BaseAuthentication):
    """`Authorization: Bearer` with an access token (JWT) or an API key (`mpk_...`)."""

    def authenticate(self, request: Request) -> tuple[Actor, Actor] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None  # an empty one is no token either, and no way to the browser's session
        scheme, _, credential = header.partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise InvalidToken
        actor = actor_of_bearer(
            credential.strip(),
            address=getattr(request._request, "address", ""),
            request_id=getattr(request._request, "request_id", ""),
        )
        return actor, actor


class BrowserSession(BaseAuthentication):
    """The browser's session, with Django's check against forged requests."""

    def authenticate(self, request: Request) -> tuple[Actor, Actor] | None:
        actor: Actor | None = getattr(request._request, "actor", None)
        if actor is None:
            if request._request.user.is_authenticated:
                raise AccountClosed  # signed in, but the user or the tenant is suspended
            return None
        check = CSRFCheck(lambda _request: None)  # type: ignore[arg-type]
        check.process_request(request._request)
        if check.process_view(request._request, None, (), {}):  # type: ignore[arg-type]
            raise CsrfFailed
        return actor, actor


def actor_of_bearer(credential: str, *, address: str, request_id: str) -> Actor:
    """Who acts with this token or key. Raises `InvalidToken`, `AccountClosed`."""
    found: ApiKey | Session | None
    if services.is_api_key(credential):
        found = services.find_api_key(credential, address=address)
        actor = selectors.actor_of_key(found, address=address, request_id=request_id)
    else:
        session_id, user_id = tokens.read_access(credential)
        found = selectors.live_session(session_id)
        if found is None or found.membership.user_id != user_id:
            raise InvalidToken
        services.note_use(found, address=address)
        actor = selectors.actor_in(found, address=address, request_id=request_id)
    if not selectors.may_act(found.membership):
        raise AccountClosed
    return actor
