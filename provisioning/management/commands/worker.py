"""`manage.py worker`: a cluster of processes for each queue, all under one watchdog."""

import os
import signal
import socket
import threading
import time
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from mpanel.core import queues
from mpanel.core.database import outages
from provisioning.models import Heartbeat
from provisioning.watchdog import WatchedCluster

GRACE = 10.0  # seconds to end by themselves


class Command(BaseCommand):
    """Runs the clusters, and runs one again when it dies or hangs."""

    help = "Works off the queues, watched: a hung cluster is killed and started again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queue",
            action="append",
            choices=queues.ALL,
            help="only this queue; may be given again (all of them by default)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        chosen = options["queue"] or queues.ALL
        self.clusters = [WatchedCluster(queue, name=f"{name}:{queue}") for queue in chosen]
        self.is_away = False  # the database
        try:
            for cluster in self.clusters:
                cluster.start()
            while not stop.wait(min(1.0, settings.WORKER_STALE_AFTER / 3)):
                with outages(self._wait):
                    self._look_after_all()
                    self.is_away = False
        finally:
            self._end_all(grace=GRACE if stop.is_set() else 0.0)

    def _look_after_all(self) -> None:
        """Start those anew that died or hang."""
        for cluster in self.clusters:
            if fault := cluster.fault():
                self.stderr.write(f"The cluster of {cluster.queue} {fault}; starting it again.")
                cluster.end()
                cluster.start()

    def _wait(self, error: Exception) -> None:
        """Without a database nothing can beat; that is no cluster's fault."""
        if not self.is_away:
            self.stderr.write(f"The database cannot work now ({error}); waiting for it.")
        self.is_away = True
        for cluster in self.clusters:
            cluster.forgive()

    def _end_all(self, *, grace: float) -> None:
        if grace:
            for cluster in self.clusters:
                cluster.ask_to_end()
        until = time.monotonic() + grace
        for cluster in self.clusters:
            cluster.end(within=until - time.monotonic())
        with outages(lambda error: None):
            Heartbeat.objects.filter(name__in=[one.name for one in self.clusters]).delete()
