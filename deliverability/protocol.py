"""The server's side of Postfix's policy delegation, without any decision in it.

http://www.postfix.org/SMTPD_POLICY_README.html: a request is lines `name=value` and an empty line;
the answer is `action=...` and an empty line. Where a connection was closed, Postfix follows its
`default_action`.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from mailservers.serving import LONGEST, Connection, ProtocolBroken, RequestServer

Request = dict[str, str]
Decide = Callable[[Request], Awaitable[str]]


class NotPolicy(ProtocolBroken):
    """This is no request of Postfix's policy delegation."""


def parse(raw: bytes) -> Request:
    """The attributes of one request, without its empty line. Raises `NotPolicy`."""
    request: Request = {}
    for line in raw.decode(errors="replace").split("\n"):
        name, equals, value = line.partition("=")
        if not equals:
            raise NotPolicy("sent what is no policy request")
        request[name] = value
    if request.get("request") != "smtpd_access_policy":
        raise NotPolicy("sent what is no policy request")
    return request


class PolicyServer(RequestServer):
    """Answers each request by `decide`."""

    def __init__(self, decide: Decide) -> None:
        super().__init__()
        self.decide = decide

    def connection(self) -> "PolicyConnection":
        return PolicyConnection(self)


class PolicyConnection(Connection):
    """One smtpd process that asks."""

    def __init__(self, server: PolicyServer) -> None:
        super().__init__(server)
        self._decide = server.decide

    def take(self) -> Request | None:
        end = self._buffer.find(b"\n\n", 0, LONGEST)
        if end < 0:
            if len(self._buffer) >= LONGEST:
                raise NotPolicy("sent a request that is too long")
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return parse(raw)

    async def answer(self, request: object) -> bytes:
        action = await self._decide(cast(Request, request))
        return f"action={action}\n\n".encode()
