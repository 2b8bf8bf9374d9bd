"""What every request carries, whoever asks: its address, an id for the log, when it arrived."""

import re
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from mpanel.core.models import new_id
from mpanel.core.networks import plain_address

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def client_address(request: HttpRequest) -> str:
    """The address of the client: what our own proxies say, as many as we trust, else the peer.

    Some proxies add the client's port, which is new for each connection. An IPv4 address that is
    mapped into IPv6 is the IPv4 address.
    """
    header = request.headers.get("X-Forwarded-For", "")
    hops: list[str] = [hop.strip() for hop in header.split(",") if hop]
    trusted: int = settings.TRUSTED_PROXIES
    if trusted and len(hops) >= trusted:
        return plain_address(_without_port(hops[-trusted])[:45])
    return plain_address(str(request.META.get("REMOTE_ADDR", ""))[:45])


def _without_port(hop: str) -> str:
    """`192.0.2.7:4711` and `[2001:db8::7]:4711` without what follows the address."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


class RequestMiddleware:
    """Sets `request.address`, `request.request_id` and `request.arrived_at`.

    A caller's own `X-Request-ID` is kept where it is a plain one; the answer repeats it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        arrived: datetime = timezone.now()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else new_id().hex
        request.arrived_at = arrived  # type: ignore[attr-defined]
        request.request_id = request_id  # type: ignore[attr-defined]
        request.address = client_address(request)  # type: ignore[attr-defined]
        answer = self.get_response(request)
        answer.headers["X-Request-ID"] = request_id
        return answer
