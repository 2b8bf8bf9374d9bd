"""The one base of every JSON view, and the declaration that its schema is made from.

    class Domains(ApiView):
        scopes = {"GET": "domains:read", "POST": "domains:write"}

        @operation("List domains", answers=DomainList, query=DomainQuery, tag="Domains")
        def get(self, request: Request) -> Response:
            query = self.query(request, DomainQuery)
            ...

A view reads its input (`body`, `query`), calls one service or selector with `self.actor`, and
chooses the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mpanel.core.actor import Actor
from mpanel.core.api import ratelimit
from mpanel.core.api.errors import error_body, exception_handler
from mpanel.core.api.idempotency import LONGEST, answered, clean_key, in_slices, once
from mpanel.core.api.serializers import (
    PAGE_SIZE,
    CamelSerializer,
    ErrorBodySerializer,
    PageQuerySerializer,
    Serializer,
    page_of,
    paged,
)
from mpanel.core.api.waiting import outside
from mpanel.core.database import is_unavailable
from mpanel.core.errors import Forbidden, Invalid, TooManyRequests, Unauthorized


class TokenNeeded(Forbidden):
    """Send an access token or an API key: a browser's session is asked for a code on its page."""

    code = "TOKEN_NEEDED"


class ApiView(APIView):
    """A JSON view: who may call it, how often, and that a POST with a key has one effect.

    `scopes`: what an API key needs, by method. `public`: no sign-in is asked for. `person`: API
    keys are refused. `operator`: operators only. `token_only`: the browser's session is refused,
    since its pages ask for more. `sliced`: its POST commits a slice at a time, also with a key, and
    ends in the same state when it is done again. Access is enforced by services too; here it gives
    one answer before anything is looked up.
    """

    scopes: ClassVar[Mapping[str, str]] = {}
    public: ClassVar[bool] = False
    person: ClassVar[bool] = False
    operator: ClassVar[bool] = False
    token_only: ClassVar[bool] = False
    sliced: ClassVar[bool] = False

    _allowances: Sequence[ratelimit.Allowance] = ()

    @property
    def actor(self) -> Actor:
        """Who calls."""
        actor: Actor = self.request.auth  # type: ignore[assignment]
        return actor

    @property
    def address(self) -> str:
        """Where the call comes from."""
        return str(getattr(self.request._request, "address", ""))

    @property
    def arrived_at(self) -> datetime:
        """When the call arrived here."""
        arrived: datetime = self.request._request.arrived_at  # type: ignore[attr-defined]
        return arrived

    def body[S: Serializer](self, request: Request, shape: type[S]) -> dict[str, Any]:
        """The request's body in this shape. Raises the framework's `ValidationError`."""
        if not isinstance(request.data, Mapping):
            raise Invalid.field("body", "Send one JSON object.")
        return self._checked(shape(data=request.data))

    def query[S: Serializer](self, request: Request, shape: type[S]) -> dict[str, Any]:
        """The query string in this shape; a parameter that is not listed is refused."""
        given = request.query_params
        if twice := [name for name, values in given.lists() if len(values) > 1]:
            raise Invalid.field(twice[0][:80], "Give this once.")
        return self._checked(shape(data=given.dict()))

    def page(
        self, request: Request, found: Any, item: type[Serializer], **context: Any
    ) -> Response:
        """The page of a list that `PageQuery` asks for. `context`: for the shape."""
        return Response(page_of(found, self.query(request, PageQuerySerializer), item, **context))

    @staticmethod
    def _checked(shape: Serializer) -> dict[str, Any]:
        shape.is_valid(raise_exception=True)
        values: dict[str, Any] = shape.validated_data
        return values

    @property
    def by_browser(self) -> bool:
        """Whether a browser's session calls."""
        return "Authorization" not in self.request.headers

    def require_token(self) -> None:
        """Raise `TokenNeeded` for a browser's session."""
        if self.by_browser:
            raise TokenNeeded

    def get_authenticators(self) -> list[Any]:
        return [] if self.public else super().get_authenticators()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who is it, may they, and not too often; the address is counted before all else."""
        address_limit = settings.API_PUBLIC_RATE if self.public else settings.API_ADDRESS_RATE
        name = "public" if self.public else "address"
        self._count(ratelimit.Limit(name, ratelimit.bucket_of(name, self.address), address_limit))
        super().initial(request, *args, **kwargs)
        if not self.public:
            if request.auth is None:
                raise Unauthorized
            self._count(*ratelimit.limits_of(self.actor))
            self._check_access(request)
        if request.method == "POST" and hasattr(self, "post"):
            self._prepare_post(request)

    def _count(self, *limits: ratelimit.Limit) -> None:
        """Spend one request of each limit; the one that is used up is in the answer, too."""
        counted: list[ratelimit.Allowance] = []
        try:
            for limit in limits:
                counted.append(ratelimit.spend(limit))
        except TooManyRequests as error:
            counted.append(ratelimit.Allowance(limit, 0, error.retry_after))
            raise
        finally:
            self._allowances = [*counted, *self._allowances]

    def _check_access(self, request: Request) -> None:
        method = "GET" if request.method == "HEAD" else request.method or ""
        if self.token_only:
            self.require_token()
        if self.operator:
            self.actor.require_operator()
        elif self.person:
            self.actor.require_person()
        elif scope := self.scopes.get(method):
            self.actor.need(scope)
        elif method in {"GET", "POST", "PUT", "PATCH", "DELETE"} and hasattr(self, method.lower()):
            raise NotImplementedError(f"{type(self).__name__}: no scope for {method}")

    def prepare(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """What a POST reads outside before it writes: never inside the transaction of a key.

        Views that have something to read override this and keep it for `post`. It is not called
        where a key's answer is known already.
        """

    def compute(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """What a POST computes before it writes, such as hashes and rows: like `prepare`, but
        without waiting for anything outside. On SQLite nobody else writes in a key's transaction.
        """

    def _make_ready(self, *args: Any, **kwargs: Any) -> None:
        if type(self).prepare is not ApiView.prepare:
            with outside(self.address if self.public else self.actor.tenant_id):
                self.prepare(*args, **kwargs)
        self.compute(*args, **kwargs)

    def _prepare_post(self, request: Request) -> None:
        """Let the POST handler run when all is ready, and once for an `Idempotency-Key`."""
        handler: Callable[..., Response] = self.post  # type: ignore[has-type]
        _ = request._request.body  # kept, so that a key's digest and the parser both see it
        if not getattr(handler, "takes_body", False):
            self.body(request, Serializer)
        if "Idempotency-Key" in request.headers:
            self.post = self._once(request, handler)
            return

        def post(*args: Any, **kwargs: Any) -> Response:
            self._make_ready(*args, **kwargs)
            return handler(*args, **kwargs)

        self.post = post

    def _once(self, request: Request, handler: Callable[..., Response]) -> Callable[..., Response]:
        """The handler inside the transaction that keeps its answer."""
        key = clean_key(request.headers["Idempotency-Key"])
        plain: HttpRequest = request._request
        actor = None if self.public else self.actor
        # An answer to a token may hold what the browser's session is refused: they share none.
        whose = (
            f"public:{self.address}"
            if self.public
            else f"{self.actor.tenant_id}:{self.actor.key_id or self.actor.user_id}"
            f"{':browser' if self.by_browser else ''}"
        )
        asked = f"{plain.get_full_path()}\n{plain.body.decode('latin-1')}"

        def work(*args: Any, **kwargs: Any) -> Response:
            try:
                return handler(*args, **kwargs)
            except Exception as error:
                if is_unavailable(error):
                    raise  # its transaction is over
                # What was refused is an answer too, and its counted tries must stay counted.
                if answer := exception_handler(error, {"request": request}):
                    return answer
                raise

        def post(*args: Any, **kwargs: Any) -> Response:
            if answer := answered(key, whose=whose, request=asked, actor=actor):
                return answer
            self._make_ready(*args, **kwargs)
            todo = partial(work, *args, **kwargs)
            run = in_slices if self.sliced else once
            return run(key, whose=whose, request=asked, actor=actor, work=todo)

        return post

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in ratelimit.headers(list(self._allowances)).items():
            answer.headers[name] = value
        answer.headers.setdefault("Cache-Control", "no-store, private")
        return answer


ERRORS = {
    400: "The input is not valid; `details` maps each field to its messages.",
    401: "No token, or one that is not valid.",
    402: "The plan's limit is reached, or a payment failed.",
    403: "The role, the scope or the state of the account does not allow this.",
    404: "There is no such thing in your account.",
    409: "The current state does not allow this, or the Idempotency-Key was used otherwise.",
    410: "Used already, or its time is over.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    502: "An outside service failed; the message says what was kept.",
    503: "The database cannot work now; `Retry-After` says how many seconds to wait.",
}
CODES = {
    400: "VALIDATION_ERROR",
    401: "INVALID_TOKEN",
    402: "PLAN_LIMIT_EXCEEDED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    410: "GONE",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    502: "PROVIDER_ERROR",
    503: "UNAVAILABLE",
}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Any text that is new for each new request, e.g. a UUID. The same key and body "
    "give the same answer for 24 hours; the same key with another body is a 409.",
)


def operation(
    summary: str,
    *,
    tag: str,
    answers: Any = None,
    status: int = 200,
    also: Mapping[int, tuple[Any, Any]] | None = None,
    takes: type[Serializer] | None = None,
    query: type[Serializer] | None = None,
    errors: Sequence[int] = (),
    public: bool = False,
    headers: Sequence[OpenApiParameter] = (),
    example: Any = None,
    request_example: Any = None,
    description: str = "",
    media_type: str = "",
    also_takes: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an operation for the schema.

    `answers`: the shape of the answer with `status`; `also`: other successes, each with its shape
    and an example. `takes`, `query`: shapes of body and query. `errors`: statuses beyond those that
    follow from the rest (400, 413 and 415 with a body, 401 and 403 unless public, 409 of a POST,
    429 and 503 always). `media_type`: of an answer that is text and no JSON. `also_takes`: bodies
    that are no JSON, by media type, each with its JSON schema (the view needs a parser for each).
    """

    def declare(method: Callable[..., Any]) -> Callable[..., Any]:
        is_post = method.__name__ == "post"
        method.takes_body = takes is not None  # type: ignore[attr-defined]
        statuses = {429, 503, *errors}
        statuses |= {400} if query or takes or is_post else set()
        statuses |= {413, 415} if takes or is_post else set()
        statuses |= set() if public else {401, 403}
        statuses |= {409} if is_post else set()
        responses: dict[Any, Any] = {
            (status, media_type) if media_type else status: _success(
                status, OpenApiTypes.STR if media_type else answers, example, about=summary
            )
        }
        for number, (shape, shown) in (also or {}).items():
            responses[number] = _success(number, shape, shown, about=summary)
        responses |= {number: _error_answer(number) for number in sorted(statuses)}
        sent = [OpenApiExample("Request", request_example, request_only=True)]
        return extend_schema(
            summary=summary,
            description=description or (method.__doc__ or "").strip(),
            tags=[tag],
            request={"application/json": takes, **also_takes} if also_takes else takes,
            parameters=[
                *([query] if query else []),
                *headers,
                *([IDEMPOTENCY_KEY] if is_post else []),
            ],
            responses=responses,
            examples=sent if request_example is not None else None,
            auth=[] if public else None,
        )(method)

    return declare


def listing(
    summary: str,
    *,
    tag: str,
    item: type[Serializer],
    example: Any,
    query: type[Serializer] = PageQuerySerializer,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an operation that answers one page of a list. `example`: of one item."""
    shown = {"items": [example], "total": 1}
    if not issubclass(item, CamelSerializer):
        shown |= {"page": 1, "page_size": PAGE_SIZE}
    return operation(summary, tag=tag, query=query, answers=paged(item), example=shown)


def _success(status: int, shape: Any, example: Any, *, about: str) -> OpenApiResponse:
    """A success without an example says less than its schema; with one it shows the thing."""
    shown = [OpenApiExample("Success", example, response_only=True, status_codes=[str(status)])]
    return OpenApiResponse(shape, description=about, examples=shown if example is not None else [])


def _error_answer(status: int) -> OpenApiResponse:
    example = error_body(status, CODES[status], ERRORS[status])
    return OpenApiResponse(
        ErrorBodySerializer,
        description=ERRORS[status],
        examples=[
            OpenApiExample(CODES[status], example, response_only=True, status_codes=[str(status)])
        ],
    )
