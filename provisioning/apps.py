"""How: desired states, jobs, the engine, the clock and the workers."""

import contextlib

from django.apps import AppConfig
from django.db import Error
from django.urls import reverse

from mpanel.core import periodic, probes


class ProvisioningConfig(AppConfig):
    name = "provisioning"

    def ready(self) -> None:
        from django_q.signals import post_execute_in_worker

        from events import kinds
        from provisioning import troubles  # noqa: F401  (they register themselves)
        from provisioning.housekeeping import tidy
        from provisioning.probes import clock, queue

        post_execute_in_worker.connect(beat, dispatch_uid="provisioning.beat")
        probes.register("queue", queue)
        probes.register("clock", clock)
        periodic.register("provisioning.housekeeping", every=3600, work=tidy)
        kinds.register(
            "job.failed",
            "Provisioning failed",
            action="job.failed",
            title="A job failed",
            link=lambda event: reverse("job-detail", args=[event.subject_id]),
        )


def beat(**kwargs: object) -> None:
    """A message is done, so this cluster does not hang."""
    from provisioning.models import Heartbeat

    with contextlib.suppress(Error):
        Heartbeat.beat_of_worker()
