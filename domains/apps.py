"""Names: connection, nameservers, registrar instructions."""

from django.apps import AppConfig
from django.conf import settings

from mpanel.core import periodic, registry


class DomainsConfig(AppConfig):
    name = "domains"

    def ready(self) -> None:
        registry.load("domains.providers")
        from domains import services, vendors  # noqa: F401  (they register themselves)

        periodic.register(
            "domains.delegations",
            every=max(5, settings.DNS_WATCH_INTERVAL / 2),
            work=services.recheck_due_delegations,
        )
