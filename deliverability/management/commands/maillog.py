"""`manage.py maillog`: count what became of sent mail, from Postfix's log."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from deliverability.bounces import follow_log, read_log
from mailservers.models import MailServer
from mailservers.vendors import house_server
from mpanel.core.database import once_available


class Command(BaseCommand):
    """Reads what was added since the last time, and with `--follow` goes on until it is stopped."""

    help = "Count deliveries, deferrals and bounces from Postfix's log."

    def add_arguments(self, parser: CommandParser) -> None:
        known = settings.MAILLOG_FILE or None
        parser.add_argument("--file", type=Path, default=known, help="the log; MAILLOG_FILE")
        parser.add_argument("--server", default=MailServer.HOUSE, help="slug of the mail server")
        parser.add_argument("--follow", action="store_true", help="go on as the log grows")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["file"] is None:
            raise CommandError("Say where Postfix' log is: set MAILLOG_FILE, or give --file.")
        slug: str = options["server"]
        server = once_available(lambda: _server(slug), tell=self._tell)
        if server is None:
            raise CommandError(f"There is no mail server called {slug}.")
        try:
            if options["follow"]:
                follow_log(options["file"], server)
            self.stdout.write(f"Read {read_log(options['file'], server)} lines.")
        except OSError as error:
            raise CommandError(f"The log cannot be read: {error}.") from None

    def _tell(self, error: Exception) -> None:
        self.stderr.write(f"The database cannot work now ({error}); trying again.")


def _server(slug: str) -> MailServer | None:
    house_server()
    return MailServer.objects.filter(slug=slug).first()
