"""Who is asking: `request.actor`, from the signed-in user."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from tenants.models import User
from tenants.selectors import actor_for


def client_address(request: HttpRequest) -> str:
    """The address of the client: what our own proxies say, as many as we trust, else the peer."""
    header = request.headers.get("X-Forwarded-For", "")
    hops: list[str] = [hop.strip() for hop in header.split(",") if hop]
    trusted: int = settings.TRUSTED_PROXIES
    if trusted and len(hops) >= trusted:
        return hops[-trusted][:45]
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


class ActorMiddleware:
    """Sets `request.address`, and `request.actor` (None for a visitor)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.address = client_address(request)  # type: ignore[attr-defined]
        user = request.user
        request.actor = (  # type: ignore[attr-defined]
            actor_for(user, address=client_address(request)) if isinstance(user, User) else None
        )
        return self.get_response(request)
