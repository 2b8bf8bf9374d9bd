"""Zones, records, change plans, SPF/DKIM/DMARC/MX, propagation."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, probes, registry


class DnszonesConfig(AppConfig):
    name = "dnszones"

    def ready(self) -> None:
        registry.load("dnszones.providers")
        from dnszones import propagation, states, vendors  # noqa: F401  (they register themselves)
        from dnszones.probes import dns
        from events import kinds

        probes.register("dns", dns)
        periodic.register("dnszones.propagation", every=5, work=propagation.sweep)
        kinds.register(
            "dns.propagated",
            "DNS propagation done",
            action="dns.propagated",
            title="Your DNS records have spread",
            link=lambda event: reverse("domain-detail", args=[event.subject_id]),
        )
