"""One queue's cluster (django-q2), watched from outside.

The cluster can hang for good when an idle worker process is killed (django-q2 issue 23, seen with
1.11.1). So every message, step and slice that one of its processes finishes beats; a cluster with
nothing to do is sent a message now and then. One that has not beaten for `WORKER_STALE_AFTER`
seconds is killed with its whole process group, and started again. Jobs go on by themselves.
"""

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django_q.models import OrmQ

from mpanel.core import queues
from mpanel.core.database import check_writable
from provisioning.models import Heartbeat

BEAT_EVERY = 10.0  # seconds between two messages to a cluster that has nothing to do
STARTS_WITHIN = 60.0  # seconds until a new cluster's first beat
PR_SET_PDEATHSIG = 1  # prctl(2)


class WatchedCluster:
    """The processes that work one queue. `name` is that of the cluster's heartbeat."""

    def __init__(self, queue: str, *, name: str) -> None:
        self.queue, self.name = queue, name
        self._stale_after = float(settings.WORKER_STALE_AFTER)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the cluster, in a process group of its own."""
        self._process = subprocess.Popen(
            [sys.executable, sys.argv[0], "qcluster"],
            env={**os.environ, "MPANEL_WORKER": self.name, "Q_CLUSTER_NAME": self.queue},
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509  (there are no threads here)
        )
        self._fresh, self._asked = time.monotonic(), -math.inf
        self._patience = max(self._stale_after, STARTS_WITHIN)
        self._last: datetime | None = None

    def fault(self) -> str:
        """Why the cluster must be started anew; "" while it works.

        Raises what the database raises, and `Unavailable`.
        """
        assert self._process is not None
        if self._process.poll() is not None:
            return "ended"
        self._send_something()
        beats = Heartbeat.objects.filter(name=self.name)
        seen = beats.values_list("seen_at", flat=True).first()
        if seen is not None and seen != self._last:
            self._last, self._fresh = seen, time.monotonic()
            self._patience = self._stale_after
        if time.monotonic() - self._fresh <= self._patience:
            return ""
        check_writable()  # no cluster beats in a database that is read-only
        return "hangs"

    def _send_something(self) -> None:
        """A message whose end beats, unless some wait already, which do the same."""
        if time.monotonic() - self._asked < min(BEAT_EVERY, self._stale_after / 3):
            return
        self._asked = time.monotonic()
        if not OrmQ.objects.filter(key=self.queue, lock__lte=timezone.now()).exists():
            queues.send("provisioning.tasks.heartbeat", queue=self.queue)

    def forgive(self) -> None:
        """Begin to count anew: without a database no cluster can beat."""
        self._fresh = time.monotonic()

    def ask_to_end(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, *, within: float = 0.0) -> None:
        """Kill every process of the cluster that has not ended within so many seconds."""
        if self._process is None:
            return
        if within > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(within)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def end_with_parent() -> None:
    """Have Linux end this process when its watchdog dies, so that no cluster runs unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
