"""How: desired states, jobs, the engine, clock and worker."""

from django.apps import AppConfig

from mpanel.core import periodic


class ProvisioningConfig(AppConfig):
    name = "provisioning"

    def ready(self) -> None:
        from provisioning.housekeeping import tidy

        periodic.register("provisioning.housekeeping", every=3600, work=tidy)
