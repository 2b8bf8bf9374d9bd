"""`manage.py tick`: the clock. Run as many as you like; one holds the lease."""

import signal
import threading
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand

from mpanel.core.database import outages
from provisioning import clock
from provisioning.models import Lease


class Command(BaseCommand):
    """Rings for due jobs and starts the sweeps, until it is told to stop."""

    help = "The clock: notifies workers of due jobs and starts the periodic sweeps."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        holder = uuid4()
        while not stop.wait(settings.TICK_INTERVAL):
            with outages(self._tell):
                clock.tick(holder)
        with outages(self._tell):
            Lease.release("clock", holder=holder)

    def _tell(self, error: Exception) -> None:
        self.stderr.write(f"The database cannot work now ({error}); trying again.")
