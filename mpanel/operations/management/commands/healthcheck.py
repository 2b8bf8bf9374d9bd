"""`manage.py healthcheck NAME`: whether one of mPanel's processes does its work."""

import socket
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mpanel.core.probes import DOWN, statuses
from mpanel.operations.processes import Process, process_called, processes

PATIENCE = 10.0  # seconds
WEB_PORT = 8000


class Command(BaseCommand):
    help = "End with 0 where a process does its work: for containers and monitoring."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=[process.name for process in processes()])
        parser.add_argument("--port", type=int, default=WEB_PORT, help="of the web pages: 8000")

    def handle(self, *args: Any, **options: Any) -> None:
        process = process_called(options["name"])
        try:
            why = complaint_about(process, options["port"])
        except OSError as error:
            why = str(error)
        if why:
            raise CommandError(f"{process.name} does not work: {why}.")


def complaint_about(process: Process, port: int) -> str:
    """Why a process does not work, empty where it does. Raises `OSError`."""
    if process.listens:
        host, _, number = str(getattr(settings, process.listens)).rpartition(":")
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
        socket.create_connection((address, int(number)), timeout=PATIENCE).close()
        return ""
    if process.probe:
        status = statuses()[process.probe]
        # A log that cannot be read is only degraded for the panel, but all that its reader does.
        is_bad = status == DOWN or (process.probe == "maillog" and status != "ok")
        return f"it is {status}" if is_bad else ""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/health",
        # As a proxy asks for it, or it would be led to https.
        headers={"Host": urlsplit(settings.SITE_URL).netloc, "X-Forwarded-Proto": "https"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        return ""
