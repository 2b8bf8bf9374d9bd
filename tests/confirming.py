"""Confirming what goes dark: over the API by its digest, on pages by typing the domain's name."""

from collections.abc import Callable
from typing import Any

from django.test import Client

from tests.api import Answer


def agreed(ask: Callable[..., Answer], path: str, body: dict[str, Any] | None = None) -> Answer:
    """The answer to a request, repeated with the confirmation where it asks for one."""
    first = ask(path) if body is None else ask(path, body)
    if first.status != 409 or first.error != "CONFIRMATION_REQUIRED":
        return first
    confirmation = first.body["error"]["details"]["confirmation"]
    if ask.__name__ == "delete":
        return ask(f"{path}{'&' if '?' in path else '?'}confirmation={confirmation}")
    return ask(path, {**(body or {}), "confirmation": confirmation})


def typed(client: Client, path: str, name: str, fields: dict[str, Any] | None = None) -> Any:
    """Send a form; where the page asks for the name, type it and send it again."""
    first = client.post(path, fields or {})
    form = first.context.get("typed") if first.context else None
    if form is None or not form.losses:
        return first
    again = {**(fields or {}), "typed_name": name, "confirmation": form.digest}
    return client.post(path, again)
