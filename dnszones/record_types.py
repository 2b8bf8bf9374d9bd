"""What is particular to each record type that can be written: its content, and its RFC's rules."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class RecordType:
    """`holds`: what the content is, as the end of a sentence. `about`: what the record is for."""

    about: str
    holds: str
    example: str


TYPES: Final[dict[str, RecordType]] = {
    "A": RecordType("IPv4 address of a host", "an IPv4 address", "192.0.2.10"),
    "AAAA": RecordType("IPv6 address of a host", "an IPv6 address", "2001:db8::10"),
    "CAA": RecordType(
        "Who may issue certificates",
        "flags, a tag and a value in quotes",
        '0 issue "letsencrypt.org"',
    ),
    "CNAME": RecordType("Another name of a host", "a host name", "shop.example.net"),
    "DNAME": RecordType("Another name of all names below this one", "a host name", "example.net"),
    "DS": RecordType(
        "Key of a signed zone below this one",
        "key tag, algorithm, digest type and digest",
        "60485 13 2 " + "d4" * 32,
    ),
    "HTTPS": RecordType(
        "How a web service is reached",
        "a priority, a target and parameters",
        '1 . alpn="h2,h3"',
    ),
    "MX": RecordType("Where mail is received", "the mail server's host name", "mx.example.net"),
    "NAPTR": RecordType(
        "Rewriting of names, for telephony",
        "order, preference, flags, service, expression and replacement",
        '100 10 "u" "E2U+sip" "!^.*$!sip:info@example.net!" .',
    ),
    "NS": RecordType("Nameserver of a zone below this one", "a host name", "ns1.example.net"),
    "PTR": RecordType("Name of an address", "a host name", "host.example.net"),
    "SRV": RecordType(
        "Where a service runs", "weight, port and host name", "5 5060 sip.example.net"
    ),
    "SSHFP": RecordType(
        "Fingerprint of an SSH host key",
        "algorithm, type and fingerprint",
        "4 2 " + "1f" * 32,
    ),
    "SVCB": RecordType(
        "How a service is reached", "a priority, a target and parameters", "1 svc.example.net"
    ),
    "TLSA": RecordType(
        "Certificate of a service",
        "usage, selector, matching type and hash",
        "3 1 1 " + "8c" * 32,
    ),
    "TXT": RecordType("Text, such as SPF or a verification", "a text", "v=spf1 mx -all"),
    "URI": RecordType(
        "Address of a service", "a weight and a URI in quotes", '1 "https://example.net/"'
    ),
}

# Content of which one word is a host name, and which word that is.
SECOND_WORD: Final = frozenset({"HTTPS", "SVCB"})
LAST_WORD: Final = frozenset({"NAPTR", "SRV"})
# Types for which the root as a host name says that there is no service, or the name itself.
MAY_LEAD_NOWHERE: Final = frozenset({"HTTPS", "MX", "NAPTR", "SRV", "SVCB"})

_SERVICE = re.compile(r"_[a-z0-9-]+\._[a-z0-9-]+(\.|$)")
_PORT = re.compile(r"(\*|_\d{1,5})\._(tcp|udp|sctp|dccp)(\.|$)")


def split_target(kind: str, content: str) -> tuple[str, str, str]:
    """What stands before the host name in the content, the name, and what stands after it.

    Without a host name, or where there are too few words, it is all before.
    """
    if kind in SECOND_WORD and len(words := content.split(maxsplit=2)) > 1:
        return f"{words[0]} ", words[1], f" {words[2]}" if words[2:] else ""
    if kind in LAST_WORD and len(words := content.rsplit(maxsplit=1)) > 1:
        return f"{words[0]} ", words[1], ""
    return content, "", ""


def expected(kind: str) -> str:
    """What a record of the type holds, as a sentence."""
    shape = TYPES[kind]
    return f"A record of type {kind} holds {shape.holds}, such as {shape.example}"


def broken_rule(kind: str, name: str, content: str) -> tuple[str, str] | None:
    """The field and a sentence, where a record in normal form breaks a rule of its type."""
    if kind == "SRV" and not _SERVICE.match(name):
        return "name", "The name begins with service and protocol, such as _sip._tcp (RFC 2782)."
    if kind == "TLSA" and not _PORT.match(name):
        return "name", "The name begins with port and protocol, such as _443._tcp (RFC 6698)."
    if kind == "CAA" and content.split(maxsplit=1)[0] not in {"0", "128"}:
        return "content", "The flags are 0, or 128 for critical (RFC 8659)."
    return None


def bad_target(kind: str, name: str, target: str) -> str:
    """Why the host name to which a record leads will not do; "" where it will."""
    if _is_address(target):
        return f"“{target}” is an address. Give the name of a host."
    if target == ".":
        return "" if kind in MAY_LEAD_NOWHERE else f"{expected(kind)}."
    if target and "." not in target:
        return f"“{target}” alone is a name of the DNS root. Give the whole name of the host."
    if target == name and kind in {"CNAME", "DNAME"}:
        return "The record points to itself."
    return ""


def _is_address(content: str) -> bool:
    try:
        ipaddress.ip_address(content)
    except ValueError:
        return False
    return True
