"""Instantly's API v2 over HTTP: https://developer.instantly.ai/.

An account that cannot be logged in to is added all the same, with the status -1. Warm-up is
switched by background jobs, which are done when they are looked at next.
"""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .faults import Fault
from .outreach import OutreachDesk, Sender

PREFIX = "/instantly"
SERVICE = "instantly"
STATUSES = {"draft": 0, "active": 1, "paused": 2}
REQUIRED = (
    "email",
    "first_name",
    "last_name",
    "provider_code",
    "imap_username",
    "imap_password",
    "imap_host",
    "imap_port",
    "smtp_username",
    "smtp_password",
    "smtp_host",
    "smtp_port",
)

Handler = Callable[[Request, str], Awaitable[Response]]


class _Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, error: str, message: str) -> None:
        self.answer = _error(status, error, message)


def _error(status: int, error: str, message: str, **headers: str) -> JSONResponse:
    return JSONResponse({"statusCode": status, "error": error, "message": message}, status, headers)


def failing(fault: Fault) -> ASGIApp:
    """A failure in Instantly's words."""
    if fault.kind == "rate_limit":
        return _too_fast(30 if fault.retry_after is None else fault.retry_after)
    return _error(fault.status or 500, "Failure", "A failure on purpose")


def _too_fast(seconds: float) -> JSONResponse:
    wait = {"Retry-After": str(max(1, round(seconds)))}
    return _error(429, "Too Many Requests", "Rate limit exceeded", **wait)


class InstantlyApi:
    """The routes below `/instantly`."""

    def __init__(self, desk: OutreachDesk) -> None:
        self._desk = desk
        # Warm-up that background jobs are about to switch, and on or off.
        self._jobs: dict[str, tuple[str, list[str], bool]] = {}
        self.app = Starlette(
            routes=[
                self._route("/accounts", GET=self.list_accounts, POST=self.create),
                self._route("/accounts/warmup/enable", POST=self.switch_warmup),
                self._route("/accounts/warmup/disable", POST=self.switch_warmup),
                self._route("/accounts/warmup-analytics", POST=self.analytics),
                self._route("/background-jobs/{id}", GET=self.job),
                self._route(
                    "/accounts/{email}", GET=self.account, PATCH=self.change, DELETE=self.delete
                ),
                self._route("/accounts/{email}/pause", POST=self.pause),
                self._route("/accounts/{email}/resume", POST=self.pause),
                self._route("/campaigns", GET=self.list_campaigns),
                self._route("/campaigns/{id}", GET=self.campaign, PATCH=self.change_campaign),
            ]
        )

    def _route(self, path: str, **handlers: Handler) -> Route:
        """A path and what each method does there, for whom the key says."""

        async def endpoint(request: Request) -> Response:
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            owner = self._desk.owner_of(SERVICE, key) if scheme.lower() == "bearer" else None
            if owner is None:
                return _error(401, "Unauthorized", "Invalid API key")
            if wait := self._desk.wait_of(SERVICE, owner):
                return _too_fast(wait)
            try:
                return await handlers[request.method](request, owner)
            except _Refused as refused:
                return refused.answer

        return Route(f"/api/v2{path}", endpoint, methods=list(handlers))

    # Accounts

    async def list_accounts(self, request: Request, owner: str) -> Response:
        self._finish_jobs()
        found = self._desk.senders(SERVICE, owner)
        return JSONResponse(_page(request, [_shown(one) for one in found], "email"))

    async def account(self, request: Request, owner: str) -> Response:
        self._finish_jobs()
        return JSONResponse(_shown(self._sender(request, owner)))

    async def create(self, request: Request, owner: str) -> Response:
        body = await _body(request)
        if missing := [name for name in REQUIRED if body.get(name) is None]:
            message = f"body must have required property '{missing[0]}'"
            raise _Refused(400, "Bad Request", message)
        if self._desk.sender(SERVICE, owner, email=str(body["email"])):
            raise _Refused(409, "Conflict", "Account already exists")
        names = ("host", "port", "password")
        given = {f"{kind}_{name}": body[f"{kind}_{name}"] for kind in KINDS for name in names}
        users = {f"{kind}_user": body[f"{kind}_username"] for kind in KINDS}
        smtp, imap = await self._desk.logs_in(given | users)
        name = f"{body['first_name']} {body['last_name']}".strip()
        sender = self._desk.add(SERVICE, owner, str(body["email"]), name, logs_in=smtp and imap)
        return JSONResponse(_shown(sender))

    async def change(self, request: Request, owner: str) -> Response:
        sender, body = self._sender(request, owner), await _body(request)
        changes: dict[str, Any] = {}
        if "daily_limit" in body:
            changes["daily"] = int(body["daily_limit"])
        warmup = body.get("warmup") or {}
        if "limit" in warmup:
            changes["total"] = int(warmup["limit"])
        if "increment" in warmup:
            increment = warmup["increment"]
            if increment not in {"disabled", "0", "1", "2", "3", "4"}:
                raise _Refused(400, "Bad Request", "body/warmup/increment must be equal to one of")
            changes["rampup"] = 0 if increment == "disabled" else int(increment)
        return JSONResponse(_shown(self._desk.change(sender, **changes)))

    async def delete(self, request: Request, owner: str) -> Response:
        sender = self._sender(request, owner)
        self._desk.delete(sender)
        return JSONResponse(_shown(sender))

    async def pause(self, request: Request, owner: str) -> Response:
        sender = self._sender(request, owner)
        is_paused = request.url.path.endswith("/pause")
        return JSONResponse(_shown(self._desk.change(sender, is_paused=is_paused)))

    # Warm-up

    async def switch_warmup(self, request: Request, owner: str) -> Response:
        body = await _body(request)
        emails = body.get("emails")
        if not isinstance(emails, list) or not 1 <= len(emails) <= 100:
            raise _Refused(400, "Bad Request", "body/emails must NOT have more than 100 items")
        job_id = str(uuid.uuid4())
        switched_on = request.url.path.endswith("/enable")
        self._jobs[job_id] = (owner, [str(one).lower() for one in emails], switched_on)
        return JSONResponse(_job(job_id, "pending"))

    async def job(self, request: Request, owner: str) -> Response:
        self._finish_jobs()
        return JSONResponse(_job(request.path_params["id"], "success"))

    async def analytics(self, request: Request, owner: str) -> Response:
        emails = (await _body(request)).get("emails")
        if not isinstance(emails, list) or not 1 <= len(emails) <= 100:
            raise _Refused(400, "Bad Request", "body/emails must NOT have more than 100 items")
        dates, totals = {}, {}
        for email in emails:
            sender = self._desk.sender(SERVICE, owner, email=str(email))
            if sender is None:
                continue
            days = sender.days()
            dates[sender.email] = {
                day["date"]: {
                    "sent": day["sent"],
                    "landed_inbox": day["sent"] - day["spam"],
                    "landed_spam": day["spam"],
                    "received": day["sent"],
                }
                for day in days
            }
            sent, spam = (sum(day[name] for day in days) for name in ("sent", "spam"))
            score = sender.reputation or 0
            totals[sender.email] = {
                "sent": sent,
                "landed_inbox": sent - spam,
                "landed_spam": spam,
                "received": sent,
                "health_score": score,
                "health_score_label": f"{score}%",
            }
        return JSONResponse({"email_date_data": dates, "aggregate_data": totals})

    def _finish_jobs(self) -> None:
        """Do what the background jobs were asked for; nobody saw it before."""
        for owner, emails, switched_on in self._jobs.values():
            for email in emails:
                if sender := self._desk.sender(SERVICE, owner, email=email):
                    self._desk.change(sender, warms=switched_on)
        self._jobs.clear()

    # Campaigns

    async def list_campaigns(self, request: Request, owner: str) -> Response:
        rows = [self._campaign(row) for row in self._desk.campaigns(SERVICE, owner)]
        return JSONResponse(_page(request, rows, "id"))

    async def campaign(self, request: Request, owner: str) -> Response:
        return JSONResponse(self._campaign(self._found(request, owner)))

    async def change_campaign(self, request: Request, owner: str) -> Response:
        row, body = self._found(request, owner), await _body(request)
        if "email_list" in body:
            senders = [self._desk.sender(SERVICE, owner, email=str(e)) for e in body["email_list"]]
            if None in senders:
                raise _Refused(400, "Bad Request", "Some accounts do not exist")
            self._desk.seat(row["id"], self._desk.seats(row["id"]), seated=False)
            self._desk.seat(row["id"], [one for one in senders if one], seated=True)
        return JSONResponse(self._campaign(row))

    def _campaign(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": _campaign_id(row),
            "name": row["name"],
            "status": STATUSES[row["status"]],
            "email_list": [one.email for one in self._desk.seats(row["id"])],
        }

    def _found(self, request: Request, owner: str) -> dict[str, Any]:
        wanted = request.path_params["id"]
        for row in self._desk.campaigns(SERVICE, owner):
            if _campaign_id(row) == wanted:
                return row
        raise _Refused(404, "Not Found", "Campaign not found")

    def _sender(self, request: Request, owner: str) -> Sender:
        found = self._desk.sender(SERVICE, owner, email=request.path_params["email"])
        if found is None:
            raise _Refused(404, "Not Found", "Account not found")
        return found


KINDS = ("imap", "smtp")


def _campaign_id(row: dict[str, Any]) -> str:
    """A UUID, as theirs are, that stays the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"instantly-campaign-{row['id']}"))


def _job(job_id: str, status: str) -> dict[str, Any]:
    progress = 100 if status == "success" else 0
    return {"id": job_id, "type": "update-warmup-accounts", "status": status, "progress": progress}


def _page(request: Request, rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    text = request.query_params.get("limit", "10")
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise _Refused(400, "Bad Request", "querystring/limit must be <= 100")
    after, ids = request.query_params.get("starting_after"), [str(row[key]) for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    shown = rows[start : start + int(text)]
    answer: dict[str, Any] = {"items": shown}
    if start + len(shown) < len(rows):
        answer["next_starting_after"] = str(shown[-1][key])
    return answer


def _shown(sender: Sender) -> dict[str, Any]:
    first, _, last = sender.name.partition(" ")
    shown: dict[str, Any] = {
        "email": sender.email,
        "first_name": first,
        "last_name": last,
        "provider_code": 1,
        "setup_pending": False,
        "status": -1 if not sender.logs_in else 2 if sender.is_paused else 1,
        "warmup_status": int(sender.warms),
        "daily_limit": sender.daily,
        "warmup": {"limit": sender.total, "increment": str(sender.rampup)},
        "stat_warmup_score": sender.reputation,
    }
    if not sender.logs_in:
        shown["status_message"] = {"code": "EAUTH", "command": "AUTH PLAIN", "responseCode": 535}
    return shown


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Refused(400, "Bad Request", "body must be object")
    return body
