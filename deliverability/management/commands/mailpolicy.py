"""`manage.py mailpolicy`: the policy service that Postfix asks before it takes a message."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from deliverability.policy import Policy
from deliverability.protocol import PolicyServer, Request
from mailboxes.logins.readiness import LoginReadiness


class Command(BaseCommand):
    """Listens on MAILPOLICY_ADDRESS until it is told to stop; several may run."""

    help = "Answer Postfix whether a mailbox may send now, and count what it sends."

    def handle(self, *args: Any, **options: Any) -> None:
        host, _, port = settings.MAILPOLICY_ADDRESS.rpartition(":")
        if connection.vendor == "postgresql":
            # Nobody waits longer for an answer; a server that vanished must not hold a thread.
            connection.settings_dict["OPTIONS"] |= {"connect_timeout": 2, "tcp_user_timeout": 2000}
        try:
            asyncio.run(self.serve(host.strip("[]"), int(port)))
        except OSError as error:
            raise CommandError(f"The policy service cannot start: {error}") from error

    async def serve(self, host: str, port: int) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        policy = Policy(fails_open=settings.MAILPOLICY_FAILS == "open")
        readiness = LoginReadiness(Path(settings.MAILSERVER_RUN_DIR))

        async def decide(request: Request) -> str:
            if request.get("protocol_state") == "CONNECT":
                return readiness.action
            return await policy.decide(request)

        server = PolicyServer(decide)
        await readiness.start()
        await server.listen(host, port)
        self.stdout.write(f"Mail policy: {settings.MAILPOLICY_ADDRESS}")
        self.stdout.flush()
        await stop.wait()
        await server.close()
        await readiness.close()
        policy.close()
