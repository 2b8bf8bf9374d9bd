"""The outreach port: what mPanel asks of a tool that sends campaigns from a customer's inboxes."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

import httpx

from mailservers.providers.base import LoginSettings
from mpanel.core.authorities import certificate_authorities
from mpanel.core.errors import ProviderError
from mpanel.core.registry import CredentialField

KEY_REFUSED = "API_KEY_REFUSED"
RATE_LIMITED = "RATE_LIMITED"
LOGIN_REFUSED = "INVALID_CREDENTIALS"
NO_ANSWER = "NETWORK_ERROR"
SENDER_GONE = "SENDER_GONE"
NO_CAMPAIGN = "CAMPAIGN_NOT_FOUND"
LONGEST_ANSWER = 20_000_000  # bytes


@dataclass(frozen=True, kw_only=True)
class SenderLogin:
    """A mailbox as a tool is told of it. The user name is the address."""

    email: str
    first_name: str
    last_name: str
    password: str = field(repr=False)
    settings: LoginSettings

    @property
    def name(self) -> str:
        """What recipients see; the local part for a mailbox of nobody in particular."""
        return f"{self.first_name} {self.last_name}".strip() or self.email.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class WarmupSettings:
    """How a tool warms a mailbox up. All but `enabled` are messages a day.

    `max_email_per_day`: campaigns and warm-up together. `daily_rampup`: how many more each day.
    """

    enabled: bool = True
    max_email_per_day: int = 50
    total_per_day: int = 40
    daily_rampup: int = 5


@dataclass(frozen=True, kw_only=True)
class RemoteSender:
    """A mailbox as a tool knows it.

    `logs_in`: the tool's own last login worked. `is_active`: the tool may send from it or warm it
    up. `reputation`: 0 to 100, None where the tool says nothing.
    """

    id: str
    email: str
    logs_in: bool = True
    is_active: bool = True
    warmup_enabled: bool = False
    max_email_per_day: int | None = None
    reputation: int | None = None

    def has(self, warmup: WarmupSettings) -> bool:
        """Whether what can be seen of the settings is so."""
        daily = self.max_email_per_day in {None, warmup.max_email_per_day}
        return self.warmup_enabled == warmup.enabled and daily


@dataclass(frozen=True)
class Campaign:
    """A campaign at a tool. `status`: draft, active, paused, stopped, completed or other.

    `account`: the credential it was read through, set by who reads: ids of campaigns are the
    account's, and the same number may be another's at the next one.
    """

    id: str
    name: str
    status: str = "other"
    account: str = ""


@dataclass(frozen=True, kw_only=True)
class WarmupDayCount:
    """One day (UTC) of warm-up. None stands for what the tool does not count."""

    date: date
    sent: int
    delivered: int | None = None
    bounced: int | None = None
    replied: int = 0
    saved_from_spam: int = 0


class OutreachProvider(ABC):
    """Sends campaigns from mailboxes, and warms them up. Made with a customer's credentials.

    Every method may raise `ProviderError`: API_KEY_REFUSED, RATE_LIMITED, NETWORK_ERROR, or the
    vendor's own `error_code` for what it answers beyond that.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[tuple[CredentialField, ...]] = ()
    # The code of what the vendor answers and we know no better word for.
    error_code: ClassVar[str]
    # Seconds between two calls with one key that keep within the vendor's limit; callers wait.
    interval: ClassVar[float] = 0.0
    # How many mailboxes `warmup_days` takes at once.
    days_at_once: ClassVar[int] = 1
    # The header of the tool's own import file.
    import_columns: ClassVar[tuple[str, ...]]

    @abstractmethod
    def check_connection(self) -> str:
        """Say as whom or to what we are connected."""

    @abstractmethod
    def find_senders(self, emails: Collection[str]) -> dict[str, RemoteSender]:
        """Those of these addresses (lower case) that the tool knows. Changes nothing."""

    @abstractmethod
    def save_sender(
        self, login: SenderLogin, warmup: WarmupSettings, *, known: RemoteSender | None = None
    ) -> RemoteSender:
        """Hand a mailbox over; the tool logs in to it meanwhile, which may take a minute.

        `known`: what `find_senders` found of it just now; then it is brought up to date, since no
        tool takes an address twice. INVALID_CREDENTIALS where the tool cannot log in: nothing is
        left there then that was not there before.
        """

    @abstractmethod
    def set_warmup(self, sender_id: str, warmup: WarmupSettings) -> None:
        """Set how it is warmed up; may take effect a little later. SENDER_GONE."""

    @abstractmethod
    def stop_sender(self, sender_id: str) -> None:
        """No warm-up, and nothing more is sent; the tool keeps its history. Gone is fine."""

    @abstractmethod
    def campaigns(self) -> list[Campaign]:
        """All campaigns."""

    @abstractmethod
    def assigned_senders(self, campaign_id: str) -> frozenset[str]:
        """Ids of the senders of a campaign. CAMPAIGN_NOT_FOUND."""

    @abstractmethod
    def assign_to_campaign(self, campaign_id: str, sender_ids: Collection[str]) -> None:
        """Let these send for a campaign; whoever does so already goes on. CAMPAIGN_NOT_FOUND."""

    @abstractmethod
    def remove_from_campaign(self, campaign_id: str, sender_ids: Collection[str]) -> None:
        """Let these no longer send for a campaign. Harmless for those that do not."""

    @abstractmethod
    def warmup_days(self, sender_ids: Sequence[str]) -> dict[str, list[WarmupDayCount]]:
        """The last seven days of warm-up, of `days_at_once` senders at most, oldest day first.

        A sender that the tool does not know is left out.
        """

    @classmethod
    @abstractmethod
    def import_row(cls, login: SenderLogin, warmup: WarmupSettings) -> tuple[str, ...]:
        """A mailbox's cells of the import file, in the order of `import_columns`."""


# --- HTTP, as both vendors speak it ----------------------------------------------------------


class JsonApi:
    """A vendor's JSON API.

    Neither a request's body (it holds passwords) nor its answer (it may repeat them) nor its
    address (it may hold the key) gets into an error, and nothing is logged here. `params` are added
    below httpx's client, so that what the client logs and what its exceptions carry lacks them.
    """

    def __init__(
        self,
        label: str,
        error_code: str,
        base_url: str,
        *,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self._label = label
        self._error_code = error_code
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._params = dict(params or {})
        self._secrets = [*self._headers.values(), *self._params.values()]

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Any = None,
        timeout: float | None = None,
        refusals: Mapping[int, tuple[str, str]] | None = None,
    ) -> Any:
        """The answer's JSON. `refusals`: our code and sentence for a status, for a lasting no."""
        is_write = method != "GET"
        # No key has other characters, and a header cannot hold them.
        if not all(text.isascii() and text.isprintable() for text in self._secrets):
            raise self._key_refused()
        try:
            with httpx.Client(
                transport=_AddingTransport(self._params),
                follow_redirects=False,
                timeout=timeout or self._timeout,
            ) as client:
                answer = client.request(
                    method,
                    f"{self._base_url}{path}",
                    params=dict(query) if query else None,
                    json=body,
                    headers=self._headers,
                )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise self._silent(ambiguous=False) from None
        except (httpx.TransportError, httpx.DecodingError):
            raise self._silent(ambiguous=is_write) from None
        self._check(answer, refusals or {}, is_write=is_write)
        try:
            if len(answer.content) > LONGEST_ANSWER:
                raise ValueError("too long")
            return answer.json() if answer.content else None
        except ValueError:
            raise self.unreadable(is_write=is_write) from None

    def unreadable(self, *, is_write: bool = False) -> ProviderError:
        """The error for an answer that is not what the vendor documents."""
        message = f"{self._label} gave an answer that cannot be read."
        return ProviderError(self._error_code, message, retryable=True, ambiguous=is_write)

    def _key_refused(self) -> ProviderError:
        message = f"{self._label} refused the API key. Enter a new one under Credentials."
        return ProviderError(KEY_REFUSED, message, retryable=False)

    def _silent(self, *, ambiguous: bool) -> ProviderError:
        message = f"{self._label} does not answer."
        return ProviderError(NO_ANSWER, message, retryable=True, ambiguous=ambiguous)

    def _check(
        self, answer: httpx.Response, refusals: Mapping[int, tuple[str, str]], *, is_write: bool
    ) -> None:
        status = answer.status_code
        if status in refusals:
            raise ProviderError(*refusals[status], retryable=False)
        if status in {401, 403}:
            raise self._key_refused()
        if status == 429:
            message = f"{self._label} asks to send fewer requests."
            raise ProviderError(RATE_LIMITED, message, retryable=True, retry_after=_seconds(answer))
        if status >= 500:
            message = f"{self._label} has a problem of its own (status {status})."
            raise ProviderError(self._error_code, message, retryable=True, ambiguous=is_write)
        if not 200 <= status < 300:
            message = f"{self._label} refused the request (status {status})."
            raise ProviderError(self._error_code, message, retryable=False)


class _AddingTransport(httpx.HTTPTransport):
    """Adds parameters to the address on its way out; nobody above ever sees them."""

    def __init__(self, params: Mapping[str, str]) -> None:
        super().__init__(verify=certificate_authorities())
        self._params = dict(params)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self._params:
            return super().handle_request(request)
        sent = httpx.Request(
            request.method,
            request.url.copy_merge_params(self._params),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(sent)


def _seconds(answer: httpx.Response) -> float:
    """How long the vendor asks us to wait."""
    try:
        return min(300.0, max(1.0, float(answer.headers.get("Retry-After", "30"))))
    except ValueError:
        return 30.0


def whole(value: object) -> int:
    """A count as vendors write it: a number, a number as text, or nothing."""
    try:
        return max(0, int(float(str(value)))) if value is not None else 0
    except (ValueError, OverflowError):
        return 0


def percent(value: object) -> int | None:
    """A share as vendors write it: `"98%"`, 98 or nothing; None for what is no share."""
    try:
        return min(100, max(0, round(float(str(value).strip().rstrip("%")))))
    except (ValueError, OverflowError):
        return None


def day_of(value: object) -> date | None:
    """A day as vendors write it: a date, or a time that begins with one."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
