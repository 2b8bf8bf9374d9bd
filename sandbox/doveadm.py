"""Dovecot's HTTP interface, as 2.4 answers it (tried with 2.4.1 and 2.3.19.1, 2026-11).

https://doc.dovecot.org/2.4.1/core/admin/doveadm.html#http-api. One key; its commands are those that
mPanel allows where filters are off: `who`, `kick` and `quotaGet`.
"""

import base64
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .faults import Fault
from .http import DroppableProtocol
from .imap import ImapService
from .logins import Logins, LoginsUnavailable
from .mailstore import MailStore

PREFIX = "/doveadm"
KEY = "sandbox-admin-key"
# sysexits.h: EX_USAGE, EX_NOUSER, EX_TEMPFAIL.
_USAGE, _NO_USER, _TRY_LATER = 64, 67, 75
_KIBIBYTE = 1024
# The names and types of what each command takes; those without a method are not allowed.
PARAMETERS: dict[str, Mapping[str, type | tuple[type, ...]]] = {
    "who": {"mask": (list, str)},
    "kick": {"mask": (list, str)},
    "quotaGet": {"user": str, "allUsers": bool},
    "fetch": {},
    "reload": {},
    "sieveGet": {},
    "sieveList": {},
    "sievePut": {},
    "stop": {},
    "user": {},
}
SAME = {"quota get": "quotaGet", "sieve get": "sieveGet", "sieve put": "sievePut"}

Rows = list[dict[str, str]]


class _Failed(Exception):
    """A command that came to nothing."""

    def __init__(self, kind: str, code: int = 0) -> None:
        self.content = {"type": kind, "exitCode": code}


class _Broken(Exception):
    """The process ends in the middle of a request, as both releases do."""


class DoveadmApi:
    """`app` serves the interface, below `PREFIX`."""

    def __init__(self, imap: ImapService, logins: Logins, mails: MailStore) -> None:
        self._imap = imap
        self._logins = logins
        self._mails = mails
        self._methods: dict[str, Callable[[Mapping[str, Any]], Awaitable[Rows]]] = {
            "who": self._who,
            "kick": self._kick,
            "quotaGet": self._quota,
        }
        self.app: ASGIApp = Starlette(
            routes=[Route("/v1", self._answer, methods=["POST"])],
            exception_handlers={404: _not_found},
        )

    async def _answer(self, request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        wanted = base64.b64encode(KEY.encode()).decode()
        if scheme != "X-Dovecot-API" or not hmac.compare_digest(given.encode(), wanted.encode()):
            return Response(status_code=401)
        try:
            commands = json.loads(await request.body())
        except ValueError:
            commands = None
        if not isinstance(commands, list):
            return PlainTextResponse("JSON parse error: Root is not an array\n", 400)
        answers = []
        for command in commands:
            if not _is_command(command):
                return PlainTextResponse("Command ID must be a string\n", 400)
            name, parameters, tag = command
            try:
                answers.append(["doveadmResponse", await self._run(name, parameters), tag])
            except _Failed as failed:
                answers.append(["error", failed.content, tag])
            except _Broken:
                DroppableProtocol.abort(tuple(request.scope["client"]))
                return Response(status_code=500)
        return JSONResponse(answers)

    async def _run(self, name: str, parameters: Mapping[str, Any]) -> Rows:
        name = SAME.get(name, name)
        if name not in PARAMETERS:
            raise _Failed("unknownMethod")
        if name not in self._methods:
            raise _Failed("unAuthorized")
        known = PARAMETERS[name]
        if any(not isinstance(value, known.get(key, ())) for key, value in parameters.items()):
            raise _Failed("invalidRequest")
        return await self._methods[name](parameters)

    async def _who(self, parameters: Mapping[str, Any]) -> Rows:
        masks = _masks(parameters)
        if len(masks) > 1:
            raise _Failed("exitCode", _USAGE)
        return [
            {"username": address, "connections": str(number), "service": "imap"}
            | {"pids": "()", "ips": "(127.0.0.1)"}
            for address, number in self._imap.sessions().items()
            if not masks or address in masks
        ]

    async def _kick(self, parameters: Mapping[str, Any]) -> Rows:
        masks = _masks(parameters)
        if len(masks) != 1:
            raise _Broken  # with two masks 2.4 ends by a signal
        return [{"count": str(self._imap.end_sessions(masks[0]))}]

    async def _quota(self, parameters: Mapping[str, Any]) -> Rows:
        user = str(parameters.get("user", "")).lower()
        if not user or parameters.get("allUsers"):
            raise _Broken  # without a user both releases end; of all users nobody asks
        try:
            found = await self._logins.mailboxes_of(user)
        except LoginsUnavailable:
            raise _Failed("exitCode", _TRY_LATER) from None
        if user not in found:
            raise _Failed("exitCode", _NO_USER)
        number, size = self._mails.size_of(user)
        storage = str(-(-size // _KIBIBYTE))
        shared = {"root": "User quota", "limit": "-", "percent": "0"}
        return [
            shared | {"type": "STORAGE", "value": storage},
            shared | {"type": "MESSAGE", "value": str(number)},
        ]


def failing(fault: Fault) -> ASGIApp:
    """The answer of a failure on purpose: a status without a word."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=fault.status or 500)(scope, receive, send)

    return answer


def _masks(parameters: Mapping[str, Any]) -> list[str]:
    given = parameters.get("mask", [])
    return [given] if isinstance(given, str) else [str(one) for one in given]


def _is_command(command: object) -> bool:
    """Whether it is a name, parameters and a tag."""
    return (
        isinstance(command, list)
        and len(command) == 3
        and isinstance(command[0], str)
        and isinstance(command[1], dict)
        and isinstance(command[2], str)
    )


async def _not_found(request: Request, error: Exception) -> Response:
    return PlainTextResponse("Path Not Found\n", 404)
