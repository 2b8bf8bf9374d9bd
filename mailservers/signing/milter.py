"""The server's side of the milter protocol, without any decision in it.

Sendmail documents its library only; this speaks version 6 as Postfix does (src/milter/milter8.c). A
packet is four bytes of length, a letter, and what belongs to it. Of a message only its headers and
the name of who logged in are asked for, and only its end is answered.
https://www.postfix.org/MILTER_README.html
"""

import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mailservers.serving import Connection, ProtocolBroken, RequestServer

VERSION = 6
# What we do without: connection, HELO, recipients, DATA, unknown commands, the body; and the
# replies to MAIL, headers and their end.
NOTHING_OF = 0x1 | 0x2 | 0x8 | 0x10 | 0x100 | 0x200
NO_REPLY_TO = 0x4000 | 0x80 | 0x40000
LONGEST_PACKET = 1024 * 1024  # bytes; Postfix keeps 100 KB of a header (header_size_limit)
MOST_HEADERS = 4 * 1024 * 1024  # bytes of one message's headers together
SESSION = 7200.0  # seconds between two packets: a client may take its time with a large message

PASS = b"c"
REPLY = b"y"


@dataclass(slots=True)
class Submitted:
    """A message as far as it is known: who logged in, the queue's id, and header names and values.

    Names are in small letters. Values may be folded, and may hold any bytes.
    """

    login: str = ""
    queue_id: str = ""
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    size: int = 0


# An SMTP reply such as `554 5.7.1 Why`, or "" to let the message pass.
Decide = Callable[[Submitted], Awaitable[str]]


class MilterServer(RequestServer):
    """Answers each message by `decide`, until it is closed."""

    def __init__(self, decide: Decide) -> None:
        super().__init__()
        self.decide = decide

    def connection(self) -> Connection:
        return MilterConnection(self)


class MilterConnection(Connection):
    """One session of Postfix: as many messages as its client sends."""

    def __init__(self, server: MilterServer) -> None:
        super().__init__(server)
        self._decide = server.decide
        self._macros: dict[str, str] = {}
        self._message = Submitted()
        self._has_begun = False

    @property
    def is_busy(self) -> bool:
        return self._has_begun or super().is_busy

    def data_received(self, data: bytes) -> None:
        self._acknowledge()
        super().data_received(data)

    def take(self) -> object | None:
        """The end of a message, or an answer to the beginning of the session."""
        while (packet := self._next_packet()) is not None:
            request = self._take_packet(packet[:1], packet[1:])
            if request is not None:
                return request
        self.patience_ends = time.monotonic() + SESSION
        return None

    async def answer(self, request: object) -> bytes:
        if isinstance(request, bytes):
            return request
        assert isinstance(request, Submitted)
        reply = "554 5.6.0 The message's headers are too long."
        if request.size <= MOST_HEADERS:
            reply = await self._decide(request)
        if not reply:
            return _packet(PASS)
        return _packet(REPLY, reply.encode("ascii", "replace") + b"\0")

    def _acknowledge(self) -> None:
        """Tell the kernel not to wait: Postfix writes the next packet only after the TCP ACK."""
        if self._transport is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1
                )

    def _next_packet(self) -> bytes | None:
        if len(self._buffer) < 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer)
        if not 1 <= length <= LONGEST_PACKET:
            raise ProtocolBroken("speaks no milter protocol")
        if len(self._buffer) < 4 + length:
            return None
        packet = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        return packet

    def _take_packet(self, command: bytes, content: bytes) -> object | None:
        match command:
            case b"O":
                return _negotiated(content)
            case b"D":
                # The first letter names their command; a message begins with those of MAIL.
                before = {} if content[:1] == b"M" else self._macros
                self._macros = before | dict(_pairs(content[1:]))
            case b"M":
                self._message = Submitted(login=self._macros.get("{auth_authen}", ""))
                self._has_begun = True
            case b"L":
                self._add_header(content)
            case b"E":
                self._message.queue_id = self._macros.get("i", "")
                message, self._message = self._message, Submitted()
                self._has_begun = False
                return message
            case b"A":
                self._message, self._has_begun = Submitted(), False
            case b"K":
                self._message, self._macros, self._has_begun = Submitted(), {}, False
            case b"Q":
                self.hang_up()
        return None

    def _add_header(self, content: bytes) -> None:
        name, _, value = content.partition(b"\0")
        self._message.size += len(content)
        if self._message.size <= MOST_HEADERS:
            header = name.decode("ascii", "replace").strip().lower(), value.removesuffix(b"\0")
            self._message.headers.append(header)


def _negotiated(content: bytes) -> bytes:
    """What we ask for, if it is offered. Raises `ProtocolBroken`."""
    wanted = NOTHING_OF | NO_REPLY_TO
    if len(content) >= 12:
        version, _, offered = struct.unpack_from("!III", content)
        if version >= VERSION and offered & wanted == wanted:
            return _packet(b"O", struct.pack("!III", VERSION, 0, wanted))
    raise ProtocolBroken("speaks another version of the milter protocol")


def _packet(command: bytes, content: bytes = b"") -> bytes:
    return struct.pack("!I", 1 + len(content)) + command + content


def _pairs(content: bytes) -> Iterator[tuple[str, str]]:
    """Macros' names and values, each ended by a zero byte."""
    parts = content.decode(errors="replace").split("\0")
    return zip(parts[::2], parts[1::2], strict=False)
