"""The policy service: decisions a second, and how long the slowest twentieth takes.

Floor: the same asyncio server with a decision that always says DUNNO, in a process of its own as
ours is, asked in turns by the same client over as many connections. Ours reads the sender, checks
three ceilings and counts three rows in a transaction for every message.

    python -m benchmarks.policy [--rounds 5] [--messages 3000] [--connections 16]
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.ground import database, fresh_database, report  # first: it sets Django up

from django.conf import settings  # isort: skip
from django.db.models import Sum  # isort: skip

from billing.models import Account  # isort: skip
from mailboxes.models import Mailbox  # isort: skip
from deliverability.models import SendingDay  # isort: skip
from deliverability.protocol import PolicyServer, Request  # isort: skip
from tests.cast import owner  # isort: skip
from tests.policy import request  # isort: skip
from tests.sandboxes import find_free_port_block  # isort: skip
from tests.wizard.rows import estate  # isort: skip

TENANTS, MAILBOXES = 5, 40


def main() -> None:
    """Print the ratios of decisions a second, and of the latency at full and at no load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=3_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--always", type=int, metavar="PORT", help="serve the floor")
    chosen = parser.parse_args()
    if chosen.always:
        asyncio.run(always(chosen.always))
        return
    with fresh_database():
        senders = mailboxes()
        port = find_free_port_block(2)
        floor = [sys.executable, "-m", "benchmarks.policy", f"--always={port + 1}"]
        ours = [sys.executable, "manage.py", "mailpolicy"]
        with serving(ours, port), serving(floor, port + 1):
            measure(port, senders, chosen)
        counted = SendingDay.objects.filter(kind="mailbox").aggregate(all=Sum("sent"))["all"]
        expected = (chosen.rounds + 1) * (chosen.messages + chosen.messages // 10)
        assert counted == expected, f"{counted} of {expected} are counted"


def measure(port: int, senders: list[str], chosen: argparse.Namespace) -> None:
    """Take turns, after one round that does not count."""
    rates: dict[int, list[float]] = {port: [], port + 1: []}
    loaded: dict[int, list[float]] = {port: [], port + 1: []}
    alone: dict[int, list[float]] = {port: [], port + 1: []}
    for number in range(chosen.rounds + 1):
        for where in (port + 1, port):
            rate, slow = asyncio.run(ask(where, senders, chosen.messages, chosen.connections))
            _, quiet = asyncio.run(ask(where, senders, chosen.messages // 10, 1))
            if number:
                rates[where].append(rate)
                loaded[where].append(slow)
                alone[where].append(quiet)
    what = f"policy, {chosen.connections} connections"
    report(f"{what}, decisions", ours=rates[port], floor=rates[port + 1], unit="/s")
    report(f"{what}, p95", ours=loaded[port], floor=loaded[port + 1], unit="ms")
    report("policy, 1 connection, p95", ours=alone[port], floor=alone[port + 1], unit="ms")


async def ask(
    port: int, senders: list[str], messages: int, connections: int
) -> tuple[float, float]:
    """Decisions a second, and the 95th percentile of their milliseconds."""
    took: list[float] = []
    left = iter(range(messages))

    async def smtpd() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            asked = request(senders[number % len(senders)], instance=f"{time.time_ns()}.{number}")
            begun = time.perf_counter()
            writer.write(asked)
            answer = await reader.readuntil(b"\n\n")
            took.append((time.perf_counter() - begun) * 1000)
            assert answer == b"action=DUNNO\n\n", answer
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(smtpd() for _ in range(connections)))
    seconds = time.perf_counter() - begun
    return messages / seconds, statistics.quantiles(took, n=20)[-1]


def mailboxes() -> list[str]:
    """Addresses of several tenants, none near a limit."""
    for number in range(TENANTS):
        person = owner(f"p{number}")
        Account.objects.create(tenant=person.tenant, plan="enterprise")
        estate(person, f"d{number}.test", inboxes=MAILBOXES)
    Mailbox.objects.update(daily_limit=100_000)
    return list(Mailbox.objects.order_by("local_part").values_list("address", flat=True))


async def always(port: int) -> None:
    """The floor, until it is killed."""

    async def yes(asked: Request) -> str:
        return "DUNNO"

    server = PolicyServer(yes)
    await server.listen("127.0.0.1", port)
    await asyncio.Event().wait()


@contextmanager
def serving(command: list[str], port: int, **more: str) -> Iterator[None]:
    """A server in a process of its own, on the present database, until the end of the block.

    `more` are further variables of its environment.
    """
    environment = {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "BENCHMARK_FOLDER": str(settings.FOLDER),
        "BENCHMARK_PORT": str(settings.SANDBOX_PORT),
        "MAILPOLICY_ADDRESS": f"127.0.0.1:{port}",
        **more,
    }
    server = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                asyncio.run(_connect(port))
                break
            except OSError:
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)


async def _connect(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


if __name__ == "__main__":
    print(f"Policy on {database()}", flush=True)
    main()
