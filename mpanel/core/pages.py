"""What every page leans on: the request's shape, paging, and errors as pages."""

import json
import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

import uuid6
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from mpanel.core.actor import Actor, CodeNeeded
from mpanel.core.api.errors import API, error_body, error_response
from mpanel.core.database import drop_connections, is_unavailable
from mpanel.core.errors import Forbidden, Invalid, MPanelError, Unavailable
from mpanel.core.interrupted import ask_to_confirm, ask_to_sign_in
from mpanel.core.places import OVERVIEW, came_from, section_of

PAGE_SIZE = 20

CODES = {
    400: "MALFORMED_REQUEST",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    413: "TOO_LARGE",
    500: "ERROR",
    503: "UNAVAILABLE",
}

TITLES = {
    400: "That did not work",
    402: "Your plan does not allow that",
    403: "You may not do that",
    404: "There is nothing here",
    409: "That is not possible now",
    429: "Too many tries",
    500: "Something went wrong on our side",
    405: "This address has no page",
    413: "That is too large",
    502: "An outside service failed",
    503: "mPanel is unavailable at the moment",
}
# What to do about it, where the error's own sentence does not say so.
HINTS = {
    400: "Go back, reload the page and try again.",
    413: "Send a smaller file, or fewer rows at once.",
}
NO_PAGE = "This address only accepts forms. Nothing was changed."

logger = logging.getLogger(__name__)


class PageRequest(HttpRequest):
    """A request as the middlewares leave it, for a signed-in person."""

    actor: Actor
    address: str
    htmx: HtmxDetails


def signed_in(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Send visitors to the sign-in page, and back afterwards."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if getattr(request, "actor", None) is None:
            if request.user.is_authenticated:
                raise Forbidden("Your account is suspended. Ask those who run this panel.")
            return ask_to_sign_in(request)
        answer = view(request, *args, **kwargs)
        # What is shown to one person is kept by no cache, so "back" after sign-out shows nothing.
        answer.headers.setdefault("Cache-Control", "no-store, private")
        return answer

    guarded.for_members = True  # type: ignore[attr-defined]
    return guarded


def confirmed(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Ask for a fresh code before a form is shown: what is typed first would have to wait for it.

    It stands under `signed_in`; the service that the form calls asks as well.
    """

    @wraps(view)
    def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.actor.is_admin:  # others are only told that admins may do this
            request.actor.require_fresh_code()
        return view(request, *args, **kwargs)

    return guarded


def paginate[T](request: HttpRequest, found: "QuerySet[Any] | list[T]") -> Page:
    """The page of a list that `?page=` asks for; a number out of range gives the nearest one."""
    return Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))


def search_text(request: HttpRequest) -> str:
    """What `?q=` asks for, cut to a length that every database takes."""
    return request.GET.get("q", "").strip()[:200]


def add_errors(form: Form, error: Invalid) -> None:
    """Show a service's refusal beside the fields it is about."""
    for name, texts in error.details.items():
        form.add_error(name if name in form.fields else None, list(texts))
    if not error.details:
        form.add_error(None, error.message)


def safe_next(request: HttpRequest, default: str) -> str:
    """Where `?next=` leads, if that is a page of ours."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    fine = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # A path from the root: anything else would be taken for the name of a page.
    return target if fine and target.startswith("/") else default


def chosen_ids(request: HttpRequest, name: str) -> list[UUID]:
    """The ids of the rows that were ticked. Raises `Invalid` for what is no id."""
    try:
        return [UUID(value) for value in request.POST.getlist(name)]
    except ValueError:
        raise Invalid("One of the chosen rows is not known. Reload the page.") from None


def banner(request: HttpRequest) -> dict[str, str]:
    """Context processor: the line above every page, and whom to ask."""
    contact = settings.SUPPORT_CONTACT
    return {
        "banner_text": settings.BANNER_TEXT,
        "banner_url": settings.BANNER_URL,
        "support_contact": contact.removeprefix("https://").rstrip("/"),
        "support_url": f"mailto:{contact}" if "@" in contact else contact,
    }


def error_page(
    request: HttpRequest,
    *,
    status: int,
    message: str = "",
    title: str = "",
    code: str = "",
    remedy: str = "",
) -> HttpResponse:
    """An error as a page; to an HTMX request as a toast that leaves the page as it is.

    Who is signed in keeps the frame around the page, and every page leads on to one that works:
    to `remedy`, the name of the page that says what to do, where the error has one.
    """
    if request.path.startswith(API):
        return error_response(request, status, code or CODES.get(status, "ERROR"), message or title)
    title = title or TITLES.get(status, TITLES[500 if status >= 500 else 400])
    if getattr(request, "htmx", False):
        toast = {"toast": {"text": message or title, "tone": "danger"}}
        return HttpResponse(status=status, headers={"HX-Trigger": json.dumps(toast)})
    request_id = getattr(request, "request_id", "") or uuid6.uuid7().hex
    context = {
        "code": status,
        "page_title": title,
        "title": title,
        "message": message.removeprefix(f"{title}. "),  # a sentence of the error may say it, too
        "hint": "" if remedy else HINTS.get(status, ""),
        "request_id": f"{code or status}-{request_id}" if status >= 500 else "",
        **_way_on(request, status, remedy),
    }
    is_member = getattr(request, "actor", None) is not None
    if is_member and status != Unavailable.status:
        try:
            framed = {**context, "layout": "app.html"}
            return render(request, "error.html", framed, status=status)
        except Exception:
            # The edge: what failed may be the frame itself, so the page is shown without it.
            if status < 500:
                raise
            logger.exception("the frame around an error page failed")
    if status < 500:
        return render(request, "error.html", context, status=status)
    # Nothing that asks the database: it may be what is away.
    return HttpResponse(
        render_to_string("error.html", {**context, **banner(request)}), status=status
    )


def _way_on(request: HttpRequest, status: int, remedy: str) -> dict[str, str]:
    """Where the button of an error page leads: the page that failed, its part, or the front."""
    if remedy:
        return {"action_label": "See what you can do", "action_url": reverse(remedy)}
    if getattr(request, "actor", None) is None and status < 500 and status != 429:
        back = came_from(request)
        if status == 403 and back:
            return {"action_label": "Reload the page", "action_url": back}
        return {"action_label": "Go to the front page", "action_url": "/"}
    back = request.get_full_path() if request.method == "GET" else came_from(request)
    if (status >= 500 or status == 429) and back:
        return {"action_label": "Try again", "action_url": back}
    section, label, start = section_of(request.path)
    if request.method == "POST" and back:
        return {"action_label": "Back to the page", "action_url": back, "section": section}
    if start == request.path:
        _, label, start = OVERVIEW
    if start == OVERVIEW[2]:
        section = ""  # this is not the overview, it only leads there
    return {"action_label": f"Go to {label}", "action_url": start, "section": section}


class ErrorPageMiddleware:
    """The one place where a service's error becomes a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # No text of ours holds a NUL, and PostgreSQL takes none.
        if "%00" in request.META.get("QUERY_STRING", ""):
            return error_page(request, status=400, message="The request could not be read.")
        answer = self.get_response(request)
        if answer.status_code == 405 and not answer.content and request.method != "OPTIONS":
            page = error_page(request, status=405, message=NO_PAGE)
            page.headers["Allow"] = answer.headers.get("Allow", "")
            return page
        return answer

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if is_unavailable(error):
            return unavailable(request)
        if not isinstance(error, MPanelError):
            return None
        if isinstance(error, CodeNeeded) and not request.path.startswith(API):
            return ask_to_confirm(request)
        answer = error_page(
            request,
            status=error.status,
            message=error.message,
            title=error.title,
            code=error.code,
            remedy=error.remedy,
        )
        if "retry_after" in error.details:
            answer.headers["Retry-After"] = str(error.details["retry_after"])
        return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_page(request, status=413, message="The request is too large.")
    return error_page(request, status=400, message="The request could not be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    is_member = getattr(request, "actor", None) is not None
    message = Forbidden().message if is_member else "Sign in as somebody who may, then try again."
    return error_page(request, status=403, message=message)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(
        request,
        status=404,
        message="Check the address for typing errors. What was here may have been deleted.",
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    """The database cannot work now: a page that asks it nothing, and connections that are new."""
    drop_connections()
    error = Unavailable()
    if request.path.startswith(API):
        body = error_body(error.status, error.code, error.message, error.details)
        answer: HttpResponse = JsonResponse(body, status=error.status)
    elif request.headers.get("HX-Request"):
        toast = {"toast": {"text": error.message, "tone": "danger"}}
        answer = HttpResponse(status=error.status, headers={"HX-Trigger": json.dumps(toast)})
    else:
        answer = error_page(request, status=error.status, message=error.message)
    answer.headers["Retry-After"] = str(error.details["retry_after"])
    answer.headers["Cache-Control"] = "no-store"
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    # Django calls this while it handles the error, whatever middleware or view it came from.
    if is_unavailable(sys.exc_info()[1]):
        return unavailable(request)
    return error_page(
        request, status=500, message="The error was logged. Please try again in a minute."
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF check refused a form: most often it is from before the last sign-in."""
    view = request.resolver_match and request.resolver_match.func
    is_visitor = getattr(request, "actor", None) is None
    if is_visitor and getattr(view, "for_members", False):
        return ask_to_sign_in(request)
    return error_page(
        request,
        status=403,
        title="This form has expired",
        message="Nothing was changed. Reload its page and send it again.",
    )
