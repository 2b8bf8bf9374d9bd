"""A DNS server that costs next to nothing, in its own process, for measuring clients.

It answers TXT questions on several loopback addresses from messages built beforehand, in which only
the id is patched. `python -m benchmarks.dns_server` prints its port when it listens.
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
    """That many records as mail domains have them: SPF, DKIM and DMARC, domain after domain."""
    found = []
    for number in range(count):
        domain = f"d{number // 3}.bench.test"
        found.append(
            (
                TextRecord("spf", domain, f"v=spf1 include:_spf.d{number}.test ~all"),
                TextRecord("dkim", f"mail._domainkey.{domain}", f"v=DKIM1; k=rsa; p={_KEY}"),
                TextRecord("dmarc", f"_dmarc.{domain}", f"v=DMARC1; p=none; rua=mailto:d@{domain}"),
            )[number % 3]
        )
    return found


def question(name: str) -> bytes:
    """The question section for the TXT records of a name."""
    labels = name.encode().split(b".")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0\0\x10\0\1"


def _answer(record: TextRecord) -> bytes:
    """A whole answer without its id: RD and RA set, the owner as a pointer to the question."""
    text = record.value.encode()
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    rdata = b"".join(bytes((len(part),)) + part for part in parts)
    head = b"\x81\x80" + b"\0\1\0\1\0\0\0\0"
    owner = b"\xc0\x0c\0\x10\0\1" + TTL.to_bytes(4) + len(rdata).to_bytes(2)
    return head + question(record.name) + owner + rdata


def serve(sockets: list[socket.socket], count: int) -> None:
    """Answer until the process is ended. A question for anything else gets no answer."""
    # Keyed by what follows the twelve bytes of the header; the OPT record behind it is cut off.
    answers = {question(record.name): _answer(record) for record in records(count)}
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
                        sock.sendto(query[:2] + answer, asker)


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
    sockets = bind(tuple(options.addresses))
    print(sockets[0].getsockname()[1], flush=True)
    serve(sockets, options.records)


if __name__ == "__main__":
    main()
