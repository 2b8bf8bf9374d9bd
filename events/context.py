"""What the frame around every page shows of this app."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from events.selectors import unread_count
from mpanel.core.actor import Actor


def bell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: how many notifications are unread, asked where a template shows it."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return {}
    return {"unread_notifications": SimpleLazyObject(lambda: unread_count(actor))}
