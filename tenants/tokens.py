"""Access and refresh tokens (JWT, RFC 7519; HS256 only), both bound to a session.

An access token is good for 15 minutes and only while its session lives; a refresh token until the
session's end, once.
"""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from mpanel.core.errors import InvalidToken
from tenants.models import Session

if TYPE_CHECKING:
    from rest_framework_simplejwt.tokens import Token

SESSION_CLAIM = "sid"
ACCESS, REFRESH = "AccessToken", "RefreshToken"


def access_token(session: Session) -> str:
    """A token that acts in this session."""
    return _token(ACCESS, session, "")


def refresh_token(session: Session) -> str:
    """The token for which the session gives the next pair: its present `refresh_id`."""
    return _token(REFRESH, session, session.refresh_id)


def read_access(text: str) -> tuple[UUID, UUID]:
    """The session of an access token, and the user it was made for. Raises `InvalidToken`."""
    token = _read(ACCESS, text)
    return _id_in(token, SESSION_CLAIM), _id_in(token, "sub")


def read_refresh(text: str) -> tuple[UUID, UUID, str]:
    """The session of a refresh token, its user, and the token's own id. Raises `InvalidToken`."""
    token = _read(REFRESH, text)
    return _id_in(token, SESSION_CLAIM), _id_in(token, "sub"), str(token.payload.get("jti", ""))


def _token(kind: str, session: Session, token_id: str) -> str:
    token = _library(kind)()
    token[SESSION_CLAIM] = str(session.pk)
    token["sub"] = str(session.membership.user_id)
    if token_id:
        token["jti"] = token_id
    return str(token)


def _library(kind: str) -> Any:
    """The library's class. It reads `SECRET_KEY` when it is imported, and a first start has none
    yet, so it is imported when a token is needed."""
    from rest_framework_simplejwt import tokens

    return getattr(tokens, kind)


def _read(kind: str, text: str) -> "Token":
    from rest_framework_simplejwt.exceptions import TokenError

    try:
        token: Token = _library(kind)(text)
        return token
    except (TokenError, ValueError, TypeError):
        raise InvalidToken from None


def _id_in(token: "Token", claim: str) -> UUID:
    try:
        return UUID(token.payload[claim])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InvalidToken from None
