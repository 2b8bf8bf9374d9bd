"""A DNS server that costs next to nothing, in its own process, for measuring clients.

It answers TXT questions on several loopback addresses from messages built beforehand, in which only
the id and the flags are patched: who asks recursively gets a resolver's answer, who does not that
of a zone's own nameserver. `python -m benchmarks.dns_server` prints its port when it listens.
"""

import argparse
import contextlib
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

ADDRESSES = ("127.0.0.41", "127.0.0.42", "127.0.0.43", "127.0.0.44")
TTL = 300  # seconds
# Nameservers of every zone, which have these addresses besides the resolvers'.
NAMESERVERS = {"ns1.bench.test": "127.0.0.45", "ns2.bench.test": "127.0.0.46"}
_FROM_CACHE, _FROM_ZONE = b"\x81\x80", b"\x84\0"  # RD and RA; AA
_KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA".ljust(392, "Q")  # as long as RSA 2048


class TextRecord(NamedTuple):
    """One record that the server has."""

    purpose: str
    name: str
    value: str


@dataclass(frozen=True)
class RunningServer:
    """Where the server listens: one resolver on each address."""

    addresses: tuple[str, ...]
    port: int


def records(count: int) -> list[TextRecord]:
    """That many records as mail domains have them, four to a domain, domain after domain.

    SPF, two DKIM keys (one is being rotated in) and DMARC.
    """
    found = []
    for number in range(count):
        domain = f"d{number // 4}.bench.test"
        key = f"v=DKIM1; k=rsa; p={_KEY}"
        found.append(
            (
                TextRecord("spf", domain, f"v=spf1 include:_spf.d{number}.test ~all"),
                TextRecord("dkim", f"mail._domainkey.{domain}", key),
                TextRecord("dkim", f"next._domainkey.{domain}", key),
                TextRecord("dmarc", f"_dmarc.{domain}", f"v=DMARC1; p=none; rua=mailto:d@{domain}"),
            )[number % 4]
        )
    return found


def question(name: str, rdtype: int = 16) -> bytes:
    """The question section for the records of a name, TXT if nothing else is said."""
    labels = name.encode().split(b".")
    owner = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return owner + rdtype.to_bytes(2) + b"\0\1"


def _answer(asked: bytes, rdata: bytes) -> bytes:
    """A whole answer without its id and flags: one record, its owner a pointer to the question."""
    record = b"\xc0\x0c" + asked[-4:] + TTL.to_bytes(4) + len(rdata).to_bytes(2) + rdata
    return b"\0\1\0\1\0\0\0\0" + asked + record


def _text(value: str) -> bytes:
    text = value.encode()
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts)


def _answers(count: int) -> dict[bytes, bytes]:
    """By the question section: the records, and the addresses of the zones' nameservers."""
    asked = [(question(record.name), _text(record.value)) for record in records(count)]
    asked += [(question(name, 1), socket.inet_aton(at)) for name, at in NAMESERVERS.items()]
    return {key: _answer(key, rdata) for key, rdata in asked}


def serve(sockets: list[socket.socket], count: int) -> None:
    """Answer until the process is ended. A question for anything else gets no answer."""
    # Keyed by what follows the twelve bytes of the header; the OPT record behind it is cut off.
    answers = _answers(count)
    waiting = selectors.DefaultSelector()
    for sock in sockets:
        sock.setblocking(False)
        waiting.register(sock, selectors.EVENT_READ, data=sock)
    while True:
        for ready, _ in waiting.select():
            sock = ready.data
            with contextlib.suppress(BlockingIOError):
                while True:
                    query, asker = sock.recvfrom(512)
                    end = query.index(b"\0", 12) + 5
                    answer = answers.get(query[12:end])
                    if answer is not None:
                        flags = _FROM_CACHE if query[2] & 1 else _FROM_ZONE
                        sock.sendto(query[:2] + flags + answer, asker)


def bind(addresses: tuple[str, ...]) -> list[socket.socket]:
    """One UDP socket per address, all on one free port."""
    sockets: list[socket.socket] = []
    port = 0
    for address in addresses:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((address, port))
        port = sock.getsockname()[1]
        sockets.append(sock)
    return sockets


@contextlib.contextmanager
def running(count: int, addresses: tuple[str, ...] = ADDRESSES) -> Iterator[RunningServer]:
    """The server in a process of its own, with `records(count)`."""
    command = [sys.executable, "-m", "benchmarks.dns_server", f"--records={count}", *addresses]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield RunningServer(addresses, int(process.stdout.readline()))
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer TXT questions on loopback.")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("addresses", nargs="*", default=ADDRESSES)
    options = parser.parse_args()
    sockets = bind((*options.addresses, *NAMESERVERS.values()))
    print(sockets[0].getsockname()[1], flush=True)
    serve(sockets, options.records)


if __name__ == "__main__":
    main()
