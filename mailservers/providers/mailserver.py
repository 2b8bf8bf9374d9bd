"""Our own mail server: Dovecot and Postfix, which read SQL views of mPanel's database.

An inbox exists as soon as its row is committed, so this provider creates nothing: it tells how to
log in, and proves that logging in works.
"""

import imaplib
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from mailservers.providers.base import (
    AccountState,
    Login,
    LoginCheck,
    LoginSettings,
    MailboxMeter,
    MailboxScripts,
    MailProvider,
    Outcome,
    WantedAccount,
)
from mailservers.providers.doveadm import Doveadm
from mpanel.core.registry import provider

# Wrong password, mechanism not good enough for this user (RFC 4954, 6), disabled (RFC 5248).
_SMTP_REFUSALS = frozenset({535, 534, 525})
# RFC 5530, 3; a bare NO to LOGIN is a refusal too (RFC 9051, 6.2.3).
_IMAP_REFUSALS = frozenset({b"", b"AUTHENTICATIONFAILED", b"AUTHORIZATIONFAILED", b"EXPIRED"})
# An address literal (RFC 5321, 4.1.3): smtplib would otherwise ask DNS for its own name each time.
_EHLO_NAME = "[127.0.0.1]"
# So many connections in a row that brought no answer, and the rest of a batch is not tried: five
# hundred inboxes would otherwise wait for five hundred time-outs.
_SILENCES = 5

_ENHANCED_CODE = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}\b")
_RESPONSE_CODE = re.compile(rb"\[([A-Z-]+)[\] ]")

# What one try came to, and the sentence that explains anything but "matches".
_Result = tuple[Outcome, str]


class _Silent(Exception):
    """A server gave no answer that tells about this login."""


@dataclass
class _Line:
    """How reachable one server is during one batch. A count that threads blur by one is fine."""

    silences: int = 0
    detail: str = ""


@provider("mail")
class MailServer(MailProvider):
    """Dovecot and Postfix over one host name and one CA.

    `ca_file`: PEM of the CA that signed the servers' certificates; empty for the system's.
    `timeout`: seconds, for each step of a conversation. `admin_url` and `admin_key`: Dovecot's HTTP
    interface; without one, running sessions are left to end by themselves, nothing can be forwarded
    and nobody knows how full a mailbox is. `has_sieve`: whether it runs filters. No credentials are
    needed.
    """

    key: ClassVar[str] = "mailserver"
    label: ClassVar[str] = "mPanel mail server"
    is_ours: ClassVar[bool] = True
    reads_rows: ClassVar[bool] = True

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        smtp_host: str,
        smtp_port: int,
        imap_host: str,
        imap_port: int,
        ca_file: str,
        timeout: float,
        admin_url: str = "",
        admin_key: str = "",
        has_sieve: bool = False,
    ) -> None:
        self._smtp = (smtp_host, smtp_port)
        self._imap = (imap_host, imap_port)
        self._ca_file = ca_file
        self._timeout = timeout
        self._has_sieve = has_sieve
        self._doveadm = (
            Doveadm(admin_url, admin_key, ca_file=ca_file, timeout=timeout) if admin_url else None
        )

    def leave_addresses_alone(self) -> None:
        """Ask the HTTP interface for nothing: it knows mailboxes by their address, and these
        addresses belong to another customer now."""
        self._doveadm = None

    def login_settings(self) -> LoginSettings:
        """Submission with STARTTLS (RFC 6409) and IMAP over TLS (RFC 8314)."""
        return LoginSettings(
            smtp_host=self._smtp[0],
            smtp_port=self._smtp[1],
            imap_host=self._imap[0],
            imap_port=self._imap[1],
        )

    def verify_logins(
        self,
        logins: Sequence[Login],
        *,
        parallel: int = 16,
        on_result: Callable[[LoginCheck], None],
    ) -> list[LoginCheck]:
        """As the port says. By SMTP a login must also be able to send as itself and to itself.

        IMAP is not tried where SMTP refused, so that a wrong password costs one failure.
        """
        smtp_line, imap_line = _Line(), _Line()
        checks: dict[int, LoginCheck] = {}
        with ThreadPoolExecutor(max(1, min(parallel, len(logins)))) as pool:
            tries = {
                pool.submit(self._verify_one, login, smtp_line, imap_line): at
                for at, login in enumerate(logins)
            }
            try:
                for done in as_completed(tries):
                    checks[tries[done]] = done.result()
                    on_result(done.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [checks[at] for at in range(len(logins))]

    def observe_accounts(self, wanted: Sequence[WantedAccount]) -> list[AccountState]:
        """It reads our rows; what can differ is a session of who may not log in any more."""
        shut = [one.email for one in wanted if not (one.may_log_in and one.is_present)]
        sessions = self._doveadm.sessions(shut) if self._doveadm and shut else {}
        return [
            AccountState(email=one.email, outcome="missing", detail="A session is still open.")
            if one.email in sessions
            else AccountState(email=one.email, outcome="matches")
            for one in wanted
        ]

    def apply_account(self, wanted: WantedAccount) -> AccountState:
        """End the sessions of who may not log in any more, or only with another password."""
        if self._doveadm and not (wanted.may_log_in and wanted.is_present and not wanted.password):
            self._doveadm.end_sessions(wanted.email)
        return AccountState(email=wanted.email, outcome="matches")

    @property
    def scripts(self) -> MailboxScripts | None:
        """They are written over the HTTP interface, and run where ManageSieve is offered."""
        return self._doveadm if self._has_sieve else None

    @property
    def meter(self) -> MailboxMeter | None:
        """Over the HTTP interface."""
        return self._doveadm

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """One context for all logins: reading the CA's certificate is the dear part."""
        return ssl.create_default_context(cafile=self._ca_file or None)

    def _verify_one(self, login: Login, smtp_line: _Line, imap_line: _Line) -> LoginCheck:
        smtp, detail = self._attempt(self._try_smtp, login, smtp_line)
        if smtp == "missing" or not self.has_imap:
            return LoginCheck(login.email, smtp, None, detail)
        imap, imap_detail = self._attempt(self._try_imap, login, imap_line)
        return LoginCheck(login.email, smtp, imap, " ".join(filter(None, (detail, imap_detail))))

    def _attempt(self, attempt: Callable[[Login], _Result], login: Login, line: _Line) -> _Result:
        if line.silences >= _SILENCES:
            return "unknown", line.detail
        try:
            result = attempt(login)
        except _Silent as silent:
            line.silences += 1
            line.detail = str(silent)
            return "unknown", line.detail
        line.silences = 0
        return result

    def _try_smtp(self, login: Login) -> _Result:
        server = "The mail server ({}:{})".format(*self._smtp)
        smtp = None
        try:
            smtp = smtplib.SMTP(*self._smtp, local_hostname=_EHLO_NAME, timeout=self._timeout)
            return self._talk_smtp(smtp, login, server)
        except smtplib.SMTPResponseException as error:
            code = _smtp_code(error.smtp_code, error.smtp_error)
            return "unknown", f"{server} answered {code} before the login was decided."
        except (OSError, ValueError) as error:
            raise _Silent(_why_silent(server, error)) from None
        finally:
            if smtp is not None:
                # What was found stands, however the good-bye goes.
                with suppress(OSError, ValueError):
                    smtp.quit()
                smtp.close()

    def _talk_smtp(self, smtp: smtplib.SMTP, login: Login, server: str) -> _Result:
        smtp.starttls(context=self._tls)
        smtp.ehlo_or_helo_if_needed()
        if "PLAIN" not in smtp.esmtp_features.get("auth", "").split():
            return "unknown", f"{server} does not offer AUTH PLAIN."
        # Not smtp.login(), which would try a refused password again with the next mechanism.
        smtp.user, smtp.password = login.email, login.password
        try:
            code, text = smtp.auth("PLAIN", smtp.auth_plain)
        except smtplib.SMTPAuthenticationError as error:
            code, text = error.smtp_code, _octets(error.smtp_error)
        if code != 235:
            said = _smtp_code(code, text)
            if code in _SMTP_REFUSALS:
                return "missing", f"{server} refused this address and password ({said})."
            return "unknown", f"{server} could not check the password ({said})."
        # Postfix rejects a foreign sender only at RCPT (smtpd_delay_reject), so both are asked.
        for code, text in (smtp.mail(login.email), smtp.rcpt(login.email)):
            if code // 100 != 2:
                outcome: Outcome = "missing" if code // 100 == 5 else "unknown"
                said = _smtp_code(code, text)
                return outcome, f"{server} does not let this address send as itself ({said})."
        smtp.rset()
        return "matches", ""

    def _try_imap(self, login: Login) -> _Result:
        server = "The IMAP server ({}:{})".format(*self._imap)
        imap = None
        try:
            imap = imaplib.IMAP4_SSL(*self._imap, ssl_context=self._tls, timeout=self._timeout)
            return self._talk_imap(imap, login, server)
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise _Silent(_why_silent(server, error)) from None
        finally:
            if imap is not None:
                with suppress(imaplib.IMAP4.error, OSError, ValueError):
                    imap.logout()

    def _talk_imap(self, imap: imaplib.IMAP4_SSL, login: Login, server: str) -> _Result:
        try:
            imap.login(login.email, login.password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            # imaplib gives the text of a NO as bytes; a BAD comes as a string of its own making.
            if not isinstance(error.args[0], bytes):
                return "unknown", f"{server} did not understand LOGIN."
            found = _RESPONSE_CODE.match(error.args[0])
            code = found[1] if found else b""
            said = f" ({code.decode('ascii')})" if code else ""
            if code in _IMAP_REFUSALS:
                return "missing", f"{server} refused this address and password{said}."
            return "unknown", f"{server} could not check the password{said}."
        answer, _ = imap.select("INBOX")
        if answer != "OK":
            return "unknown", f"{server} logged in, but does not open the inbox."
        return "matches", ""


def _smtp_code(code: int, text: bytes | str) -> str:
    """`535 5.7.8`: the codes without the server's prose, which might repeat what was sent."""
    enhanced = _ENHANCED_CODE.match(_octets(text))
    return f"{code} {enhanced[0].decode('ascii')}" if enhanced else str(code)


def _octets(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("ascii", "replace")


def _why_silent(server: str, error: Exception) -> str:
    """A sentence from what is safe to repeat of an error: its kind and the system's own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{server} shows a certificate that does not verify: {error.verify_message}."
    if isinstance(error.__context__, TimeoutError):
        error = error.__context__  # smtplib tells a time-out while it reads as a disconnection
    for kinds, sentence in _SILENCE_SENTENCES:
        if isinstance(error, kinds):
            return f"{server} {sentence}."
    reason = getattr(error, "strerror", None) or "no reason given"
    return f"{server} cannot be reached: {reason}."


# The first kind that fits tells; `SMTPException` is an `OSError`, `abort` an `IMAP4.error`.
_SILENCE_SENTENCES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (smtplib.SMTPNotSupportedError, "does not offer STARTTLS"),
    ((smtplib.SMTPServerDisconnected, imaplib.IMAP4.abort), "closed the connection"),
    (TimeoutError, "did not answer in time"),
    (ssl.SSLError, "failed to set up TLS"),
    (FileNotFoundError, "cannot be trusted: its CA file is missing"),
    ((smtplib.SMTPException, imaplib.IMAP4.error, ValueError), "gave an answer without sense"),
)
