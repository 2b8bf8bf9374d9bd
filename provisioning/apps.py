"""How: desired states, jobs, the engine, clock and worker."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, probes


class ProvisioningConfig(AppConfig):
    name = "provisioning"

    def ready(self) -> None:
        from events import kinds
        from provisioning.housekeeping import tidy
        from provisioning.probes import clock, queue

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
