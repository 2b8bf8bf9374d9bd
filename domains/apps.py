"""Names: connection, nameservers, registrar instructions."""

from django.apps import AppConfig
from django.conf import settings

from mpanel.core import periodic


class DomainsConfig(AppConfig):
    name = "domains"

    def ready(self) -> None:
        from domains import services

        periodic.register(
            "domains.delegations",
            every=max(5, settings.DNS_WATCH_INTERVAL / 2),
            work=services.recheck_due_delegations,
        )
