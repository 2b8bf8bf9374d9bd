"""The check of authors for tests: in a thread of the test's process, and Postfix' side of it."""

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Self

from mailservers.signing.authors import AuthorCheck
from mailservers.signing.milter import MilterServer
from tests.signers import Loop, free_port

# Postfix 3.7 and 3.10 offer all changes and all omissions of version 6.
OFFERED = struct.pack("!III", 6, 0x1FF, 0x1FFFFF)
Headers = Sequence[tuple[str, bytes]]


class PostfixMilter:
    """One session of Postfix with a milter; a context manager."""

    def __init__(self, port: int, *, offered: bytes = OFFERED) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._answers = self._socket.makefile("rb")
        self.send(b"O", offered)
        self.negotiated = self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._answers.close()
        self._socket.close()

    def send(self, command: bytes, content: bytes = b"") -> None:
        self.raw(packet(command, content))

    def raw(self, sent: bytes) -> None:
        self._socket.sendall(sent)

    def answer(self) -> bytes:
        """The next packet's letter and content; empty when the milter hung up."""
        try:
            length = self._answers.read(4)
            return self._answers.read(*struct.unpack("!I", length)) if length else b""
        except ConnectionResetError:
            return b""

    def ask(self, login: str, headers: Headers) -> str:
        """The SMTP reply to a message, "" where it passes."""
        self.raw(message(login, headers))
        answer = self.answer()
        assert answer[:1] in {b"c", b"y"}, answer
        return answer[1:].rstrip(b"\0").decode()


def packet(command: bytes, content: bytes = b"") -> bytes:
    """As it goes over the wire."""
    return struct.pack("!I", 1 + len(content)) + command + content


def message(login: str, headers: Headers) -> bytes:
    """A message as Postfix tells it, up to its end."""
    mail = b"Mi\0NOQUEUE\0{auth_type}\0PLAIN\0{auth_authen}\0" + login.encode() + b"\0"
    return b"".join(
        [
            packet(b"D", mail),
            packet(b"M", b"<%s>\0" % login.encode()),
            *(packet(b"L", name.encode() + b"\0" + value + b"\0") for name, value in headers),
            packet(b"N"),
            packet(b"D", b"Ei\x004F1A2B3C4D\0"),
            packet(b"E"),
        ]
    )


@contextlib.contextmanager
def author_check(port: int = 0) -> Iterator[int]:
    """The real check on the test's database; its port, a free one if none is given."""
    port = port or free_port()
    loop, check = Loop(), AuthorCheck()
    server = MilterServer(check.decide)
    try:
        loop.do(server.listen("127.0.0.1", port))
        yield port
    finally:
        loop.do(server.close())
        check.close()
        loop.close()
