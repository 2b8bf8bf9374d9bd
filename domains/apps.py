"""Names: connection, nameservers, registrar instructions."""

from django.apps import AppConfig
from django.conf import settings

from mpanel.core import periodic, registry


class DomainsConfig(AppConfig):
    name = "domains"

    def ready(self) -> None:
        registry.load("domains.providers")
        from domains import (
            registration,
            services,
            states,  # noqa: F401  (it registers itself)
            vendors,  # noqa: F401  (it registers itself)
        )

        services.register_blocker(registration.purchase_under_way)
        periodic.register(
            "domains.delegations",
            every=max(5, settings.DNS_WATCH_INTERVAL / 2),
            work=services.recheck_due_delegations,
        )
