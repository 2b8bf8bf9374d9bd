"""Mail submission as Postfix and Dovecot offer it, and the catch-all for mPanel's own mail.

Replies are those of Postfix (RFC 4954, RFC 6409): 530 before STARTTLS and AUTH, 535 for a wrong
password, 553 for somebody else's address, 454 when the logins cannot be read.
"""

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import (
    SMTP,
    AuthResult,
    Envelope,
    LoginPassword,
    Session,
    TLSSetupException,
    syntax,
)

from . import policy
from .faults import Faults
from .journal import Journal
from .logins import Logins, LoginsUnavailable
from .maillog import MailLog
from .mailstore import MailStore

log = logging.getLogger("sandbox.smtp")
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own, a line per command

HOSTNAME = "mx.mail-sandbox.test"
MAX_SIZE = 10 * 1024 * 1024  # bytes
UNAVAILABLE = "454 4.7.0 Temporary authentication failure"


class SubmissionServer(SMTP):
    """aiosmtpd's server with logins that are looked up without blocking the event loop."""

    def __init__(self, handler: "Submission", context: ssl.SSLContext) -> None:
        super().__init__(
            handler,
            hostname=HOSTNAME,
            ident="ESMTP",
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=_gather,
        )
        self._submission = handler
        self._rejecting = False

    async def auth_PLAIN(self, _: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        return await self._decide(await super().auth_PLAIN(_, args))

    async def auth_LOGIN(self, _: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        return await self._decide(await super().auth_LOGIN(_, args))

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Refuse before the message comes, as Postfix does."""
        session, envelope = self.session, self.envelope
        if session and envelope and session.authenticated and envelope.rcpt_tos and not arg:
            refusal = await self._submission.refusal_of(session, envelope)
            if refusal:
                await self.push(refusal)
                return
        await super().smtp_DATA(arg)

    async def _handle_client(self) -> None:
        if await self._submission.refuses_connection():
            await self.push("421 4.3.2 Service not available, closing transmission channel")
            if self.transport is not None:
                self.transport.close()
            return
        await super()._handle_client()

    async def _decide(self, gathered: AuthResult) -> AuthResult:
        if gathered.auth_data is None:  # the exchange failed and was answered
            return gathered
        # For the whole session, since clients try the next mechanism after a refusal.
        self._rejecting = self._rejecting or self._submission.rejects_login()
        return await self._submission.authenticate(gathered.auth_data, rejected=self._rejecting)


def _gather(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    """Take the credentials along, refused until `SubmissionServer` has looked them up."""
    return AuthResult(success=False, handled=False, auth_data=login)


class Submission:
    """What is decided about a submission: who may log in, send, and to whom."""

    def __init__(
        self,
        logins: Logins,
        mails: MailStore,
        *,
        faults: Faults,
        journal: Journal,
        maillog: MailLog,
        policy_address: Callable[[], str] = str,
    ) -> None:
        self._logins = logins
        self._mails = mails
        self._faults = faults
        self._journal = journal
        self._maillog = maillog
        self._policy_address = policy_address

    async def refusal_of(self, session: Session, envelope: Envelope) -> str:
        """The reply by which the policy service refuses a message, "" where it may pass."""
        login: Any = session.auth_data
        instance = vars(envelope).setdefault("instance", secrets.token_hex(8))
        attributes = {
            "protocol_state": "DATA",
            "protocol_name": "ESMTP",
            "client_address": str(session.peer[0]) if session.peer else "",
            "helo_name": session.host_name or "",
            "sender": envelope.mail_from or "",
            "recipient": envelope.rcpt_tos[0] if len(envelope.rcpt_tos) == 1 else "",
            "recipient_count": str(len(envelope.rcpt_tos)),
            "instance": instance,
            "sasl_method": "plain",
            "sasl_username": login.login.decode(),
        }
        refusal = await policy.refusal(self._policy_address(), attributes)
        if refusal:
            self._note("DATA", str(envelope.mail_from), int(refusal[:3]))
        return refusal

    async def refuses_connection(self) -> bool:
        """Whether a failure on purpose meets this connection; a delay is waited for here."""
        fault = self._faults.take("smtp", "", "", "refuse", "delay")
        if fault and fault.kind == "delay":
            await asyncio.sleep(fault.delay or 0)
        return bool(fault and fault.kind == "refuse")

    def rejects_login(self) -> bool:
        """Whether a failure on purpose meets this session's logins."""
        return self._faults.take("smtp", "", "", "reject_auth") is not None

    async def authenticate(self, login: LoginPassword, *, rejected: bool) -> AuthResult:
        """Accept exactly the logins that the database holds now, unless `rejected`."""
        email = login.login.decode(errors="replace").lower()
        try:
            accepted = not rejected and await self._logins.accepts(email, login.password)
        except LoginsUnavailable as error:
            log.warning("logins cannot be read: %s", error)
            self._note("AUTH", email, 454)
            return AuthResult(success=False, handled=False, message=UNAVAILABLE)
        self._note("AUTH", email, 235 if accepted else 535)
        if not accepted:
            refusal = "535 5.7.8 Error: authentication failed"
            return AuthResult(success=False, handled=False, message=refusal)
        return AuthResult(success=True, auth_data=LoginPassword(email.encode(), b""))

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        data: Any = session.auth_data
        login = data.login.decode()
        try:
            refusal = await self._logins.refusal_of(login)
            owned = await self._logins.may_send_as(login, address)
        except LoginsUnavailable as error:
            log.warning("senders cannot be read: %s", error)
            return "451 4.3.0 Temporary lookup failure"
        if refusal:
            self._note("MAIL", address, 550)
            return f"550 5.7.1 <{address}>: Sender address rejected: {refusal}"
        if not owned:
            self._note("MAIL", address, 553)
            return f"553 5.7.1 <{address}>: Sender address rejected: not owned by user {login}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        sender, raw = str(envelope.mail_from), bytes(envelope.original_content or b"")
        try:
            places = {
                address: await self._logins.mailboxes_of(address) for address in envelope.rcpt_tos
            }
        except LoginsUnavailable as error:
            log.warning("recipients cannot be read: %s", error)
            return "451 4.3.0 Temporary lookup failure"
        for mailbox in dict.fromkeys(one for found in places.values() for one in found):
            self._mails.keep(
                "delivered", sender=sender, recipients=envelope.rcpt_tos, raw=raw, mailbox=mailbox
            )
        leaving = [address for address, found in places.items() if not found]
        if leaving:
            self._mails.keep("outgoing", sender=sender, recipients=leaving, raw=raw)
        login: Any = session.auth_data
        self._maillog.message(login.login.decode(), sender, places)
        self._note("DATA", sender, 250)
        return "250 2.0.0 Ok: queued"

    async def handle_exception(self, error: Exception) -> str:
        return _reply_to(error)

    def _note(self, method: str, subject: str, status: int) -> None:
        self._journal.count("smtp", method, "", status)
        self._journal.note("smtp", method, subject, status)


class CatchAll:
    """Takes every message of the panel itself and keeps it where a person can read it."""

    def __init__(self, mails: MailStore) -> None:
        self._mails = mails

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._mails.keep(
            "system",
            sender=str(envelope.mail_from),
            recipients=envelope.rcpt_tos,
            raw=bytes(envelope.original_content or b""),
        )
        return "250 2.0.0 Ok: kept"

    async def handle_exception(self, error: Exception) -> str:
        return _reply_to(error)


def _reply_to(error: Exception) -> str:
    if not isinstance(error, TLSSetupException):  # the client did not like our certificate
        log.error("a session failed", exc_info=error)
    return "451 4.3.0 Internal error"


async def listen(
    host: str, port: int, handler: Submission | CatchAll, context: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Serve submission (with a TLS context) or the catch-all. Raises `OSError`."""

    def session() -> Any:
        if isinstance(handler, Submission) and context is not None:
            return SubmissionServer(handler, context)
        return SMTP(
            handler,
            hostname=HOSTNAME,
            ident="ESMTP",
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
        )

    return await asyncio.get_running_loop().create_server(session, host, port)
