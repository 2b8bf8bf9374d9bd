"""What every page leans on: the request's shape, paging, and errors as pages."""

import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import UUID

import uuid6
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from mpanel.core.actor import Actor
from mpanel.core.api.errors import API, error_body, error_response
from mpanel.core.database import drop_connections, is_unavailable
from mpanel.core.errors import Forbidden, Invalid, MPanelError, Unavailable

PAGE_SIZE = 20

CODES = {400: "MALFORMED_REQUEST", 403: "FORBIDDEN", 404: "NOT_FOUND", 500: "ERROR"}

TITLES = {
    400: "That did not work",
    402: "Your plan does not allow that",
    403: "You may not do that",
    404: "There is nothing here",
    409: "That is not possible now",
    429: "Too many tries",
    500: "Something went wrong on our side",
    502: "An outside service failed",
    503: "We cannot work just now",
}


class PageRequest(HttpRequest):
    """A request as the middlewares leave it, for a signed-in person."""

    actor: Actor
    address: str
    htmx: HtmxDetails


def signed_in(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Send visitors to the sign-in page, and back afterwards."""

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if getattr(request, "actor", None) is None:
            if request.user.is_authenticated:
                raise Forbidden("Your account is suspended. Please write to us.")
            sign_in = f"/sign-in/?next={quote(request.get_full_path())}"
            if getattr(request, "htmx", False):
                # A partial cannot show a sign-in page; the whole page goes there.
                return HttpResponse(headers={"HX-Redirect": sign_in})
            return redirect(sign_in)
        answer = view(request, *args, **kwargs)
        # What is shown to one person is kept by no cache, so "back" after sign-out shows nothing.
        answer.headers.setdefault("Cache-Control", "no-store, private")
        return answer

    guarded.__name__ = view.__name__
    guarded.__doc__ = view.__doc__
    guarded.__module__ = view.__module__
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
    """Context processor: the line above every page."""
    return {"banner_text": settings.BANNER_TEXT, "banner_url": settings.BANNER_URL}


def error_page(
    request: HttpRequest, *, status: int, message: str = "", title: str = "", code: str = ""
) -> HttpResponse:
    """An error as a page; to an HTMX request as a toast that leaves the page as it is."""
    if request.path.startswith(API):
        return error_response(request, status, code or CODES.get(status, "ERROR"), message or title)
    title = title or TITLES.get(status, TITLES[500 if status >= 500 else 400])
    if getattr(request, "htmx", False):
        toast = {"toast": {"text": message or title, "tone": "danger"}}
        return HttpResponse(status=status, headers={"HX-Trigger": json.dumps(toast)})
    context = {
        "code": status,
        "page_title": title,
        "title": title,
        "message": message,
        "request_id": f"{code or status}-{uuid6.uuid7().hex[-8:]}" if status >= 500 else "",
    }
    return render(request, "error.html", context, status=status)


class ErrorPageMiddleware:
    """The one place where a service's error becomes a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # No text of ours holds a NUL, and PostgreSQL takes none.
        if "%00" in request.META.get("QUERY_STRING", ""):
            return error_page(request, status=400, message="The request could not be read.")
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if is_unavailable(error):
            return unavailable(request)
        if not isinstance(error, MPanelError):
            return None
        answer = error_page(request, status=error.status, message=error.message, code=error.code)
        if "retry_after" in error.details:
            answer.headers["Retry-After"] = str(error.details["retry_after"])
        return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_page(request, status=413, message="The request is too large.")
    return error_page(request, status=400, message="The request could not be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(
        request, status=404, message="The address may be mistyped, or the thing is gone."
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
        context = {
            "code": error.status,
            "page_title": TITLES[error.status],
            "title": TITLES[error.status],
            "message": error.message,
        }
        answer = HttpResponse(render_to_string("error.html", context), status=error.status)
    answer.headers["Retry-After"] = str(error.details["retry_after"])
    answer.headers["Cache-Control"] = "no-store"
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    # Django calls this while it handles the error, whatever middleware or view it came from.
    if is_unavailable(sys.exc_info()[1]):
        return unavailable(request)
    return error_page(
        request, status=500, message="We have noted what happened. Please try again in a minute."
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF check refused a form."""
    return error_page(
        request,
        status=403,
        title="The form is too old",
        message="Go back, reload the page and send it once more.",
    )
