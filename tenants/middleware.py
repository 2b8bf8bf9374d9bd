"""Who is asking: `request.actor`, from the browser's session."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tenants.browser import actor_of, remember_device


class ActorMiddleware:
    """Sets `request.actor`, None for a visitor, and the cookie of a browser that signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = actor_of(request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        remember_device(request, response)
        return response
