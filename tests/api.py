"""Calling the JSON API in tests as an integrator does."""

import json
import time
from dataclasses import dataclass
from typing import Any

from django.test import Client

from mpanel.core.api.errors import error_body


def early_in_a_minute(*, left: float = 4) -> None:
    """Wait for the next minute where this one ends soon.

    Rate limits are counted anew in each, which costs a request some queries: not while a test
    counts them.
    """
    if (until := 60 - time.time() % 60) < left:
        time.sleep(until + 0.01)


@dataclass(frozen=True)
class Answer:
    """What came back; an error is checked for its shape as soon as it is read."""

    status: int
    body: Any
    headers: Any
    raw: bytes

    @property
    def error(self) -> str:
        """The code of an error."""
        assert self.status >= 400, f"{self.status}: {self.raw[:500]!r}"
        found = self.body["error"]
        expected = error_body(self.status, found["code"], found["message"], found["details"])
        assert self.body == expected
        return str(found["code"])


class Api:
    """A client with a token or an API key, or without."""

    def __init__(self, token: str = "", **headers: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = dict(headers)
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, query: dict[str, Any] | None = None) -> Answer:
        return self._answer(self.client.get(path, query or {}, headers=self.headers))

    def post(self, path: str, body: Any = None, *, key: str = "") -> Answer:
        return self._send("POST", path, body, key=key)

    def put(self, path: str, body: Any = None) -> Answer:
        return self._send("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> Answer:
        return self._send("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self._send("DELETE", path, None)

    def _send(self, method: str, path: str, body: Any, *, key: str = "") -> Answer:
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body)
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        answer = self.client.generic(
            method, path, sent, content_type="application/json", headers=headers
        )
        return self._answer(answer)

    @staticmethod
    def _answer(answer: Any) -> Answer:
        raw = answer.getvalue()
        is_json = "json" in answer.headers.get("Content-Type", "")
        body = json.loads(raw) if is_json and raw else None
        return Answer(answer.status_code, body, answer.headers, raw)
