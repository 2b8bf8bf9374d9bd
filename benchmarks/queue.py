"""The real queue: django-q2's cluster with one worker process, and what is sent to it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import transaction
from django_q.models import OrmQ
from django_q.tasks import async_task


@contextmanager
def running_cluster() -> Iterator[None]:
    """The queue's worker in processes of its own, on the present database."""
    command = [sys.executable, "-m", "django", "qcluster"]
    environment = {
        "BENCHMARK_FOLDER": str(settings.FOLDER),
        "BENCHMARK_PORT": str(settings.SANDBOX_PORT),
    }
    cluster = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        send_nothing()
        wait_until_worked_off()
        yield
    finally:
        cluster.terminate()
        cluster.wait(timeout=30)


def send_nothing(times: int = 1) -> None:
    """Write so many messages whose function does nothing, in one transaction."""
    with transaction.atomic():
        for _ in range(times):
            async_task("benchmarks.trivial.nothing")


def wait_until_worked_off() -> None:
    """Come back as soon as every message is acknowledged; look every two milliseconds."""
    deadline = time.monotonic() + 60
    while OrmQ.objects.exists():
        assert time.monotonic() < deadline, "the queue does not become empty"
        time.sleep(0.002)
