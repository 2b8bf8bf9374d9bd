"""Cloudflare's API v4 over HTTP: https://developers.cloudflare.com/api/.

Routes, envelope, paging and errors as Cloudflare's own Python client meets them; the rules are in
`zones.py` and `records.py`.
"""

import json
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .accounts import Account, account_of
from .cloudflare_errors import CloudflareError, invalid_request, rate_limited
from .faults import Fault
from .records import Record
from .zones import Batch, Zone, Zones

PREFIX = "/client/v4"
RATE_LIMIT = 1200  # requests per account and window
RATE_WINDOW = 300  # seconds; also how long everything is blocked after a breach
ZONES_PER_PAGE = (20, 50)  # default, maximum
RECORDS_PER_PAGE = (100, 5_000_000)

Handler = Callable[[Request, Account], Awaitable[Response]]


class RateLimiter:
    """Cloudflare's global limit; `limit` 0 is none.

    https://developers.cloudflare.com/fundamentals/api/reference/limits/
    """

    def __init__(self, limit: int = RATE_LIMIT) -> None:
        self._limit = limit
        self._calls: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}

    def admit(self, account: Account) -> Mapping[str, str]:
        """Count a request; the headers that its answer carries. Raises `CloudflareError` 971."""
        if not self._limit:
            return {}
        now = time.monotonic()
        left = self._blocked.get(account.id, 0.0) - now
        if left > 0:
            raise rate_limited(math.ceil(left))
        calls = self._calls.setdefault(account.id, deque())
        while calls and calls[0] <= now - RATE_WINDOW:
            calls.popleft()
        if len(calls) >= self._limit:
            self._blocked[account.id] = now + RATE_WINDOW
            calls.clear()
            raise rate_limited(RATE_WINDOW)
        calls.append(now)
        reset = math.ceil(calls[0] + RATE_WINDOW - now)
        return {
            "ratelimit": f'"default";r={self._limit - len(calls)};t={reset}',
            "ratelimit-policy": f'"default";q={self._limit};w={RATE_WINDOW}',
        }

    def reset(self) -> None:
        self._calls.clear()
        self._blocked.clear()


def failing(fault: Fault) -> ASGIApp:
    """A failure in Cloudflare's words: its envelope, or for 5xx the page of its edge."""
    if fault.kind == "rate_limit":
        wait = RATE_WINDOW if fault.retry_after is None else fault.retry_after
        return _error_response(rate_limited(wait))
    status = fault.status or 500
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if status >= 500:
        page = f"<html><title>{status}</title><h1>Error {status}</h1>cloudflare</html>"
        return Response(page, status, headers, media_type="text/html")
    return _error_response(CloudflareError(status, 10000, "A failure on purpose", headers=headers))


class CloudflareApi:
    """The routes below `/client/v4`."""

    def __init__(self, zones: Zones, limiter: RateLimiter) -> None:
        self._zones = zones
        self._limiter = limiter
        self.app = Starlette(
            routes=[
                self._route("/user/tokens/verify", GET=self.verify_token),
                self._route("/accounts", GET=self.list_accounts),
                self._route("/accounts/{account_id}", GET=self.get_account),
                self._route("/zones", GET=self.list_zones, POST=self.create_zone),
                self._route("/zones/{zone_id}", GET=self.get_zone, DELETE=self.delete_zone),
                self._route("/zones/{zone_id}/activation_check", PUT=self.check_activation),
                self._route(
                    "/zones/{zone_id}/dnssec",
                    GET=self.get_dnssec,
                    PATCH=self.edit_dnssec,
                    DELETE=self.delete_dnssec,
                ),
                self._route(
                    "/zones/{zone_id}/dns_records", GET=self.list_records, POST=self.create_record
                ),
                self._route("/zones/{zone_id}/dns_records/batch", POST=self.batch_records),
                self._route("/zones/{zone_id}/dns_records/scan/trigger", POST=self.start_scan),
                self._route("/zones/{zone_id}/dns_records/scan/review", GET=self.list_scanned),
                self._route(
                    "/zones/{zone_id}/dns_records/{record_id}",
                    GET=self.get_record,
                    PUT=self.replace_record,
                    PATCH=self.edit_record,
                    DELETE=self.delete_record,
                ),
            ],
            exception_handlers={HTTPException: _no_route},
        )

    def _route(self, path: str, **handlers: Handler) -> Route:
        """A path and what each method does there, for whom the token says."""

        async def endpoint(request: Request) -> Response:
            try:
                account = _account(request)
                headers = self._limiter.admit(account)
                response = await handlers[request.method](request, account)
            except CloudflareError as error:
                return _error_response(error)
            response.headers.update(headers)
            return response

        return Route(path, endpoint, methods=list(handlers))

    # Accounts and tokens

    async def verify_token(self, request: Request, account: Account) -> Response:
        return _success({"id": account.id, "status": "active"})

    async def list_accounts(self, request: Request, account: Account) -> Response:
        return _page(request, [account.as_json()], per_page=ZONES_PER_PAGE)

    async def get_account(self, request: Request, account: Account) -> Response:
        if request.path_params["account_id"] != account.id:
            raise CloudflareError(403, 9109, "Unauthorized to access requested resource")
        return _success(account.as_json())

    # Zones

    async def list_zones(self, request: Request, account: Account) -> Response:
        given = request.query_params
        zones = [
            zone
            for zone in self._zones.all(account.id)
            if given.get("name", zone.name).lower() == zone.name
            and given.get("status", zone.status) == zone.status
            and given.get("account.id", zone.account.id) == zone.account.id
        ]
        return _page(request, (zone.as_json() for zone in zones), per_page=ZONES_PER_PAGE)

    async def create_zone(self, request: Request, account: Account) -> Response:
        body = await _body(request)
        owner = body.get("account", {"id": account.id})
        if not isinstance(owner, dict) or owner.get("id") != account.id:
            raise CloudflareError(403, 9109, "Unauthorized to access requested resource")
        if body.get("type", "full") != "full":
            raise invalid_request("Only zones of type full are offered.")
        return _success(self._zones.create(account, body.get("name")).as_json())

    async def get_zone(self, request: Request, account: Account) -> Response:
        return _success(self._zone(request, account).as_json())

    async def delete_zone(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        self._zones.delete(zone)
        return _success({"id": zone.id})

    async def check_activation(self, request: Request, account: Account) -> Response:
        # The delegation was compared when it changed; asking again finds the same.
        return _success({"id": self._zone(request, account).id})

    # DNSSEC

    async def get_dnssec(self, request: Request, account: Account) -> Response:
        return _success(self._zones.signing.state(self._zone(request, account)))

    async def edit_dnssec(self, request: Request, account: Account) -> Response:
        zone, body = self._zone(request, account), await _body(request)
        return _success(self._zones.signing.change(zone, body.get("status")))

    async def delete_dnssec(self, request: Request, account: Account) -> Response:
        self._zones.signing.change(self._zone(request, account), "disabled")
        return _success("")

    # Records

    async def list_records(self, request: Request, account: Account) -> Response:
        records = self._zones.records(self._zone(request, account))
        found = _filtered(records, request.query_params.multi_items())
        return _page(request, (record.as_json() for record in found), per_page=RECORDS_PER_PAGE)

    async def create_record(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        result = self._zones.apply(zone, Batch(posts=[await _body(request)]))
        return _success(result.posts[0].as_json())

    async def get_record(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        return _success(self._zones.record(zone, request.path_params["record_id"]).as_json())

    async def replace_record(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        put = (request.path_params["record_id"], await _body(request))
        return _success(self._zones.apply(zone, Batch(puts=[put])).puts[0].as_json())

    async def edit_record(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        patch = (request.path_params["record_id"], await _body(request))
        return _success(self._zones.apply(zone, Batch(patches=[patch])).patches[0].as_json())

    async def delete_record(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        record_id = request.path_params["record_id"]
        self._zones.apply(zone, Batch(deletes=[record_id]))
        return _success({"id": record_id})

    async def batch_records(self, request: Request, account: Account) -> Response:
        zone = self._zone(request, account)
        body = await _body(request)
        parts = {part: _operations(body, part) for part in ("deletes", "patches", "puts", "posts")}
        result = self._zones.apply(
            zone,
            Batch(
                deletes=[_record_id(item) for item in parts["deletes"]],
                patches=[(_record_id(item), item) for item in parts["patches"]],
                puts=[(_record_id(item), item) for item in parts["puts"]],
                posts=parts["posts"],
            ),
        )
        return _success(
            {
                "deletes": [record.as_json() for record in result.deletes],
                "patches": [record.as_json() for record in result.patches],
                "puts": [record.as_json() for record in result.puts],
                "posts": [record.as_json() for record in result.posts],
            }
        )

    async def start_scan(self, request: Request, account: Account) -> Response:
        self._zones.scans.start(self._zone(request, account))
        return _success(None)

    async def list_scanned(self, request: Request, account: Account) -> Response:
        return _success(self._zones.scans.found(self._zone(request, account)))

    def _zone(self, request: Request, account: Account) -> Zone:
        return self._zones.get(request.path_params["zone_id"], account)


def _account(request: Request) -> Account:
    """Who calls. Raises `CloudflareError` 10000 for everybody whom we do not know."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    account = account_of(token.strip()) if scheme.lower() == "bearer" else None
    if account is None:
        raise CloudflareError(401, 10000, "Authentication error")
    return account


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError) as error:
        raise invalid_request("Request body is invalid.") from error
    if not isinstance(body, dict):
        raise invalid_request("Request body is invalid.")
    return body


def _operations(body: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    items = body.get(part) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid_request(f"{part} must be a list of objects.")
    return items


def _record_id(item: Mapping[str, Any]) -> str:
    if not isinstance(item.get("id"), str):
        raise invalid_request("An operation lacks the id of its record.")
    return str(item["id"])


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "": lambda value, wanted: value == wanted,
    "exact": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
}
_FILTERED = ("name", "content", "comment", "type", "proxied")


def _filtered(records: Sequence[Record], given: Iterable[tuple[str, str]]) -> list[Record]:
    """The records that meet all filters, or any of them with `match=any`."""
    tests: list[tuple[str, Callable[[str, str], bool], str]] = []
    match = "all"
    for key, wanted in given:
        field, _, comparison = key.partition(".")
        if key == "match":
            match = wanted
        elif field in _FILTERED and comparison in _COMPARISONS:
            tests.append((field, _COMPARISONS[comparison], wanted.lower()))
    if not tests:
        return list(records)
    enough = any if match == "any" else all
    return [
        record
        for record in records
        if enough(
            compare(str(getattr(record, field)).lower(), wanted) for field, compare, wanted in tests
        )
    ]


def _success(result: object) -> Response:
    return JSONResponse({"success": True, "errors": [], "messages": [], "result": result})


def _page(request: Request, items: Iterable[object], *, per_page: tuple[int, int]) -> Response:
    """One page of a list; empty past the end, which is where clients stop asking."""
    everything = list(items)
    default, most = per_page
    try:
        page = int(request.query_params.get("page", 1))
        size = int(request.query_params.get("per_page", default))
    except ValueError as error:
        raise invalid_request("page and per_page must be numbers.") from error
    if page < 1 or not 1 <= size <= most:
        raise invalid_request(f"page must be at least 1, per_page at most {most}.")
    shown = everything[(page - 1) * size : page * size]
    info = {
        "page": page,
        "per_page": size,
        "count": len(shown),
        "total_count": len(everything),
        "total_pages": math.ceil(len(everything) / size),
    }
    envelope = {"success": True, "errors": [], "messages": [], "result": shown}
    return JSONResponse({**envelope, "result_info": info})


def _error_response(error: CloudflareError) -> Response:
    content = json.dumps(error.as_json()).encode()
    return Response(content, error.status, error.headers, media_type="application/json")


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _error_response(CloudflareError(status, 7000, "No route for that URI"))
