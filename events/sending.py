"""Sending deliveries over HTTP: many at once, each within its time, without the database."""

import asyncio
import contextlib
import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
from standardwebhooks import Webhook

from events.addresses import AddressRefused, CheckedTransport

logger = logging.getLogger(__name__)

TIME_OUT = 10.0  # seconds, from looking up the name to the last byte
MOST_READ = 64 * 1024
EXCERPT = 1024  # bytes of the answer that are kept
AGENT = "mPanel-Webhooks/1.0"


@dataclass(frozen=True)
class WebhookRequest:
    """What is sent to whom. The secrets sign it; the first is the present one."""

    delivery_id: UUID
    webhook_id: str
    url: str
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """How a try ended. `status` None: there was no answer. `error`: "" when it was taken.

    `is_final`: another try would end as this one did.
    """

    delivery_id: UUID
    status: int | None
    error: str
    response: str
    duration_ms: int
    retry_after: float | None = None
    is_final: bool = False

    @property
    def delivered(self) -> bool:
        return not self.error


def signatures(request: WebhookRequest, *, at: datetime) -> str:
    """`v1,<base64>` for each secret (Standard Webhooks, "signature scheme")."""
    data = request.body.decode()
    return " ".join(
        Webhook(secret).sign(request.webhook_id, at, data) for secret in request.secrets
    )


class Sender:
    """Sends requests on a thread of its own; a context manager.

    `submit` as many as you like, and `wait` for those that ended.
    """

    def __init__(self, transport: Callable[[], CheckedTransport]) -> None:
        self._transport = transport
        self._ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.in_flight = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def submit(self, request: WebhookRequest) -> None:
        self.in_flight += 1
        asyncio.run_coroutine_threadsafe(self._send(request), self._loop)

    def wait(self, seconds: float) -> list[Outcome]:
        """Those that ended, as soon as there is one, or none after so many seconds."""
        ended: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=seconds))
            while True:
                ended.append(self._ended.get_nowait())
        self.in_flight -= len(ended)
        return ended

    async def _send(self, request: WebhookRequest) -> None:
        try:
            outcome = await send(request, transport=self._transport())
        except Exception:  # a process's edge: a bug must not lose the delivery
            logger.exception("webhook %s", request.webhook_id)
            outcome = Outcome(request.delivery_id, None, "Something went wrong on our side.", "", 0)
        self._ended.put(outcome)


async def send(request: WebhookRequest, *, transport: CheckedTransport) -> Outcome:
    """One try. Never raises for what the other side does."""
    started = time.monotonic()

    def ended(status: int | None, error: str, answer: bytes = b"", after: str = "") -> Outcome:
        text = answer[:EXCERPT].decode(errors="replace").replace("\0", "")
        spent = int((time.monotonic() - started) * 1000)
        wait = _seconds(after) if status in {429, 503} else None
        return Outcome(request.delivery_id, status, error[:500], text, spent, wait)

    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "webhook-id": request.webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures(request, at=now),
    }
    status, answer, after = None, b"", ""
    try:
        async with (
            asyncio.timeout(TIME_OUT),
            httpx.AsyncClient(
                transport=transport, timeout=TIME_OUT, follow_redirects=False, trust_env=False
            ) as client,
            client.stream("POST", request.url, content=request.body, headers=headers) as response,
        ):
            status, after = response.status_code, response.headers.get("retry-after", "")
            # As it comes: what is unpacked could be of any size.
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) > MOST_READ:
                    break
    except (TimeoutError, httpx.TimeoutException):
        if status is None:
            return ended(None, f"No answer within {TIME_OUT:.0f} seconds.")
    except AddressRefused as error:
        return ended(None, f"{error} Nothing was sent.")
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
        if status is None:
            return ended(None, _why(error))
    # With a status the answer is known, even where its text broke off.
    return ended(status, _complaint(status), answer, after)


def _complaint(status: int) -> str:
    """What is wrong with an answer; "" for 2xx."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"The server answered {status}, a redirect. We follow none: give the final address."
    if status == 410:
        return "The server answered 410: it wants no more of these."
    return f"The server answered {status}."


def _why(error: Exception) -> str:
    """Why there was no answer, without a word about our own network."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in causes:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"The certificate is not good: {one.verify_message}."
        if isinstance(one, ssl.SSLError):
            return "No encrypted connection could be made (TLS)."
    if isinstance(error, httpx.ConnectError):
        return "The server took no connection."
    if isinstance(error, httpx.RemoteProtocolError):
        return "The server did not answer as HTTP wants it."
    return "The connection broke off."


def _seconds(header: str) -> float | None:
    """`Retry-After` (RFC 9110, 10.2.3): seconds or a date."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        at = parsedate_to_datetime(header)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
