"""Smartlead's API v1 over HTTP: https://api.smartlead.ai/.

The key is a parameter of every address. A mailbox is logged in to while it is saved; one that
cannot be is answered 406. Counts of the warm-up come as texts.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .faults import Fault
from .outreach import OutreachDesk, Sender

PREFIX = "/smartlead/api/v1"
SERVICE = "smartlead"
SAVED = frozenset(
    {
        "id",
        "from_name",
        "from_email",
        "user_name",
        "password",
        "smtp_host",
        "smtp_port",
        "imap_host",
        "imap_port",
        "imap_user_name",
        "imap_password",
        "max_email_per_day",
        "time_to_wait_in_mins",
        "warmup_enabled",
        "total_warmup_per_day",
        "daily_rampup",
        "reply_rate_percentage",
        "signature",
        "custom_tracking_url",
        "bcc",
        "client_id",
        "type",
    }
)
REQUIRED = ("from_email", "user_name", "password", "smtp_host", "smtp_port", "imap_host")
WARMUP = frozenset(
    {
        "warmup_enabled",
        "total_warmup_per_day",
        "daily_rampup",
        "reply_rate_percentage",
        "warmup_key_id",
    }
)
STATUSES = {"draft": "DRAFTED", "active": "ACTIVE", "paused": "PAUSED"}

Handler = Callable[[Request, str], Awaitable[Response]]


class _Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        self.answer = JSONResponse(body, status, headers)


def _refused(status: int, message: str, **headers: str) -> _Refused:
    return _Refused(status, {"message": message}, headers)


def failing(fault: Fault) -> ASGIApp:
    """A failure in Smartlead's words."""
    if fault.kind == "rate_limit":
        return _too_fast(30 if fault.retry_after is None else fault.retry_after)
    return JSONResponse({"error": "A failure on purpose"}, fault.status or 500)


def _too_fast(seconds: float) -> JSONResponse:
    wait = max(1, round(seconds))
    error = {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests", "retry_after": wait}
    return JSONResponse({"error": error}, 429, {"Retry-After": str(wait)})


class SmartleadApi:
    """The routes below `/smartlead/api/v1`."""

    def __init__(self, desk: OutreachDesk) -> None:
        self._desk = desk
        self.app = Starlette(
            routes=[
                self._route("/email-accounts/", GET=self.list_senders),
                self._route("/email-accounts/save", POST=self.save),
                self._route("/email-accounts/{id:int}/", GET=self.one_sender),
                self._route("/email-accounts/{id:int}/warmup", POST=self.set_warmup),
                self._route("/email-accounts/{id:int}/warmup-stats", GET=self.warmup_stats),
                self._route("/campaigns", GET=self.list_campaigns),
                self._route(
                    "/campaigns/{id:int}/email-accounts",
                    GET=self.list_seats,
                    POST=self.seat,
                    DELETE=self.seat,
                ),
            ]
        )

    def _route(self, path: str, **handlers: Handler) -> Route:
        """A path and what each method does there, for whom the key says."""

        async def endpoint(request: Request) -> Response:
            owner = self._desk.owner_of(SERVICE, request.query_params.get("api_key", ""))
            if owner is None:
                return JSONResponse({"message": "Invalid API key"}, 401)
            if wait := self._desk.wait_of(SERVICE, owner):
                return _too_fast(wait)
            try:
                return await handlers[request.method](request, owner)
            except _Refused as refused:
                return refused.answer

        return Route(path, endpoint, methods=list(handlers))

    async def list_senders(self, request: Request, owner: str) -> Response:
        offset, limit = (_number(request, name) for name in ("offset", "limit"))
        found = self._desk.senders(SERVICE, owner)
        limit = min(100, 100 if limit is None else limit)
        return JSONResponse([_shown(one) for one in found[offset or 0 :][:limit]])

    async def one_sender(self, request: Request, owner: str) -> Response:
        return JSONResponse(_shown(self._sender(request, owner)))

    async def save(self, request: Request, owner: str) -> Response:
        body = await _body(request, SAVED)
        if missing := [name for name in REQUIRED if not body.get(name)]:
            raise _refused(400, f'"{missing[0]}" is required')
        smtp, imap = await self._desk.logs_in(
            {
                "smtp_host": body["smtp_host"],
                "smtp_port": body["smtp_port"],
                "smtp_user": body["user_name"],
                "smtp_password": body["password"],
                "imap_host": body["imap_host"],
                "imap_port": body.get("imap_port"),
                "imap_user": body.get("imap_user_name") or body["user_name"],
                "imap_password": body.get("imap_password") or body["password"],
            }
        )
        if not (smtp and imap):
            raise _refused(406, "ACCOUNT_VERIFICATION_FAILED")
        if body.get("id") is None:
            # Nothing keeps an address from being added twice.
            sender = self._desk.add(
                SERVICE, owner, body["from_email"], str(body.get("from_name", "")), logs_in=True
            )
        else:
            known = self._desk.sender(SERVICE, owner, number=int(body["id"]))
            if known is None:
                raise _refused(404, "Email account not found")
            sender = self._desk.change(known, logs_in=True, name=str(body.get("from_name", "")))
        daily = int(body.get("max_email_per_day") or sender.daily)
        sender = self._warm(self._desk.change(sender, daily=daily), body)
        data = {**_shown(sender), "is_smtp_success": smtp, "is_imap_success": imap}
        return JSONResponse({"ok": True, "message": "Email account saved", "data": data})

    async def set_warmup(self, request: Request, owner: str) -> Response:
        sender = self._sender(request, owner)
        self._warm(sender, await _body(request, WARMUP))
        return JSONResponse({"ok": True, "emailAccountId": sender.id})

    async def warmup_stats(self, request: Request, owner: str) -> Response:
        sender = self._sender(request, owner)
        days = sender.days()
        sent, spam = (sum(day[name] for day in days) for name in ("sent", "spam"))
        return JSONResponse(
            {
                "id": sender.id,
                "sent_count": str(sent),
                "spam_count": str(spam),
                "inbox_count": str(sent - spam),
                "warmup_email_received_count": str(sent),
                "stats_by_date": [
                    {
                        "id": number,
                        "date": day["date"],
                        "sent_count": str(day["sent"]),
                        "reply_count": str(day["replied"]),
                        "save_from_spam_count": str(day["spam"]),
                    }
                    for number, day in enumerate(days, 1)
                ],
            }
        )

    async def list_campaigns(self, request: Request, owner: str) -> Response:
        return JSONResponse(
            [
                {
                    "id": row["id"],
                    "name": row["name"],
                    "status": STATUSES[row["status"]],
                    "client_id": None,
                }
                for row in self._desk.campaigns(SERVICE, owner)
            ]
        )

    async def list_seats(self, request: Request, owner: str) -> Response:
        campaign = self._campaign(request, owner)
        return JSONResponse([_shown(one) for one in self._desk.seats(campaign["id"])])

    async def seat(self, request: Request, owner: str) -> Response:
        campaign = self._campaign(request, owner)
        body = await _body(request, frozenset({"email_account_ids"}))
        ids = body.get("email_account_ids")
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            raise _refused(400, '"email_account_ids" must be an array')
        senders = [self._desk.sender(SERVICE, owner, number=one) for one in ids]
        if None in senders:
            raise _refused(400, "Email account ids not found")
        seated = request.method == "POST"
        self._desk.seat(campaign["id"], [one for one in senders if one], seated=seated)
        return JSONResponse({"ok": True, "result": len(ids)})

    def _warm(self, sender: Sender, body: dict[str, Any]) -> Sender:
        changes: dict[str, Any] = {}
        if "warmup_enabled" in body:
            changes["warms"] = body["warmup_enabled"] is True
        for column, name in (("total", "total_warmup_per_day"), ("rampup", "daily_rampup")):
            if body.get(name) is not None:
                changes[column] = int(body[name])
        return self._desk.change(sender, **changes)

    def _sender(self, request: Request, owner: str) -> Sender:
        found = self._desk.sender(SERVICE, owner, number=request.path_params["id"])
        if found is None:
            raise _refused(404, "Email account not found")
        return found

    def _campaign(self, request: Request, owner: str) -> dict[str, Any]:
        found = self._desk.campaign(SERVICE, owner, request.path_params["id"])
        if found is None:
            raise _refused(404, "Campaign not found")
        return found


def _shown(sender: Sender) -> dict[str, Any]:
    reputation = sender.reputation
    return {
        "id": sender.id,
        "from_name": sender.name,
        "from_email": sender.email,
        "username": sender.email,
        "message_per_day": sender.daily,
        "daily_sent_count": 0,
        "type": "SMTP",
        "client_id": None,
        "is_smtp_success": sender.logs_in,
        "is_imap_success": sender.logs_in,
        "warmup_details": {
            "status": "ACTIVE" if sender.warms else "INACTIVE",
            "warmup_reputation": None if reputation is None else f"{reputation}%",
            "total_sent_count": sum(day["sent"] for day in sender.days()),
            "total_spam_count": sum(day["spam"] for day in sender.days()),
            "is_warmup_blocked": False,
        },
    }


async def _body(request: Request, known: frozenset[str]) -> dict[str, Any]:
    """The JSON object that was sent, unknown names refused in joi's words."""
    try:
        body = await request.json()
    except ValueError:
        raise _refused(400, "Invalid JSON") from None
    if not isinstance(body, dict):
        raise _refused(400, '"value" must be of type object')
    if odd := sorted(set(body) - known):
        raise _refused(400, f'"{odd[0]}" is not allowed')
    return body


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise _refused(400, f'"{name}" must be a number')
    return int(text)
