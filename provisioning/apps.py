"""How: desired states, jobs, the engine, tick and worker."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "provisioning"
