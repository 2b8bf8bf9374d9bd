"""IMAP over TLS on the inboxes, by Twisted's server: the same logins as submission.

Twisted's protocol is driven by the asyncio loop that everything here runs in, so its reactor is
installed on that loop before anything asks for one.
"""

# Most of Twisted's mail package has no types.
# mypy: disallow-untyped-calls=False

import asyncio
import email.message
import email.utils
import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import asyncioreactor, defer, interfaces, protocol
from twisted.mail import imap4
from twisted.python.failure import Failure
from twisted.python.log import PythonLoggingObserver
from zope.interface import implementer

from .faults import Faults
from .journal import Journal
from .logins import Logins, LoginsUnavailable
from .mailstore import Mail, MailStore
from .tls import TlsFiles

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
AUTHENTICATION_FAILED = b"[AUTHENTICATIONFAILED] Authentication failed."
UNAVAILABLE = b"[UNAVAILABLE] Temporary authentication failure."  # RFC 5530
UID_VALIDITY = 1  # ids are never given twice, so no UID ever changes its meaning


@implementer(imap4.IMessage)
class MessagePart:
    """A message, or one part of it, as Twisted asks for it."""

    def __init__(self, message: email.message.Message) -> None:
        self._message = message

    def getHeaders(self, negate: bool, *names: bytes | str) -> dict[str, str]:  # noqa: N802
        # The client's names come as bytes, Twisted's own as text.
        texts = (name if isinstance(name, str) else name.decode("latin-1") for name in names)
        wanted = {text.lower() for text in texts}
        return {
            name.lower(): " ".join(str(value).split()).encode("ascii", "replace").decode()
            for name, value in self._message.items()
            if (name.lower() in wanted) != negate
        }

    def getBodyFile(self) -> io.BytesIO:  # noqa: N802
        return io.BytesIO(_body(self._message.as_bytes()))

    def getSize(self) -> int:  # noqa: N802
        return len(self._message.as_bytes())

    def isMultipart(self) -> bool:  # noqa: N802
        return self._message.is_multipart()

    def getSubPart(self, part: int) -> "MessagePart":  # noqa: N802
        payload = self._message.get_payload()
        found = payload[part] if isinstance(payload, list) else None
        if not isinstance(found, email.message.Message):
            raise IndexError(part)
        return MessagePart(found)


@implementer(imap4.IMessageFile)
class InboxMessage(MessagePart):
    """A delivered message."""

    def __init__(self, mail: Mail) -> None:
        # The modern policy would rewrite headers; what was sent is what is fetched.
        super().__init__(email.message_from_bytes(mail.raw))
        self._mail = mail

    def open(self) -> io.BytesIO:
        return io.BytesIO(self._mail.raw)

    def getBodyFile(self) -> io.BytesIO:  # noqa: N802
        return io.BytesIO(_body(self._mail.raw))

    def getSize(self) -> int:  # noqa: N802
        return len(self._mail.raw)

    def getUID(self) -> int:  # noqa: N802
        return self._mail.id

    def getFlags(self) -> tuple[str, ...]:  # noqa: N802
        return self._mail.flags

    def getInternalDate(self) -> str:  # noqa: N802
        return email.utils.formatdate(self._mail.received_at)


@implementer(imap4.IMailbox)
class Inbox:
    """The only mailbox of an address."""

    def __init__(self, address: str, mails: MailStore, *, writeable: bool) -> None:
        self._address = address
        self._mails = mails
        self._writeable = writeable
        self._seen = mails.inbox(address)

    def getFlags(self) -> tuple[str, ...]:  # noqa: N802
        return FLAGS

    def getHierarchicalDelimiter(self) -> str:  # noqa: N802
        return "/"

    def getUIDValidity(self) -> int:  # noqa: N802
        return UID_VALIDITY

    def getUIDNext(self) -> int:  # noqa: N802
        return self._mails.next_id()

    def getUID(self, number: int) -> int:  # noqa: N802
        return self._seen[number - 1].id

    def getMessageCount(self) -> int:  # noqa: N802
        return len(self._seen)

    def getRecentCount(self) -> int:  # noqa: N802
        return 0

    def getUnseenCount(self) -> int:  # noqa: N802
        return sum("\\Seen" not in mail.flags for mail in self._seen)

    def isWriteable(self) -> bool:  # noqa: N802
        return self._writeable

    def addListener(self, listener: object) -> None:  # noqa: N802
        """Nothing is announced by itself; NOOP brings new mail."""

    def removeListener(self, listener: object) -> None:  # noqa: N802
        """See `addListener`."""

    def refresh(self) -> int:
        """Take up what arrived since; answers how many messages there are."""
        known = {mail.id for mail in self._seen}
        self._seen += [mail for mail in self._mails.inbox(self._address) if mail.id not in known]
        return len(self._seen)

    def requestStatus(self, names: Iterable[str]) -> dict[str, int]:  # noqa: N802
        found: dict[str, int] = imap4.statusRequestHelper(self, list(names))
        return found

    def fetch(self, messages: imap4.MessageSet, uid: int) -> list[tuple[int, InboxMessage]]:
        return [(number, InboxMessage(mail)) for number, mail in self._chosen(messages, uid)]

    def store(
        self, messages: imap4.MessageSet, flags: Iterable[str], mode: int, uid: int
    ) -> dict[int, tuple[str, ...]]:
        """Set, add (`mode` 1) or remove (-1) flags; answers them by message number."""
        if not self._writeable:
            raise imap4.ReadOnlyMailbox
        given = list(flags)
        changed = {}
        for number, mail in self._chosen(messages, uid):
            kept = [] if mode == 0 else [flag for flag in mail.flags if flag not in given]
            new = tuple(kept + (given if mode >= 0 else []))
            self._mails.set_flags(mail.id, new)
            changed[number] = new
        by_id = {mail.id: mail for mail in self._mails.inbox(self._address)}
        self._seen = [by_id.get(mail.id, mail) for mail in self._seen]
        return changed

    def expunge(self) -> list[int]:
        """Delete what is marked; answers the numbers, each as it is when its turn comes."""
        gone: list[int] = []
        kept: list[Mail] = []
        for mail in self._seen:
            if "\\Deleted" in mail.flags:
                self._mails.delete(mail.id)
                gone.append(len(kept) + 1)
            else:
                kept.append(mail)
        self._seen = kept
        return gone

    def addMessage(  # noqa: N802
        self, message: io.BufferedIOBase, flags: Iterable[str] = (), date: str | None = None
    ) -> int:
        """APPEND: keep a copy in this inbox."""
        uid = self._mails.next_id()
        self._mails.keep(
            "delivered",
            sender=self._address,
            recipients=[self._address],
            raw=message.read(),
            mailbox=self._address,
        )
        self._mails.set_flags(uid, list(flags))
        return uid

    def destroy(self) -> None:
        raise imap4.MailboxException("INBOX cannot be deleted")

    def _chosen(self, messages: imap4.MessageSet, uid: int) -> Iterator[tuple[int, Mail]]:
        numbered = list(enumerate(self._seen, start=1))
        if not numbered:
            return
        if not messages.last:
            messages.last = numbered[-1][1].id if uid else numbered[-1][0]
        for number, mail in numbered:
            if (mail.id if uid else number) in messages:
                yield number, mail


def _body(raw: bytes) -> bytes:
    """What follows the empty line after the headers."""
    _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return body.replace(b"\n", b"\r\n")


class ImapAccount(imap4.MemoryAccount):
    """An address with its one mailbox."""

    def __init__(self, address: str, mails: MailStore) -> None:
        super().__init__(address)
        self._mails = mails
        self.mailboxes = {"INBOX": Inbox(address, mails, writeable=True)}
        self.subscriptions = ["INBOX"]

    def select(self, name: str, readwrite: int = 1) -> Inbox | None:
        if name.upper() != "INBOX":
            return None
        return Inbox(self.name, self._mails, writeable=bool(readwrite))

    def _emptyMailbox(self, name: str, id: int) -> None:  # noqa: A002, N802
        raise imap4.MailboxException("there is only INBOX")


class ImapServer(imap4.IMAP4Server):
    """One connection. It is its own portal: `login` is all that Twisted asks of one."""

    IDENT = b"mPanel sandbox ready"

    def __init__(self, service: "ImapService") -> None:
        super().__init__(chal={b"PLAIN": imap4.PLAINCredentials, b"LOGIN": imap4.LOGINCredentials})
        self._service = service
        self._refusal = b""
        self.portal: Any = self

    def connectionMade(self) -> None:  # noqa: N802
        if self._service.refuses_connection():
            self.sendLine(b"* BYE Service not available")
            transport: Any = self.transport
            transport.loseConnection()
        else:
            super().connectionMade()

    def login(
        self, credentials: UsernamePassword, mind: object, *offered: object
    ) -> defer.Deferred[Any]:
        """Check the credentials of LOGIN and AUTHENTICATE alike."""
        task = asyncio.ensure_future(self._login(credentials.username, credentials.password))
        return defer.Deferred.fromFuture(task)

    async def _login(self, user: bytes, password: bytes) -> tuple[Any, ImapAccount, Any]:
        address = user.decode(errors="replace").lower()
        try:
            accepted = await self._service.accepts(address, password)
        except LoginsUnavailable as error:
            self._refusal = UNAVAILABLE
            raise UnauthorizedLogin from error
        if not accepted:
            self._refusal = AUTHENTICATION_FAILED
            raise UnauthorizedLogin
        self._service.began(self, address)
        return imap4.IAccount, ImapAccount(address, self._service.mails), lambda: None

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self._service.ended(self)
        super().connectionLost(reason)

    def end(self) -> None:
        """Close the connection with a good-bye."""
        self._service.ended(self)  # now, not when the client has closed its side
        self.sendLine(b"* BYE Disconnected by an administrator")
        transport: Any = self.transport
        transport.loseConnection()

    def sendNegativeResponse(self, tag: bytes | None = None, message: bytes = b"") -> None:  # noqa: N802
        if self._refusal:
            message, self._refusal = self._refusal, b""
        super().sendNegativeResponse(tag, message)

    def do_NOOP(self, tag: bytes) -> None:  # noqa: N802
        if isinstance(self.mbox, Inbox):
            self.sendUntaggedResponse(b"%d EXISTS" % self.mbox.refresh())
        self.sendPositiveResponse(tag, b"NOOP completed")

    # Twisted's table of commands by state.
    select_NOOP: Any = (do_NOOP,)  # noqa: N815


class ImapService(protocol.Factory):
    """The IMAP server: makes a protocol for each connection."""

    noisy = False

    def __init__(self, logins: Logins, mails: MailStore, faults: Faults, journal: Journal) -> None:
        self.mails = mails
        self._logins = logins
        self._faults = faults
        self._journal = journal
        self._port: Any = None
        self._sessions: dict[ImapServer, str] = {}

    def began(self, session: ImapServer, address: str) -> None:
        """Somebody logged in."""
        self._sessions[session] = address

    def ended(self, session: ImapServer) -> None:
        """A connection is closed, with a login or without one."""
        self._sessions.pop(session, None)

    def sessions(self) -> Counter[str]:
        """How many connections each address has open."""
        return Counter(self._sessions.values())

    def end_sessions(self, address: str) -> int:
        """Close every connection of an address; how many there were."""
        doomed = [session for session, whose in self._sessions.items() if whose == address]
        for session in doomed:
            session.end()
        return len(doomed)

    def buildProtocol(self, addr: interfaces.IAddress | None) -> ImapServer:  # noqa: N802
        return ImapServer(self)

    def refuses_connection(self) -> bool:
        """Whether a failure on purpose meets this connection."""
        return self._faults.take("imap", "", "", "refuse") is not None

    async def accepts(self, address: str, password: bytes) -> bool:
        """Whether the login is good now. Raises `LoginsUnavailable`."""
        fault = self._faults.take("imap", "", "", "delay", "reject_auth")
        if fault and fault.kind == "delay":
            await asyncio.sleep(fault.delay or 0)
        rejected = bool(fault and fault.kind == "reject_auth")
        accepted = not rejected and await self._logins.accepts(address, password)
        status = 200 if accepted else 403  # IMAP has words, not numbers
        self._journal.count("imap", "LOGIN", "", status)
        self._journal.note("imap", "LOGIN", address, status)
        return accepted

    async def start(self, host: str, port: int, files: TlsFiles) -> None:
        """Listen with TLS. Raises `OSError` if the port is taken."""
        asyncioreactor.install(asyncio.get_running_loop())
        PythonLoggingObserver("sandbox.imap").start()
        logging.getLogger("sandbox.imap").setLevel(logging.ERROR)
        # Both look for the reactor when they are imported.
        from twisted.internet import reactor, ssl
        from twisted.internet.error import CannotListenError

        running: Any = reactor
        pair = files.key.read_bytes() + files.certificate.read_bytes()
        options = ssl.PrivateCertificate.loadPEM(pair).options()
        try:
            self._port = running.listenSSL(port, self, options, interface=host)
        except CannotListenError as error:
            raise OSError(str(error)) from error

    async def stop(self) -> None:
        if self._port is not None:
            stopping = self._port.stopListening()
            if stopping is not None:
                await stopping.asFuture(asyncio.get_running_loop())
