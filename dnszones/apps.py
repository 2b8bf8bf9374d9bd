"""Zones, records, change plans, SPF/DKIM/DMARC/MX, propagation."""

from django.apps import AppConfig

from mpanel.core import periodic, registry


class DnszonesConfig(AppConfig):
    name = "dnszones"

    def ready(self) -> None:
        registry.load("dnszones.providers")
        from dnszones import propagation, states, vendors  # noqa: F401  (they register themselves)

        periodic.register("dnszones.propagation", every=5, work=propagation.sweep)
