"""A stand-in for KumoMTA: it runs the Lua policy that we ship, over real SMTP and HTTP.

The `kumo` and `sqlite` modules that the policy requires are as its documentation describes them
(https://docs.kumomta.com/reference/); the helper that signs reads our TOML and signs with dkimpy.
"""

import asyncio
import hashlib
import hmac
import http.server
import sqlite3
import ssl
import threading
import time
import tomllib
from collections.abc import Callable
from contextlib import closing
from email import message_from_bytes, policy
from email.utils import parseaddr
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dkim
import lupa
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Refused(Exception):
    """`kumo.reject`: a reply of the policy."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


class Message:
    """The message object that events get."""

    def __init__(self, sender: str, recipient: str, raw: bytes, meta: dict[str, str]) -> None:
        self.sender_address, self.recipient, self.raw, self.meta = sender, recipient, raw, meta

    def get_meta(self, name: str) -> str | None:
        return self.meta.get(name)

    def set_meta(self, name: str, value: str) -> None:
        self.meta[name] = value

    def sender(self) -> str:
        return self.sender_address

    def from_header(self) -> Any:
        found = message_from_bytes(self.raw, policy=policy.default)["From"]
        email = parseaddr(str(found))[1] if found else ""
        return {"email": email, "domain": email.rpartition("@")[2]} if email else None


class Policy:
    """Our `init.lua`, loaded; its events are called from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.lua = lupa.LuaRuntime(unpack_returned_tuples=True)
        self.handlers: dict[str, Any] = {}
        self.listeners: list[Any] = []
        self.cache: dict[tuple[str, str], tuple[float, Any]] = {}
        self.throttles: dict[str, int] = {}
        self.globs: list[str] = []
        self.modules: dict[str, Any] = {
            "kumo": self._kumo(),
            "sqlite": self.lua.table_from({"open": self._open}),
            "policy-extras.dkim_sign": self.lua.table_from({"setup": self._dkim_setup}),
        }
        self.lua.globals()["require"] = self.modules.__getitem__
        self.lua.execute(path.read_text())
        self.handlers["init"]()

    def call(self, event: str, *arguments: Any) -> Any:
        return self.handlers[event](*arguments)

    def _kumo(self) -> Any:
        def on(event: str, handler: Any) -> None:
            self.handlers[event] = handler

        def reject(code: int, text: str) -> None:
            raise Refused(code, text)

        def memoize(function: Any, parameters: Any) -> Callable[[str], Any]:
            name, ttl = parameters["name"], float(parameters["ttl"].split()[0])

            def cached(key: str) -> Any:
                until, value = self.cache.get((name, key), (0.0, None))
                if time.monotonic() < until:
                    return value
                value = function(key)
                self.cache[name, key] = (time.monotonic() + ttl, value)
                return value

            return cached

        def hmac_sha256(source: Any, text: str) -> Any:
            digest = hmac.digest(source["key_data"].encode(), text.encode(), hashlib.sha256)
            return self.lua.table_from({"hex": digest.hex()})

        def make_throttle(name: str, spec: str) -> Any:
            quantity, _, period = spec.partition("/")
            assert period == "day"

            def throttle(_: Any) -> Any:
                used = self.throttles.get(name, 0)
                if used < int(quantity):
                    self.throttles[name] = used + 1
                return self.lua.table_from({"throttled": used >= int(quantity)})

            return self.lua.table_from({"throttle": throttle})

        return self.lua.table_from(
            {
                "on": on,
                "reject": reject,
                "memoize": memoize,
                "make_throttle": make_throttle,
                "digest": self.lua.table_from({"hmac_sha256": hmac_sha256}),
                "start_esmtp_listener": self.listeners.append,
                "start_http_listener": self.listeners.append,
                "define_spool": lambda _: None,
                "configure_local_logs": lambda _: None,
                "set_config_monitor_globs": lambda globs: self.globs.extend(globs.values()),
            }
        )

    def _open(self, path: str, timeout: int) -> Any:
        def execute(_: Any, query: str, *values: str) -> Any:
            with closing(sqlite3.connect(path, timeout=timeout / 1000)) as connection:
                connection.row_factory = sqlite3.Row
                rows = [self.lua.table_from(dict(row)) for row in connection.execute(query, values)]
            return self.lua.table_from(rows) if rows else 0

        return self.lua.table_from({"execute": execute})

    def _dkim_setup(self, _: Any, files: Any) -> Callable[[Message], None]:
        (path,) = files.values()

        def sign(message: Message) -> None:
            stored = tomllib.loads(Path(path).read_text())
            domain = message.sender_address.rpartition("@")[2]
            if found := stored.get("domain", {}).get(domain):
                headers = [name.lower().encode() for name in stored["base"]["headers"]]
                message.raw = (
                    dkim.sign(
                        message.raw,
                        found["selector"].encode(),
                        domain.encode(),
                        Path(found["filename"]).read_bytes(),
                        include_headers=headers,
                    )
                    + message.raw
                )

        return sign


class KumoStandIn:
    """Submission and the HTTP interface, on free ports of loopback."""

    def __init__(self, policy_file: Path, certificate: Path, private_key: Path) -> None:
        self.policy = Policy(policy_file)
        self.accepted: list[Message] = []
        self.bumps = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private_key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._smtp = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(lambda: self._session(context), "127.0.0.1", 0), self._loop
        ).result()
        self.submission_port: int = self._smtp.sockets[0].getsockname()[1]
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._admin())
        self.admin_url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._loop.call_soon_threadsafe(self._smtp.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _session(self, context: ssl.SSLContext) -> SMTP:
        return SMTP(
            self,
            hostname="kumo.test",
            loop=self._loop,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            auth_exclude_mechanism=["LOGIN"],
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        assert isinstance(login, LoginPassword)
        name = login.login.decode()
        accepted = self.policy.call("smtp_server_auth_plain", name, name, login.password.decode())
        # Handled: the reply is 535, as KumoMTA's is.
        return AuthResult(success=bool(accepted), handled=False, auth_data=name)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = bytes(envelope.original_content or b"")
        for recipient in envelope.rcpt_tos:
            meta = {"authn_id": str(session.auth_data), "authz_id": str(session.auth_data)}
            message = Message(str(envelope.mail_from), recipient, raw, meta)
            try:
                self.policy.call("smtp_server_message_received", message)
            except Refused as refused:
                return str(refused)
            self.accepted.append(message)
        return "250 OK ids=1"

    def _admin(self) -> type[http.server.BaseHTTPRequestHandler]:
        stand = self

        class Admin(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                known = self.path == "/api/admin/bump-config-epoch"
                stand.bumps += known
                if known:
                    stand.policy.cache.clear()
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        return Admin
