"""`manage.py mailsigner`: signs what Postfix gives it, and hands it on."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailboxes.signing.server import Signer, serve
from mpanel.core.checks import is_loopback


class Command(BaseCommand):
    """Listens on MAILSIGNER_ADDRESS until it is told to stop."""

    help = "Sign submitted mail with the DKIM keys of its domains: Postfix's content_filter."

    def handle(self, *args: Any, **options: Any) -> None:
        where, onward = settings.MAILSIGNER_ADDRESS, settings.MAILSIGNER_NEXT_HOP
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
        self.stdout.write(f"Mail signer: {settings.MAILSIGNER_ADDRESS}")
        self.stdout.flush()
        await serve(*address, signer, stop)


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
