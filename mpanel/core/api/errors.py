"""The one place where an error becomes JSON (contract, 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from mpanel.core.api.serializers import camel
from mpanel.core.database import drop_connections, is_unavailable
from mpanel.core.errors import MPanelError, TooLarge, Unavailable

API = "/api/"


def error_body(
    status: int, code: str, message: str, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The body of every error, so that a client written for any source understands it."""
    return {
        "error": {"code": code, "message": message, "details": dict(details or {})},
        "detail": message,
        "error_code": code,
        "status": status,
    }


def error_response(request: HttpRequest, status: int, code: str, message: str) -> JsonResponse:
    """An error that Django met before or beside the API's views."""
    return JsonResponse(error_body(status, code, message), status=status)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Ours and the framework's errors as answers; None lets an unknown one be a 500."""
    if isinstance(error, RequestDataTooBig):
        error = TooLarge()
    if is_unavailable(error):
        drop_connections()
        error = Unavailable()
    if isinstance(error, MPanelError):
        details = _spoken(error.details, context) if error.status == 400 else error.details
        answer = Response(
            error_body(error.status, error.code, error.message, details), error.status
        )
        if "retry_after" in error.details:
            answer.headers["Retry-After"] = str(error.details["retry_after"])
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="mPanel"'
        return answer
    if isinstance(error, exceptions.ValidationError):
        details = _by_field(error.detail)
        message = _first_of(details)
        return Response(error_body(400, "VALIDATION_ERROR", message, details), 400)
    if isinstance(error, exceptions.APIException):
        return _framework_error(error)
    return None


def _spoken(details: Mapping[str, Any], context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields that services name, as the group of operations that was called names them."""
    if context["request"].path.startswith(f"{API}v1/"):
        return details
    return {camel(name): messages for name, messages in details.items()}


def _framework_error(error: exceptions.APIException) -> Response:
    codes = {
        400: "MALFORMED_REQUEST",
        405: "METHOD_NOT_ALLOWED",
        415: "UNSUPPORTED_MEDIA_TYPE",
    }
    message = str(error.detail)
    if isinstance(error, exceptions.UnsupportedMediaType):
        message = "Send JSON, with the header Content-Type: application/json."
    status = error.status_code
    return Response(error_body(status, codes.get(status, "REQUEST_REFUSED"), message), status)


def _first_of(details: Mapping[str, Sequence[str]]) -> str:
    """A sentence for clients that show nothing else, with the field that it is about."""
    for name, texts in details.items():
        for text in texts:
            return text if name == "body" else f"{name}: {text}"
    return ""


def _by_field(detail: Any, name: str = "") -> dict[str, list[str]]:
    """A framework's nested messages as `{"personas.3.email": ["..."]}`."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for key, inner in detail.items():
            plain = key in {"non_field_errors", "detail"}
            found |= _by_field(inner, name if plain else f"{name}.{key}" if name else str(key))
        return found
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        if all(isinstance(part, str) for part in detail):
            return {name or "body": [str(part) for part in detail]}
        found = {}
        for index, part in enumerate(detail):
            if part:
                found |= _by_field(part, f"{name}.{index}" if name else str(index))
        return found
    return {name or "body": [str(detail)]}
