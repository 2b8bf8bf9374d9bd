"""Who: tenants, users, memberships, one-time codes, provider credentials."""

from django.apps import AppConfig

from mpanel.core import periodic


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        from tenants import services

        periodic.register("tenants.forgotten_codes", every=5, work=services.send_forgotten_codes)
        periodic.register("tenants.old_codes", every=3600, work=services.forget_old_codes)
        periodic.register("tenants.forgotten_tests", every=10, work=services.run_forgotten_tests)
