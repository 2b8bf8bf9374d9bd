"""`manage.py loginpolicy`: the service that Dovecot asks before it compares a password."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailboxes.logins.policy import LoginPolicy
from mailboxes.logins.protocol import LoginPolicyServer
from mailservers.shared_keys import key_of


class Command(BaseCommand):
    """Listens on LOGINPOLICY_ADDRESS until it is told to stop; several may run."""

    help = "Answer Dovecot who may try to log in, and count wrong passwords."

    def handle(self, *args: Any, **options: Any) -> None:
        host, _, port = settings.LOGINPOLICY_ADDRESS.rpartition(":")
        if connection.vendor == "postgresql":
            connection.settings_dict["OPTIONS"] |= {"connect_timeout": 2, "tcp_user_timeout": 2000}
        try:
            asyncio.run(self.serve(host.strip("[]"), int(port)))
        except OSError as error:
            raise CommandError(f"The login policy cannot start: {error}") from error

    async def serve(self, host: str, port: int) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        policy = LoginPolicy()
        await policy.start()
        server = LoginPolicyServer(policy, key_of("key"))
        await server.listen(host, port)
        self.stdout.write(f"Login policy: {settings.LOGINPOLICY_ADDRESS}")
        self.stdout.flush()
        await stop.wait()
        await server.close()
        await policy.close()
