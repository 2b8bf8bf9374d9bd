"""One queue's cluster (django-q2), watched from outside.

The cluster can hang for good when an idle worker process is killed (django-q2 issue 23, seen with
1.11.1). So every message, step and slice that one of its processes finishes beats; a cluster with
nothing to do is sent a message now and then. One that has not beaten for `WORKER_STALE_AFTER`
seconds is killed with its whole process group, and started again. Jobs go on by themselves.

A cluster is forked from the watchdog, not started as another `manage.py`: it begins to work at
once, without seconds of imports, and shares the memory of what is loaded.
"""

import contextlib
import ctypes
import math
import multiprocessing
import os
import signal
import sys
import time
from datetime import datetime
from multiprocessing.process import BaseProcess
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone
from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.models import OrmQ

from mpanel.core import queues
from mpanel.core.database import check_writable
from provisioning.models import Heartbeat

BEAT_EVERY = 10.0  # seconds between two messages to a cluster that has nothing to do
STARTS_WITHIN = 60.0  # seconds until a new cluster's first beat
PR_SET_PDEATHSIG = 1  # prctl(2)
FORK = multiprocessing.get_context("fork")  # as django-q2 starts its own processes


class WatchedCluster:
    """The processes that work one queue. `name` is that of the cluster's heartbeat."""

    def __init__(self, queue: str, *, name: str) -> None:
        self.queue, self.name = queue, name
        self._stale_after = float(settings.WORKER_STALE_AFTER)
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Start the cluster, in a process group of its own."""
        connections.close_all()  # a connection serves one process
        self._process = FORK.Process(target=work, args=(self.queue, self.name))
        self._process.start()
        self._fresh, self._asked = time.monotonic(), -math.inf
        self._patience = max(self._stale_after, STARTS_WITHIN)
        self._last: datetime | None = None

    def fault(self) -> str:
        """Why the cluster must be started anew; "" while it works.

        Raises what the database raises, and `Unavailable`.
        """
        assert self._process is not None
        if not self._process.is_alive():
            check_writable()  # one that finds no database when it starts ends at once
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
        if self._process and self._process.is_alive():
            self._process.terminate()

    def end(self, *, within: float = 0.0) -> None:
        """Kill every process of the cluster that has not ended within so many seconds."""
        if self._process is None or self._process.pid is None:
            return
        if within > 0:
            self._process.join(within)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()  # it may not have had its group yet
        self._process.join()


def work(queue: str, name: str) -> None:
    """Be the cluster of a queue, until SIGTERM; runs in a process of its own."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # the watchdog's, until the cluster sets its own
    end_with_parent()
    os.environ.update(MPANEL_WORKER=name, Q_CLUSTER_NAME=queue)
    # django-q2 read its settings for the main queue when the watchdog loaded it.
    configured: dict[str, Any] = settings.Q_CLUSTER
    chosen = configured | configured["ALT_CLUSTERS"].get(queue, {})
    Conf.CLUSTER_NAME = queue
    Conf.WORKERS, Conf.QUEUE_LIMIT = chosen["workers"], chosen["queue_limit"]
    Cluster().start()


def end_with_parent() -> None:
    """Have Linux end this process when its watchdog dies, so that no cluster runs unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
