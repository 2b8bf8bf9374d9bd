"""`manage.py mailsigner`: says who may write as whom, signs what Postfix gives it, hands it on."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailservers.signing.authors import AuthorCheck
from mailservers.signing.milter import MilterServer
from mailservers.signing.server import Signer, serve
from mpanel.operations.checks import is_loopback


class Command(BaseCommand):
    """Listens on MAILSIGNER_ADDRESS and MAILSIGNER_AUTHORS until it is told to stop."""

    help = (
        "Refuse mail whose author may not be named (Postfix' milter), and sign what was submitted "
        "with the DKIM keys of its domains (its content_filter). Several may run."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        where, onward = settings.MAILSIGNER_ADDRESS, settings.MAILSIGNER_NEXT_HOP
        if connection.vendor == "postgresql":
            # Nobody waits longer for an answer; a server that vanished must not hold a thread.
            connection.settings_dict["OPTIONS"] |= {"connect_timeout": 2, "tcp_user_timeout": 5000}
        if not is_loopback(where):
            # It asks nobody for a password, and signs whatever it is given.
            raise CommandError(f"MAILSIGNER_ADDRESS must be of this machine, and {where} is not.")
        if where == onward:
            raise CommandError(
                "MAILSIGNER_NEXT_HOP is the signer itself: mail would run in circles."
            )
        try:
            asyncio.run(self.serve(_parsed(where), Signer(_parsed(onward))))
        except OSError as error:
            raise CommandError(f"The signer cannot start: {error}") from error

    async def serve(self, address: tuple[str, int], signer: Signer) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        authors = AuthorCheck()
        milter = MilterServer(authors.decide)

        def say_ready() -> None:
            self.stdout.write(f"Mail signer: {settings.MAILSIGNER_ADDRESS}")
            self.stdout.write(f"Who may write as whom: {settings.MAILSIGNER_AUTHORS}")
            self.stdout.flush()

        try:
            await milter.listen(*_parsed(settings.MAILSIGNER_AUTHORS))
            await serve(*address, signer, stop, beside=[milter], ready=say_ready)
        finally:
            await milter.close()
            authors.close()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
