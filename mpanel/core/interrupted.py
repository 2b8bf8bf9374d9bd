"""What becomes of a request whose session has ended: sign in, then back to the page it came from.

The same for one that needs a fresh code first (decision 38).

Nothing of the request is done. A browser that sent something is told so, on the sign-in page and on
the page to which it comes back; there `app.js` fills in again what was typed, from the tab's own
storage. The server keeps no part of a form.
"""

from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from mpanel.core.places import came_from, can_be_opened, section_of

KEY = "interrupted"
UNDONE = "undone"  # the tag of the message after which app.js fills in what was typed
READS = {"GET", "HEAD", "OPTIONS"}


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """The answer to a visitor at a page that is not for visitors."""
    return _first(request, "/sign-in/")


def ask_to_confirm(request: HttpRequest) -> HttpResponse:
    """The answer to somebody who needs a fresh code for what this page does."""
    return _first(request, "/confirm/")


def _first(request: HttpRequest, detour: str) -> HttpResponse:
    """Go to that page, and back to where the request came from."""
    htmx: Any = getattr(request, "htmx", None)
    back = request.get_full_path()
    if htmx:
        # A partial's own address is no page; a script of another site may name any page.
        current = htmx.current_url_abs_path or ""
        back = current if can_be_opened(current) else section_of(request.path)[2]
    elif request.method not in READS:
        back = came_from(request) or section_of(request.path)[2]
    elif not can_be_opened(back):
        back = section_of(request.path)[2]
    if request.method not in READS:
        request.session[KEY] = True
    target = f"{detour}?next={quote(back)}"
    if htmx:
        # A partial cannot show another page; the whole page goes there.
        return HttpResponse(headers={"HX-Redirect": target})
    return redirect(target)


def tell_what_was_not_done(request: HttpRequest) -> None:
    """After signing in: say on the next page that what was sent before was not done."""
    if request.session.pop(KEY, False):
        messages.warning(
            request,
            "You had been signed out, so your last action was not carried out. Please check it and "
            "send it again.",
            extra_tags=UNDONE,
        )


def tell_what_waits(request: HttpRequest) -> None:
    """After a fresh code: say on the next page that what was sent before was not done."""
    if request.session.pop(KEY, False):
        messages.warning(
            request,
            "Thank you. Your last action waited for this code and was not carried out. Please send "
            "it again.",
            extra_tags=UNDONE,
        )
