"""The server that takes signed mail: one connection, spoken to a command at a time."""

import smtplib
from contextlib import suppress

TIMEOUT = 60.0  # seconds for each reply
SILENT = "451 4.4.1 The mail server behind the signer does not answer"


class NextHop:
    """A connection that is opened when it is first needed. Blocking: for threads.

    Every method answers as the server did, in one line, and `SILENT` where it did not.
    """

    def __init__(self, host: str, port: int, *, timeout: float = TIMEOUT) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._smtp: smtplib.SMTP | None = None
        self._is_open = False  # a message was begun and neither sent nor abandoned

    def begin(self, sender: str, *, eight_bit: bool, utf8: bool, origin: str = "") -> str:
        """Name the envelope sender, "" for the null sender. `origin` stands in the server's log."""
        self.abandon()
        answer = self._begin(sender, eight_bit=eight_bit, utf8=utf8, origin=origin)
        if answer == SILENT:
            # The server may have ended a connection that rested; then a new one is as good.
            answer = self._begin(sender, eight_bit=eight_bit, utf8=utf8, origin=origin)
        return answer

    def add(self, recipient: str) -> str:
        """Name one more recipient."""
        return self._ask("RCPT", f"TO:<{recipient}>")

    def send(self, message: bytes) -> str:
        """Hand the message over; the server has it from a 250 on."""
        self._is_open = False
        if self._smtp is None:
            return SILENT
        try:
            return self._told(*self._smtp.data(message))
        except smtplib.SMTPDataError as error:
            return self._told(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException):
            self.close()
            return SILENT

    def abandon(self) -> None:
        """Forget the message that was begun."""
        if self._is_open:
            self._is_open = False
            self._ask("RSET")

    def quit(self) -> None:
        """End the connection politely."""
        if self._smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._smtp.docmd("QUIT")
        self.close()

    def close(self) -> None:
        """Drop the connection, whatever is under way."""
        smtp, self._smtp, self._is_open = self._smtp, None, False
        if smtp is not None:
            smtp.close()

    def _begin(self, sender: str, *, eight_bit: bool, utf8: bool, origin: str) -> str:
        try:
            smtp = self._connected()
        except (OSError, smtplib.SMTPException):
            self.close()
            return SILENT
        if utf8 and not smtp.has_extn("smtputf8"):
            return "550 5.6.7 The mail server takes no addresses beyond ASCII"
        smtp.command_encoding = "utf-8" if utf8 else "ascii"
        if origin and smtp.has_extn("xforward"):
            self._ask("XFORWARD", f"IDENT={origin}")
            if self._smtp is None:
                return SILENT
        options = " BODY=8BITMIME" if eight_bit and smtp.has_extn("8bitmime") else ""
        answer = self._ask("MAIL", f"FROM:<{sender}>{options}{' SMTPUTF8' if utf8 else ''}")
        self._is_open = answer.startswith("2")
        return answer

    def _connected(self) -> smtplib.SMTP:
        if self._smtp is None:
            self._smtp = smtplib.SMTP(timeout=self._timeout)
            code, _ = self._smtp.connect(*self._address)
            if code != 220:
                raise smtplib.SMTPConnectError(code, b"")
            self._smtp.ehlo_or_helo_if_needed()
        return self._smtp

    def _ask(self, command: str, argument: str = "") -> str:
        if self._smtp is None:
            return SILENT
        try:
            return self._told(*self._smtp.docmd(command, argument))
        except UnicodeEncodeError:
            return "553 5.6.7 This address needs SMTPUTF8"
        except (OSError, smtplib.SMTPException):
            self.close()
            return SILENT

    def _told(self, code: int, text: bytes | str) -> str:
        """The reply in one line. A server that takes its leave means: later."""
        if code == 421 or not 200 <= code < 600:
            self.close()
            return SILENT
        said = text.decode(errors="replace") if isinstance(text, bytes) else text
        line = " ".join(said.split())
        return f"{code} {line[:400]}"
