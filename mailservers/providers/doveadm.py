"""Sessions at Dovecot, scripts and sizes of mailboxes: its HTTP interface.

https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/ (seen 2026-11 with 2.3.19.1
and 2.4.1)
"""

import base64
import json
import ssl
from collections.abc import Sequence
from itertools import batched
from typing import Any

import httpx

from mailservers.providers.base import ActiveScript, MailboxMeter, MailboxScripts
from mpanel.core.errors import ProviderError

_NOBODY = 68  # sysexits.h: EX_NOUSER
_REFUSED = 65  # sysexits.h: EX_DATAERR, without a word of why
_AT_ONCE = 100  # commands in one request
_KIBIBYTE = 1024


class Doveadm(MailboxScripts, MailboxMeter):
    """`url`: `http://host:port`. `ca_file`: PEM of the CA of an https one; empty for the system's.

    Raises `ProviderError`, retryable but for a key that is refused.
    """

    def __init__(self, url: str, key: str, *, ca_file: str, timeout: float) -> None:
        self._url = f"{url.rstrip('/')}/doveadm/v1"
        # A header of its own form: no user, only the key.
        self._headers = {
            "Authorization": f"X-Dovecot-API {base64.b64encode(key.encode()).decode()}"
        }
        self._ca_file = ca_file
        self._timeout = timeout

    def sessions(self, emails: Sequence[str]) -> dict[str, int]:
        """How many connections each of these has open; who has none is left out."""
        rows = self._call("who", emails)
        found: dict[str, int] = {}
        for row in rows:
            email, connections = str(row.get("username", "")), str(row.get("connections", ""))
            if not connections.isdigit():
                raise self._strange()
            found[email] = found.get(email, 0) + int(connections)
        wanted = set(emails)
        return {email: number for email, number in found.items() if email in wanted}

    def end_sessions(self, email: str) -> None:
        """Close every connection of this address; none is fine."""
        self._call("kick", [email])

    def used(self, emails: Sequence[str]) -> dict[str, int]:
        """As the port says. Dovecot counts in KiB, rounded up.

        A mailbox whose files it may not read counts as empty: it says so in its log only.
        """
        found: dict[str, int] = {}
        for some in batched(emails, _AT_ONCE):
            answer = self._post([["quotaGet", {"user": email}, email] for email in some])
            for email, (kind, content) in zip(some, self._contents(answer, some), strict=True):
                if kind == "error" and content.get("type") == "exitCode":
                    continue
                found[email] = self._storage(self._rows_of(answer, kind, content))
        return found

    def _storage(self, rows: list[dict[str, Any]]) -> int:
        for row in rows:
            value = row.get("value")
            if row.get("type") == "STORAGE" and isinstance(value, str) and value.isdecimal():
                return int(value) * _KIBIBYTE
        raise self._strange()

    def active_script(self, email: str) -> ActiveScript | None:
        """As the port says."""
        found = self._one("sieveList", {"user": email})
        active = [str(row.get("script", "")) for row in found if row.get("active") == "ACTIVE"]
        if not active:
            return None
        (row, *_) = self._one("sieveGet", {"user": email, "scriptname": active[0]}) or [{}]
        text = row.get("sieve script")
        if not isinstance(text, str):
            raise self._strange()
        return ActiveScript(active[0], text)

    def put_script(self, email: str, name: str, text: str) -> None:
        """As the port says."""
        wanted = {"user": email, "scriptname": name, "activate": True, "file": text}
        self._one("sievePut", wanted)

    def drop_script(self, email: str, name: str) -> None:
        """As the port says."""
        active = self.active_script(email)
        if active is not None and active.name == name:
            self._one("sieveDeactivate", {"user": email})
        self._one("sieveDelete", {"user": email, "scriptname": [name]})

    def _one(self, command: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows that one command answers; a user or script that is not there has none."""
        answer = self._post([[command, parameters, "1"]])
        return self._rows(answer, ["1"])

    def _post(self, commands: list[list[Any]]) -> httpx.Response:
        try:
            with httpx.Client(verify=self._tls(), timeout=self._timeout, trust_env=False) as client:
                return client.post(self._url, headers=self._headers, json=commands)
        except (httpx.TransportError, OSError):
            raise _no_answer() from None

    def _call(self, command: str, emails: Sequence[str]) -> list[dict[str, Any]]:
        """The rows that a command answers for these addresses.

        Each address has a command of its own: both releases refuse `who` with several masks, and
        `kick` with several ends a process of 2.4.
        """
        rows: list[dict[str, Any]] = []
        try:
            with httpx.Client(verify=self._tls(), timeout=self._timeout, trust_env=False) as client:
                for some in batched(emails, _AT_ONCE):
                    commands = [[command, {"mask": [email]}, email] for email in some]
                    answer = client.post(self._url, headers=self._headers, json=commands)
                    rows += self._rows(answer, some)
        except (httpx.TransportError, OSError):
            raise _no_answer() from None
        return rows

    def _tls(self) -> ssl.SSLContext:
        if self._url.startswith("https:"):
            return ssl.create_default_context(cafile=self._ca_file or None)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: plain HTTP needs none

    def _rows(self, answer: httpx.Response, emails: Sequence[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for kind, content in self._contents(answer, emails):
            if kind == "error" and content == {"type": "exitCode", "exitCode": _NOBODY}:
                continue
            if kind == "error" and content == {"type": "exitCode", "exitCode": _REFUSED}:
                message = "The mail server refuses this script."
                raise ProviderError("SCRIPT_REFUSED", message, retryable=False)
            rows += self._rows_of(answer, kind, content)
        return rows

    def _contents(self, answer: httpx.Response, tags: Sequence[str]) -> list[tuple[str, Any]]:
        """What came of each command: "error" or "doveadmResponse", and what that says."""
        if answer.status_code in {401, 403}:
            message = "The mail server's admin interface refuses the key."
            raise ProviderError("KEY_REFUSED", message, retryable=False)
        try:
            contents = {tag: (kind, content) for kind, content, tag in _commands(answer.text)}
            return [contents[tag] for tag in tags]
        except (ValueError, TypeError, KeyError):
            raise self._strange() from None

    def _rows_of(self, answer: httpx.Response, kind: str, content: Any) -> list[dict[str, Any]]:
        """The rows that one command answered."""
        if kind == "error" and content.get("type") == "unAuthorized":
            message = "The mail server was configured without this. Configure it again."
            raise ProviderError("RULES_UNAVAILABLE", message, retryable=False)
        if answer.status_code != 200 or kind != "doveadmResponse" or not _are_rows(content):
            raise self._strange()
        rows: list[dict[str, Any]] = content
        return rows

    def _strange(self) -> ProviderError:
        message = "The mail server's admin interface gave an answer without sense."
        return ProviderError("STRANGE_ANSWER", message, retryable=True)


def _no_answer() -> ProviderError:
    message = "The mail server's admin interface does not answer."
    return ProviderError("NO_ANSWER", message, retryable=True)


def _commands(text: str) -> Any:
    """An answer as JSON. After a command that the key may not use, 2.3 leaves out the comma."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text.replace('"]["', '"],["'))


def _are_rows(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(row, dict) for row in content)
