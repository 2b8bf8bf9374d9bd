"""The few errors that services raise; mapped to HTTP in one place and to pages in one place.

A subclass is a fact (`DomainTaken`), its `code` never changes, and its docstring is the sentence
for the person who must act, used where no other message is given.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class MPanelError(Exception):
    """Something went wrong on our side."""

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 500
    # The title of its page and the page that says what to do, where it has its own.
    title: ClassVar[str] = ""
    remedy: ClassVar[str] = ""

    def __init__(self, message: str = "", *, details: Mapping[str, Any] | None = None) -> None:
        self.message = message or " ".join((self.__doc__ or "").split())
        self.details = dict(details or {})
        super().__init__(self.message)


class Invalid(MPanelError):
    """Please correct the input."""

    code = "VALIDATION_ERROR"
    status = 400

    @classmethod
    def field(cls, name: str, *messages: str) -> "Invalid":
        """The error of one field, with the field's messages as its details."""
        details: dict[str, Sequence[str]] = {name: list(messages)}
        return cls(messages[0], details=details)


class Unauthorized(MPanelError):
    """Please sign in, or send an access token or an API key."""

    code = "UNAUTHORIZED"
    status = 401


class InvalidToken(Unauthorized):
    """This token is invalid or has expired. Please sign in again."""

    code = "INVALID_TOKEN"


class LimitExceeded(MPanelError):
    """Your plan does not allow that many."""

    code = "PLAN_LIMIT_EXCEEDED"
    status = 402
    title = "Your plan is full"
    remedy = "settings-plan"


class Forbidden(MPanelError):
    """Your role does not allow this. Ask an owner or admin of your organisation."""

    code = "FORBIDDEN"
    status = 403


class NotFound(MPanelError):
    """There is no such thing here."""

    code = "NOT_FOUND"
    status = 404


class Conflict(MPanelError):
    """The current state does not allow this."""

    code = "CONFLICT"
    status = 409


class Gone(MPanelError):
    """This was used already, or has expired."""

    code = "GONE"
    status = 410


class TooLarge(MPanelError):
    """The request is too large."""

    code = "TOO_LARGE"
    status = 413


class TooManyRequests(MPanelError):
    """Too many tries. Please wait a little."""

    code = "RATE_LIMITED"
    status = 429

    def __init__(self, message: str = "", *, retry_after: int = 60) -> None:
        super().__init__(message, details={"retry_after": retry_after})
        self.retry_after = retry_after


class Unavailable(MPanelError):
    """The database is unavailable. Please try again in a moment."""

    code = "UNAVAILABLE"
    status = 503

    def __init__(self, message: str = "", *, retry_after: int = 5) -> None:
        super().__init__(message, details={"retry_after": retry_after})


class ProviderError(MPanelError):
    """An outside service failed.

    `error_code`: stable, upper case, ours (`RATE_LIMITED`, `INVALID_CREDENTIALS`, ...).
    `retryable`: the same call may succeed later. `ambiguous`: the call may have taken effect, so
    observe before trying again. `retry_after`: seconds that the vendor asked us to wait.
    """

    code = "PROVIDER_ERROR"
    status = 502

    def __init__(
        self,
        error_code: str,
        message: str,
        *,
        retryable: bool,
        ambiguous: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, details={"code": error_code})
        self.error_code = error_code
        self.retryable = retryable
        self.ambiguous = ambiguous
        self.retry_after = retry_after
