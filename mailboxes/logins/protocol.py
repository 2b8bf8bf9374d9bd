"""The server's side of Dovecot's auth policy, without any decision in it.

https://doc.dovecot.org/2.3/configuration_manual/authentication/auth_policy/ (tried 2026-11 with
2.3.19.1 and 2.4.1): JSON over HTTP. `allow` is asked before a password is compared, `report` tells
how it ended. Where nobody answers, Dovecot lets people log in.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Protocol, cast

import h11

from mailboxes.logins.gate import Attempt
from mailservers.serving import LONGEST, Connection, ProtocolBroken, RequestServer

KEY_HEADER = b"x-api-key"
GO_ON = {"status": 0, "msg": ""}


class Decisions(Protocol):
    """Who decides."""

    def refusal(self, attempt: Attempt) -> str: ...

    def report(self, attempt: Attempt, *, is_right: bool) -> None: ...


class LoginPolicyServer(RequestServer):
    """`key`: what Dovecot sends along, so that nobody else reports logins."""

    def __init__(self, decisions: Decisions, key: str) -> None:
        super().__init__()
        self.decisions = decisions
        self.key = key

    def connection(self) -> "LoginPolicyConnection":
        return LoginPolicyConnection(self)


class LoginPolicyConnection(Connection):
    """One auth process of a Dovecot."""

    def __init__(self, server: LoginPolicyServer) -> None:
        super().__init__(server)
        self._decisions, self._key = server.decisions, server.key.encode()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST)
        self._request: h11.Request | None = None
        self._body = bytearray()

    def take(self) -> tuple[h11.Request, bytes] | None:
        if self._buffer:
            self._http.receive_data(bytes(self._buffer))
            self._buffer.clear()
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                raise ProtocolBroken("sent what is no HTTP") from None
            if isinstance(event, h11.Request):
                self._request, self._body = event, bytearray()
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > LONGEST:
                    raise ProtocolBroken("sent a request that is too long")
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                return self._request, bytes(self._body)
            else:
                return None

    async def answer(self, request: object) -> bytes:
        head, body = cast(tuple[h11.Request, bytes], request)
        status, answer = self._decide(head, body)
        content = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        sent = [
            self._http.send(h11.Response(status_code=status, headers=headers)),
            self._http.send(h11.Data(data=content)),
            self._http.send(h11.EndOfMessage()),
        ]
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return b"".join(filter(None, sent))

    def _decide(self, head: h11.Request, body: bytes) -> tuple[int, dict[str, Any]]:
        given = next((value for name, value in head.headers if name == KEY_HEADER), b"")
        if not hmac.compare_digest(given, self._key):
            return 401, {"error": "The key is wrong."}
        try:
            asked = json.loads(body)
            attempt = Attempt(
                str(asked["login"]).lower(), str(asked["remote"]), str(asked["pwhash"])
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            return 400, {"error": "This is no question about a login."}
        if head.target.endswith(b"command=allow"):
            refusal = self._decisions.refusal(attempt)
            return 200, {"status": -1, "msg": refusal} if refusal else GO_ON
        if head.target.endswith(b"command=report"):
            self._report(asked, attempt)
            return 200, GO_ON
        return 404, {"error": "There is no such command."}

    def _report(self, asked: Mapping[str, Any], attempt: Attempt) -> None:
        if asked.get("policy_reject"):
            return  # refused by us, and no password was compared
        if asked.get("fail_type") == "internal":
            return  # Dovecot could not tell (2.4 says so; of 2.3, see `LoginPolicy`)
        self._decisions.report(attempt, is_right=asked.get("success") is True)
