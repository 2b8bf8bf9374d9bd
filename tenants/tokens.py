"""Access and refresh tokens (JWT, RFC 7519; HS256 only), both bound to a session.

An access token is good for 15 minutes and only while its session lives; a refresh token until the
session's end, once.
"""

from uuid import UUID

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from mpanel.core.errors import InvalidToken
from tenants.models import Session

SESSION_CLAIM = "sid"


def access_token(session: Session) -> str:
    """A token that acts in this session."""
    return _token(AccessToken, session, "")


def refresh_token(session: Session) -> str:
    """The token for which the session gives the next pair: its present `refresh_id`."""
    return _token(RefreshToken, session, session.refresh_id)


def read_access(text: str) -> UUID:
    """The session of an access token. Raises `InvalidToken`."""
    return _session_of(_read(AccessToken, text))


def read_refresh(text: str) -> tuple[UUID, str]:
    """The session of a refresh token, and the token's own id. Raises `InvalidToken`."""
    token = _read(RefreshToken, text)
    return _session_of(token), str(token.payload.get("jti", ""))


def _token(kind: type[Token], session: Session, token_id: str) -> str:
    token = kind()
    token[SESSION_CLAIM] = str(session.pk)
    token["sub"] = str(session.membership.user_id)
    if token_id:
        token["jti"] = token_id
    return str(token)


def _read(kind: type[Token], text: str) -> Token:
    try:
        return kind(text)  # type: ignore[arg-type]
    except (TokenError, ValueError, TypeError):
        raise InvalidToken from None


def _session_of(token: Token) -> UUID:
    try:
        return UUID(token.payload[SESSION_CLAIM])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise InvalidToken from None
