"""Signing a message (RFC 6376): relaxed/relaxed, rsa-sha256, with headers that cannot be added to.

Nothing here knows the database or the network.
"""

import re
from collections import Counter
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from email.utils import format_datetime, getaddresses, make_msgid

import dkim

from dnszones.records import normal_name
from mailservers.signing.keys import SigningKey

# Signed once more often than they occur, so that none can be put in front later (RFC 6376 §5.4.2
# and §8.15; M3AAWG DKIM best practices).
OVERSIGNED = (
    b"from",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)
# Signed as often as they occur: RFC 6376 §5.4.1 names them, and lists may add their own.
SIGNED = (
    b"sender",
    b"in-reply-to",
    b"references",
    b"content-id",
    b"content-description",
    b"resent-date",
    b"resent-from",
    b"resent-sender",
    b"resent-to",
    b"resent-cc",
    b"resent-message-id",
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
)
MOST_HOPS = 50  # Postfix's hopcount_limit
# How Postfix calls itself (EHLO) where it brings what scripts of mailboxes send.
SCRIPTS = "sieve.mpanel.invalid"
# What its log calls their origin then: their fates are not counted.
BY_SCRIPT = "script"

LONGEST_HEAD = 524_288  # bytes of all headers together

_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_SPACE_AT_END = re.compile(rb"(?<![\t ])[\t ]++\r\n")
_SPACES = re.compile(rb"[\t ]+")


class Unsignable(Exception):
    """The message cannot be signed as it is; the text says why, for its sender."""

    code = "5.6.0"  # RFC 3463


class NotTheAuthor(Unsignable):
    """The From header must be an address of the mailbox that sends."""

    code = "5.7.1"


def normal_lines(message: bytes) -> bytes:
    """The message with every line ended by CRLF, as a signature sees it (RFC 6376 §5.3)."""
    return _BARE_LINE_FEED.sub(b"\r\n", message)


def authors(message: bytes) -> list[set[str]]:
    """The addresses in each From header of a message: lower case, domains in normal form."""
    return [addresses_of(value) for value in _headers(message).get_all("From", [])]


def addresses_of(value: str) -> set[str]:
    """The addresses in a header, groups' members too: lower case, domains in normal form.

    One without a domain stands for what cannot be read.
    """
    return {_normal_address(address) for address in _addresses(value) or [""]}


def _addresses(value: str) -> list[str]:
    try:
        return [address for _, address in getaddresses([value])]
    except RecursionError:  # comments in comments, groups in groups
        return [""]


def domain_of(address: str) -> str:
    """The domain of an address, in normal form; "" where it has none."""
    return normal_name(address.rpartition("@")[2]) if "@" in address else ""


def _normal_address(address: str) -> str:
    return f"{address.rpartition('@')[0].lower()}@{domain_of(address)}"


def is_looping(message: bytes) -> bool:
    """Whether the message went through so many servers that it must run in a circle."""
    return _hops(message) > MOST_HOPS


def is_of_here(message: bytes) -> bool:
    """Whether no server but the one before the signer had the message, so that it began here.

    What came from outside has a line more, which whoever wrote it cannot take out.
    """
    return _hops(message) <= 1


def _hops(message: bytes) -> int:
    return len(_headers(message).get_all("Received", []))


def sign(message: bytes, key: SigningKey) -> bytes:
    """The message with a signature on top, and with the headers that it must have.

    Lines end with CRLF. Signatures that are there already stay. Raises `Unsignable`.
    """
    message = _completed(message, key.domain)
    if len(message.partition(b"\r\n\r\n")[0]) > LONGEST_HEAD:
        raise Unsignable("The message's headers are too long.")
    try:
        signer = dkim.DKIM(_with_plain_spaces(message))
        present = Counter(name.lower() for name, _ in signer.headers)
        names = [name for name in OVERSIGNED for _ in range(present[name] + 1)]
        names += [name for name in SIGNED for _ in range(present[name])]
        signature: bytes = signer.sign(
            key.selector.encode(),
            key.domain.encode(),
            key.pem,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=names,
        )
    except dkim.MessageFormatError:
        raise Unsignable("The message's headers cannot be read.") from None
    return signature + message


def _with_plain_spaces(message: bytes) -> bytes:
    """The same message to a relaxed signature (RFC 6376 §3.4.4), with single spaces in its body.

    dkimpy looks at a run of spaces once more for each space in it, which held up all other mail.
    """
    head, end, body = message.partition(b"\r\n\r\n")
    return head + end + _SPACES.sub(b" ", _SPACE_AT_END.sub(b"\r\n", body))


def _completed(message: bytes, domain: str) -> bytes:
    """The message with Date and Message-ID, which a server would add later (RFC 6409 §8)."""
    present = _headers(message)
    added = b""
    if "Date" not in present:
        added += f"Date: {format_datetime(datetime.now(UTC))}\r\n".encode()
    if "Message-ID" not in present:
        added += f"Message-ID: {make_msgid(domain=domain)}\r\n".encode()
    return added + message


def _headers(message: bytes) -> Message:
    head = message.partition(b"\r\n\r\n")[0]
    return HeaderParser().parsestr(head.decode(errors="surrogateescape"))
