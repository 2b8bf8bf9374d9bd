"""`manage.py worker`: django-q2's cluster under a watchdog.

The cluster can hang for good when an idle worker process is killed (django-q2 issue 23, seen with
1.11.1). So it is watched from outside: a heartbeat message goes through the queue every few
seconds, and when no process of this cluster has finished one for `WORKER_STALE_AFTER` seconds,
the whole process group is killed and started again. Jobs go on by themselves.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone
from django_q.tasks import async_task

from provisioning.models import Heartbeat

BEAT_EVERY = 10.0  # seconds
GRACE = 20.0  # seconds to end by itself


class Command(BaseCommand):
    """Runs the cluster, and runs it again when it dies or hangs."""

    help = "Works off the queue, watched: a hung cluster is killed and started again."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        while not stop.is_set():
            cluster = subprocess.Popen(
                [sys.executable, sys.argv[0], "qcluster"],
                env={**os.environ, "MPANEL_WORKER": name},
                start_new_session=True,
            )
            self._watch(cluster, name, stop)
            end(cluster, grace=GRACE if stop.is_set() else 0.0)
        Heartbeat.objects.filter(name=name).delete()

    def _watch(self, cluster: subprocess.Popen[bytes], name: str, stop: threading.Event) -> None:
        """Return when the cluster is dead, hangs, or is no longer wanted."""
        fresh = time.monotonic()
        beaten = 0.0
        while not stop.wait(1.0):
            if cluster.poll() is not None:
                self.stderr.write("The cluster ended; starting it again.")
                return
            try:
                if time.monotonic() - beaten > BEAT_EVERY:
                    beaten = time.monotonic()
                    async_task("provisioning.tasks.heartbeat")
                seen = Heartbeat.objects.filter(name=name).values_list("seen_at", flat=True)
                if seen and (timezone.now() - seen[0]).total_seconds() < BEAT_EVERY * 1.5:
                    fresh = time.monotonic()
            except (OperationalError, InterfaceError):
                # Without a database nothing can beat; that is not the cluster's fault.
                close_old_connections()
                fresh = time.monotonic()
            if time.monotonic() - fresh > settings.WORKER_STALE_AFTER:
                self.stderr.write("The cluster hangs; killing it and starting it again.")
                return


def end(cluster: subprocess.Popen[bytes], *, grace: float) -> None:
    """Stop a cluster and every process of its group."""
    if grace and cluster.poll() is None:
        cluster.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            cluster.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(cluster.pid, signal.SIGKILL)
    cluster.wait()
