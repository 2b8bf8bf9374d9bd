"""`manage.py worker`: django-q2's cluster under a watchdog.

The cluster can hang for good when an idle worker process is killed (django-q2 issue 23, seen with
1.11.1). So it is watched from outside: a heartbeat message goes through the queue every few
seconds, and when no process of this cluster has finished one, or got on with a job, for
`WORKER_STALE_AFTER` seconds, the whole process group is killed and started again. Jobs go on by
themselves.
"""

import contextlib
import ctypes
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand
from django_q.tasks import async_task

from mpanel.core.database import outages
from provisioning.models import Heartbeat

BEAT_EVERY = 10.0  # seconds
STARTS_WITHIN = 60.0  # seconds until a new cluster's first beat
GRACE = 10.0  # seconds to end by itself
PR_SET_PDEATHSIG = 1  # prctl(2)


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
                preexec_fn=end_with_parent,  # noqa: PLW1509  (there are no threads yet)
            )
            try:
                self._watch(cluster, name, stop)
            finally:
                end(cluster, grace=GRACE if stop.is_set() else 0.0)
        with outages(lambda error: None):
            Heartbeat.objects.filter(name=name).delete()

    def _watch(self, cluster: subprocess.Popen[bytes], name: str, stop: threading.Event) -> None:
        """Return when the cluster is dead, hangs, or is no longer wanted."""
        stale_after = float(settings.WORKER_STALE_AFTER)
        beat_every = min(BEAT_EVERY, stale_after / 3)
        patience = max(stale_after, STARTS_WITHIN)
        fresh, beaten = time.monotonic(), -math.inf
        last: datetime | None = None
        is_away = False

        def wait(error: Exception) -> None:
            # Without a database nothing can beat; that is not the cluster's fault.
            nonlocal fresh, is_away
            if not is_away:
                self.stderr.write(f"The database cannot work now ({error}); waiting for it.")
            fresh, is_away = time.monotonic(), True

        with outages(wait):
            last = self._last_beat(name)
        while not stop.wait(min(1.0, beat_every)):
            if cluster.poll() is not None:
                self.stderr.write("The cluster ended; starting it again.")
                return
            with outages(wait):
                if time.monotonic() - beaten > beat_every:
                    beaten = time.monotonic()
                    async_task("provisioning.tasks.heartbeat")
                if (seen := self._last_beat(name)) != last:
                    last, fresh, patience = seen, time.monotonic(), stale_after
                is_away = False
            if time.monotonic() - fresh > patience:
                self.stderr.write("The cluster hangs; killing it and starting it again.")
                return

    def _last_beat(self, name: str) -> datetime | None:
        beats = Heartbeat.objects.filter(name=name)
        return beats.values_list("seen_at", flat=True).first()


def end_with_parent() -> None:
    """Have Linux end this process when its watchdog dies, so that no cluster runs unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(cluster: subprocess.Popen[bytes], *, grace: float) -> None:
    """Stop a cluster and every process of its group."""
    if grace and cluster.poll() is None:
        cluster.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            cluster.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(cluster.pid, signal.SIGKILL)
    cluster.wait()
