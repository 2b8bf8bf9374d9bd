"""Google's Directory and Site Verification APIs over HTTP, and the endpoint that gives tokens.

https://developers.google.com/workspace/admin/directory/reference/rest/v1,
https://developers.google.com/site-verification/v1 and
https://developers.google.com/identity/protocols/oauth2/service-account. The rules are in
`google_workspace.py`; routes, envelope and paging are here.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .faults import Fault
from .google_workspace import (
    DOMAINS,
    SITES,
    USERS,
    GoogleError,
    GoogleWorkspace,
    Grant,
    TokenRefused,
    domain_as_json,
    user_as_json,
)

PREFIX = "/google"
RATE_LIMIT = 2400  # requests per customer and minute
RATE_WINDOW = 60.0
USERS_PER_PAGE = (100, 500)  # default, maximum
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Handler = Callable[[Request, Grant], Awaitable[Response]]


class RateLimiter:
    """So many requests a minute for each customer; `limit` 0 is none."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: dict[str, deque[float]] = {}

    def admit(self, customer: str) -> None:
        if not self._limit:
            return
        now = time.monotonic()
        calls = self._calls.setdefault(customer, deque())
        while calls and calls[0] <= now - RATE_WINDOW:
            calls.popleft()
        if len(calls) >= self._limit:
            raise _too_fast()
        calls.append(now)

    def reset(self) -> None:
        self._calls.clear()


class GoogleApi:
    """The routes below `/google`."""

    def __init__(self, workspace: GoogleWorkspace, limiter: RateLimiter) -> None:
        self._workspace = workspace
        self._limiter = limiter
        users, domains = "/admin/directory/v1/users", "/admin/directory/v1/customer/{customer}"
        self.app = Starlette(
            routes=[
                Route("/token", self.token, methods=["POST"]),
                self._route(users, USERS, GET=self.list_users, POST=self.insert_user),
                self._route(
                    f"{users}/{{key}}",
                    USERS,
                    GET=self.get_user,
                    PUT=self.patch_user,
                    PATCH=self.patch_user,
                    DELETE=self.delete_user,
                ),
                self._route(f"{users}/{{key}}/undelete", USERS, POST=self.undelete_user),
                self._route(f"{users}/{{key}}/aliases", USERS, POST=self.insert_alias),
                self._route(
                    f"{domains}/domains", DOMAINS, GET=self.list_domains, POST=self.insert_domain
                ),
                self._route(
                    f"{domains}/domains/{{name}}",
                    DOMAINS,
                    GET=self.get_domain,
                    DELETE=self.delete_domain,
                ),
                self._route("/siteVerification/v1/token", SITES, POST=self.verification_token),
                self._route("/siteVerification/v1/webResource", SITES, POST=self.verify_site),
            ],
            exception_handlers={404: _no_route, 405: _no_route},
        )

    def _route(self, path: str, scope: str, **handlers: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                grant = self._workspace.grant_of(request.headers.get("authorization", ""))
                self._limiter.admit(grant.customer)
                if scope not in grant.scopes:
                    raise GoogleError(403, "insufficientPermissions", "Insufficient Permission")
                return await handlers[request.method](request, grant)
            except GoogleError as error:
                return _error_response(error)

        return Route(path, endpoint, methods=list(handlers))

    async def token(self, request: Request) -> Response:
        form = await request.form()
        try:
            if form.get("grant_type") != GRANT_TYPE:
                raise TokenRefused("unsupported_grant_type", "Invalid grant_type")
            token, seconds = self._workspace.token_for(str(form.get("assertion", "")))
        except TokenRefused as refusal:
            status = 401 if refusal.error == "unauthorized_client" else 400
            body = {"error": refusal.error, "error_description": refusal.description}
            return JSONResponse(body, status)
        return JSONResponse({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})

    async def list_users(self, request: Request, grant: Grant) -> Response:
        query = request.query_params
        wanted = query.get("query", "")
        found = [
            user
            for user in self._workspace.users(
                grant.customer, deleted=query.get("showDeleted") == "true"
            )
            if query.get("domain", user["domain"]) == user["domain"]
            and (not wanted or wanted in {f"email:{user['email']}", f"email={user['email']}"})
        ]
        default, most = USERS_PER_PAGE
        size = min(_number(query.get("maxResults"), default), most)
        start = _number(query.get("pageToken"), 0)
        page = found[start : start + size]
        body: dict[str, Any] = {"kind": "admin#directory#users"}
        if page:
            body["users"] = [user_as_json(user, self._workspace.mailbox_delay) for user in page]
        if start + size < len(found):
            body["nextPageToken"] = str(start + size)
        return JSONResponse(body)

    async def insert_user(self, request: Request, grant: Grant) -> Response:
        user = self._workspace.insert_user(grant.customer, await _body(request))
        return JSONResponse(user_as_json(user, self._workspace.mailbox_delay))

    async def get_user(self, request: Request, grant: Grant) -> Response:
        user = self._workspace.user(grant.customer, request.path_params["key"])
        return JSONResponse(user_as_json(user, self._workspace.mailbox_delay))

    async def patch_user(self, request: Request, grant: Grant) -> Response:
        user = self._workspace.change_user(
            grant.customer, request.path_params["key"], await _body(request)
        )
        return JSONResponse(user_as_json(user, self._workspace.mailbox_delay))

    async def delete_user(self, request: Request, grant: Grant) -> Response:
        self._workspace.delete_user(grant.customer, request.path_params["key"])
        return Response(status_code=204)

    async def undelete_user(self, request: Request, grant: Grant) -> Response:
        self._workspace.undelete_user(grant.customer, request.path_params["key"])
        return Response(status_code=204)

    async def insert_alias(self, request: Request, grant: Grant) -> Response:
        alias = str((await _body(request)).get("alias", ""))
        self._workspace.insert_alias(grant.customer, request.path_params["key"], alias)
        return JSONResponse({"kind": "admin#directory#alias", "alias": alias})

    async def list_domains(self, request: Request, grant: Grant) -> Response:
        found = [domain_as_json(row) for row in self._workspace.domains(grant.customer)]
        body: dict[str, Any] = {"kind": "admin#directory#domains"}
        return JSONResponse({**body, "domains": found} if found else body)

    async def insert_domain(self, request: Request, grant: Grant) -> Response:
        name = str((await _body(request)).get("domainName", ""))
        return JSONResponse(domain_as_json(self._workspace.insert_domain(grant.customer, name)))

    async def get_domain(self, request: Request, grant: Grant) -> Response:
        row = self._workspace.domain(grant.customer, request.path_params["name"])
        return JSONResponse(domain_as_json(row))

    async def delete_domain(self, request: Request, grant: Grant) -> Response:
        self._workspace.delete_domain(grant.customer, request.path_params["name"])
        return Response(status_code=204)

    async def verification_token(self, request: Request, grant: Grant) -> Response:
        name = _site(await _body(request))
        token = self._workspace.site_token(grant.customer, name)
        return JSONResponse({"method": "DNS_TXT", "token": token})

    async def verify_site(self, request: Request, grant: Grant) -> Response:
        name = _site(await _body(request))
        if request.query_params.get("verificationMethod") != "DNS_TXT":
            raise GoogleError(400, "invalidParameter", "Invalid verification method.")
        self._workspace.verify_site(grant.customer, name)
        return JSONResponse(
            {
                "id": f"dns%3A%2F%2F{name}",
                "site": {"type": "INET_DOMAIN", "identifier": name},
                "owners": [grant.admin],
            }
        )


def failing(fault: Fault) -> ASGIApp:
    """A failure in Google's words."""
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.kind == "rate_limit":
        return _error_response(_too_fast(fault.status or 403), headers)
    status = fault.status or 503
    reason = _REASONS.get(status, "backendError" if status >= 500 else "invalid")
    return _error_response(GoogleError(status, reason, "A failure on purpose"), headers)


_REASONS = {
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "duplicate",
    412: "limitExceeded",
    500: "internalError",
}


def _too_fast(status: int = 403) -> GoogleError:
    return GoogleError(
        status, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits"
    )


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError) as error:
        raise GoogleError(400, "parseError", "Parse Error") from error
    if not isinstance(body, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    return body


def _site(body: dict[str, Any]) -> str:
    site = body.get("site")
    name = site.get("identifier") if isinstance(site, dict) else None
    if not isinstance(name, str) or not isinstance(site, dict) or site["type"] != "INET_DOMAIN":
        raise GoogleError(400, "invalidParameter", "Invalid site.")
    return name.lower()


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 7 else default


def _error_response(error: GoogleError, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(error.as_json(), error.status, headers)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _error_response(GoogleError(status, "notFound", "Not Found"))
