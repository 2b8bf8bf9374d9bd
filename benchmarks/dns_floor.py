"""The least that any client must do to ask DNS servers many questions: the floor to compare with.

It sends prepared packets over one socket per server, so many at a time, and looks at nothing of an
answer but its id and its return code. It keeps no answer and knows neither loss nor time-out.

`python -m benchmarks.dns_floor` compares `mpanel.dns.client` with it in one run.
"""

import argparse
import asyncio
import socket
import statistics
import time
from collections.abc import Sequence

from benchmarks import dns_server
from mpanel.dns.client import Answer, DNSClient, Question, Server

WINDOW = 125  # questions open at one server, as many as DNSClient has when it asks four servers
_HEADER = b"\0\0\1\0\0\0\0\0\1"  # no more flags; one question, one OPT record
_RD = b"\1"  # recursion desired
_OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"  # EDNS with 1232 bytes


class _Asker:
    """Asks one server everything, a window at a time."""

    def __init__(
        self, address: str, port: int, questions: Sequence[bytes], *, recursive: bool
    ) -> None:
        self._questions = questions
        self._header = (_RD if recursive else b"\0") + _HEADER
        self._next = 0
        self._open: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self.all_answered: asyncio.Future[None] = self._loop.create_future()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._sock.connect((address, port))
        self._loop.add_reader(self._sock, self._receive)
        for _ in range(min(WINDOW, len(questions))):
            self._send()

    def _send(self) -> None:
        ident = self._next & 0xFFFF
        self._sock.send(ident.to_bytes(2) + self._header + self._questions[self._next] + _OPT)
        self._open.add(ident)
        self._next += 1

    def _receive(self) -> None:
        while True:
            try:
                answer = self._sock.recv(4096)
            except BlockingIOError:
                return
            ident = int.from_bytes(answer[:2])
            assert not answer[3] & 15, "an error code"
            self._open.remove(ident)  # KeyError: not the answer to an open question
            if self._next < len(self._questions):
                self._send()
            elif not self._open:
                self._loop.remove_reader(self._sock)
                self._sock.close()
                self.all_answered.set_result(None)
                return


async def ask_all(
    server: dns_server.RunningServer, names: Sequence[str], nameservers: Sequence[str] = ()
) -> None:
    """Ask every address of the server for the TXT records of every name.

    `nameservers`: addresses at which it is asked as the zones' own nameserver.
    """
    async with asyncio.timeout(60):
        questions = [dns_server.question(name) for name in names]
        askers = [
            _Asker(address, server.port, questions, recursive=recursive)
            for addresses, recursive in ((server.addresses, True), (nameservers, False))
            for address in addresses
        ]
        await asyncio.gather(*(asker.all_answered for asker in askers))


def floor_seconds(
    server: dns_server.RunningServer, names: Sequence[str], nameservers: Sequence[str] = ()
) -> float:
    """How long the bare client takes."""
    started = time.perf_counter()
    asyncio.run(ask_all(server, names, nameservers))
    return time.perf_counter() - started


def client_seconds(
    server: dns_server.RunningServer, names: Sequence[str], nameservers: Sequence[str] = ()
) -> tuple[float, list[Answer]]:
    """How long `DNSClient.ask_many` takes for the same questions, and its answers."""

    async def ask() -> list[Answer]:
        async with DNSClient() as client:
            return await client.ask_many(
                Question(Server(address, server.port), name, "TXT", recursive)
                for name in names
                for addresses, recursive in ((server.addresses, True), (nameservers, False))
                for address in addresses
            )

    started = time.perf_counter()
    answers = asyncio.run(ask())
    return time.perf_counter() - started, answers


def main() -> None:
    parser = argparse.ArgumentParser(description="DNSClient.ask_many beside a bare client.")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    names = [record.name for record in dns_server.records(options.records)]
    with dns_server.running(options.records) as server:
        floors, ours = [], []
        for _ in range(options.rounds):
            floors.append(floor_seconds(server, names))
            seconds, answers = client_seconds(server, names)
            assert all(answer.status == "answer" for answer in answers)
            ours.append(seconds)
    floor, mine = statistics.median(floors), statistics.median(ours)
    count = len(names) * len(server.addresses)
    print(f"{count} questions: bare client {floor:.2f} s, DNSClient {mine:.2f} s,", end=" ")
    print(f"ratio {mine / floor:.2f} (medians of {options.rounds})")


if __name__ == "__main__":
    main()
