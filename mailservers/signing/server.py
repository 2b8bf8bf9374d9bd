"""SMTP in, SMTP out, and the signature in between.

Replies to MAIL and RCPT are the next hop's own. Whatever goes wrong here answers 451, so that
Postfix keeps the message in its queue: nothing is lost, and nothing that should carry a signature
leaves without one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from mailservers.addresses import without_extension
from mailservers.serving import Service, drain, stop_accepting
from mailservers.signing.authors import any_is_ours, logins_of, own_among
from mailservers.signing.keys import FORGET_EVERY, KeyRing, NoSigningKey
from mailservers.signing.nexthop import NextHop
from mailservers.signing.signatures import (
    BY_SCRIPT,
    SCRIPTS,
    NotTheAuthor,
    Unsignable,
    authors,
    domain_of,
    is_looping,
    is_of_here,
    normal_lines,
    sign,
)
from mpanel.core.secrets import Unsealable

log = logging.getLogger("mailservers.signing")
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own, a line per command

LATER = "451 4.3.0 The message cannot be signed now"
# Postfix sends no longer lines (line_length_limit); what it adds on the way is below this.
LONGEST_LINE = 2048
HEADERS_ON_THE_WAY = 65_536
THREADS = 16
NULL_SENDER = "<>"


@dataclass
class Signer:
    """What all sessions share. `next_hop`: host and port of the server that takes signed mail."""

    next_hop: tuple[str, int]
    ring: KeyRing = field(default_factory=KeyRing)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))
    sessions: "set[SigningServer]" = field(default_factory=set)
    is_closing: bool = False

    def signed(self, message: bytes, sender: str, *, of_script: bool = False) -> bytes:
        """The message as it leaves: signed by the envelope sender's domain, if that is ours.

        `sender`: the envelope's, "" for none; then the author's domain signs, as for a vacation
        reply. `of_script`: a mailbox's script sends it. Its own notes are signed; what it sends on
        for others leaves as it came. Raises `Unsignable`, and whatever means: later.
        """
        message = normal_lines(message)
        if is_looping(message):
            raise Unsignable("The message runs in a circle.")
        found = authors(message)
        if of_script and not _is_own_note(message, sender, found):
            return message  # its author's signature is still good, and ours would be no author's
        domain = domain_of(sender) if sender else _only_domain(found)
        key = self.ring.key_of(domain) if domain else None
        if key is None:
            log.warning("no key of ours for %s: passed unsigned", domain or "the null sender")
            return message
        if len(found) != 1:
            raise Unsignable("A message has exactly one From header.")
        if "" in {domain_of(author) for author in found[0]}:
            raise Unsignable("The From header cannot be read.")
        # Postfix has asked who the author may be (authors.py); nobody forges ours by another way.
        if sender and any_is_ours({domain_of(one) for one in _not_own(sender, found[0])}):
            raise NotTheAuthor("The From header must be an address of the mailbox that sends.")
        signed = sign(message, key)
        log.info("signed d=%s s=%s bytes=%d", domain, key.selector, len(signed))
        return signed

    async def in_thread[T](self, work: Callable[..., T], *arguments: object) -> T:
        """Blocking work, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)


def _only_domain(found: list[set[str]]) -> str:
    """The one domain of all authors; "" for several or none."""
    domains = {domain_of(author) for authors_of_one in found for author in authors_of_one}
    return domains.pop() if len(domains) == 1 else ""


def _not_own(sender: str, authors: set[str]) -> set[str]:
    """The authors whose address no mailbox owns that may send as the envelope's sender."""
    sender = without_extension(sender.lower())
    others = {base for author in authors if (base := without_extension(author)) != sender}
    return others and others - own_among(others, logins_of(sender))


def _is_own_note(message: bytes, sender: str, found: list[set[str]]) -> bool:
    """Whether a script wrote this as its mailbox. A null sender stands for no mailbox."""
    if not sender or len(found) != 1 or not is_of_here(message):
        return False
    return not _not_own(sender, found[0])


class SigningSession:
    """One connection of Postfix, and the one that it leads to."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.hop = NextHop(*signer.next_hop)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        sender = "" if address == NULL_SENDER else address
        answer = await self._signer.in_thread(
            lambda: self.hop.begin(
                sender,
                eight_bit="BODY=8BITMIME" in options,
                utf8="SMTPUTF8" in options,
                origin=BY_SCRIPT if session.host_name == SCRIPTS else "",
            )
        )
        if answer.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._signer.in_thread(self.hop.add, address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        sender = str(envelope.mail_from)
        return await self._signer.in_thread(
            self._hand_over,
            bytes(envelope.original_content or b""),
            "" if sender == NULL_SENDER else sender,
            session.host_name == SCRIPTS,
        )

    async def handle_RSET(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._signer.in_thread(self.hop.abandon)
        return "250 2.0.0 Ok"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._signer.in_thread(self.hop.quit)
        return "221 2.0.0 Bye"

    async def handle_exception(self, error: Exception) -> str:
        log.error("a session failed", exc_info=error)
        return LATER

    def _hand_over(self, message: bytes, sender: str, of_script: bool) -> str:
        try:
            try:
                signed = self._signer.signed(message, sender, of_script=of_script)
            finally:
                connection.close()  # of this thread, which may not be asked again for long
        except Unsignable as error:
            answer = f"554 {error.code} {error}"
        except (DatabaseError, InterfaceError) as error:
            log.error("keys cannot be read: %s", type(error).__name__)
            answer = LATER
        except NoSigningKey as error:
            log.error("no key of %s signs now: the mail waits", error)
            answer = LATER
        except Unsealable as error:
            log.error("a key does not open: %s", error)
            answer = LATER
        else:
            return self.hop.send(signed)
        self.hop.abandon()
        return answer


class SigningServer(SMTP):
    """aiosmtpd's server for one connection, with what a filter of Postfix must speak."""

    line_length_limit = LONGEST_LINE + 3

    def __init__(self, signer: Signer) -> None:
        self._ours = SigningSession(signer)
        self._signer = signer
        self._is_open = self._was_served = False
        super().__init__(
            self._ours,
            hostname="mailsigner",
            ident="ESMTP",
            data_size_limit=settings.MAIL_SIZE_LIMIT + HEADERS_ON_THE_WAY,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )

    @property
    def is_over(self) -> bool:
        """Whether its message was answered. Postfix may keep it for another one, and opens a new
        connection where it was closed meanwhile."""
        return self._was_served and not self._is_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._signer.sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._signer.sessions.discard(self)
        self._ours.hop.close()

    async def push(self, status: AnyStr) -> None:
        """Send a reply; a transaction ends with its last one."""
        await super().push(status)
        was_open, self._is_open = self._is_open, bool(self.envelope and self.envelope.mail_from)
        self._was_served = self._was_served or (was_open and not self._is_open)
        if self._signer.is_closing:
            self.leave()

    def leave(self) -> None:
        """Hang up behind the last reply, unless a message is under way or about to come."""
        if self.is_over and self.transport is not None:
            self.transport.close()


async def listen(host: str, port: int, signer: Signer) -> asyncio.Server:
    """Take mail for signing; several processes may share an address. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SigningServer(signer), host, port, reuse_port=True, backlog=512
    )


class SigningService:
    """The signer's side of `drain`."""

    def __init__(self, signer: Signer, listener: asyncio.Server) -> None:
        self._signer = signer
        self.listener: asyncio.Server | None = listener

    @property
    def is_busy(self) -> bool:
        return any(not session.is_over for session in self._signer.sessions)

    @property
    def is_in_use(self) -> bool:
        return self.is_busy

    async def stop_listening(self) -> None:
        self._signer.is_closing = True
        if self.listener is not None:
            await stop_accepting(self.listener, lambda: SigningServer(self._signer))
        for session in list(self._signer.sessions):
            session.leave()


async def serve(
    host: str,
    port: int,
    signer: Signer,
    stop: asyncio.Event,
    *,
    beside: Sequence[Service] = (),
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Take mail until `stop` is set, and finish what is under way then. Raises `OSError`.

    `ready`: called when this listens. `beside`: what is drained together with it.
    """
    service = SigningService(signer, await listen(host, port, signer))
    forgetting = asyncio.create_task(_forget_keys(signer.ring))
    try:
        ready()
        await stop.wait()
        await drain([service, *beside])
    finally:
        await service.stop_listening()
        forgetting.cancel()
        signer.threads.shutdown(wait=False, cancel_futures=True)


async def _forget_keys(ring: KeyRing) -> Any:
    while True:
        await asyncio.sleep(FORGET_EVERY)
        ring.forget_old()
