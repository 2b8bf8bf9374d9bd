"""A service's error becomes a page, or a toast, in one place."""

import json

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from mpanel.core import errors
from mpanel.core.pages import ErrorPageMiddleware, safe_next, server_error

KINDS = [
    (errors.Invalid("Correct this."), 400),
    (errors.LimitExceeded(), 402),
    (errors.Forbidden(), 403),
    (errors.NotFound(), 404),
    (errors.Conflict(), 409),
    (errors.TooManyRequests(retry_after=90), 429),
    (errors.MPanelError(), 500),
    (errors.ProviderError("NO_ANSWER", "The vendor is silent.", retryable=True), 502),
]


def answer_to(error: Exception, *, htmx: bool = False) -> HttpResponse | None:
    request = RequestFactory().get("/")
    request.htmx = htmx  # type: ignore[attr-defined]
    middleware = ErrorPageMiddleware(lambda _: HttpResponse())
    return middleware.process_exception(request, error)


@pytest.mark.parametrize(("error", "status"), KINDS, ids=lambda it: type(it).__name__)
def test_every_kind_has_its_status_and_its_sentence(error: errors.MPanelError, status: int) -> None:
    page = answer_to(error)
    assert page is not None
    assert page.status_code == status
    assert error.message.removeprefix("Too many tries. ") in page.content.decode()  # the title
    assert page.get("Retry-After") == ("90" if status == 429 else None)
    assert ("Request id" in page.content.decode()) == (status >= 500)
    toast = answer_to(error, htmx=True)
    assert toast is not None
    assert (toast.status_code, toast.content) == (status, b"")
    assert json.loads(toast["HX-Trigger"])["toast"]["text"] == error.message


def test_a_bug_is_no_page_of_ours() -> None:
    assert answer_to(ValueError("a secret")) is None
    page = server_error(RequestFactory().get("/"))
    assert page.status_code == 500
    assert "Request id" in page.content.decode()


def test_messages_are_escaped() -> None:
    page = answer_to(errors.Conflict("<script>alert(1)</script>"))
    assert page is not None
    assert "<script>alert" not in page.content.decode()


@pytest.mark.parametrize("target", ["57", "overview", "https://evil.test/", "//x", "\\x"])
def test_next_is_a_path_of_ours(target: str) -> None:
    request: HttpRequest = RequestFactory().get("/", {"next": target})
    assert safe_next(request, "/overview/") == "/overview/"
    assert safe_next(RequestFactory().get("/", {"next": "/jobs/?q=1"}), "/x/") == "/jobs/?q=1"
