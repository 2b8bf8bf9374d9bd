"""Domain names: registration, connection, proof of control, nameservers."""

from django.apps import AppConfig
from django.conf import settings
from django.urls import reverse

from mpanel.core import periodic, registry


class DomainsConfig(AppConfig):
    name = "domains"

    def ready(self) -> None:
        registry.load("domains.providers")
        from domains import (
            ownership,
            registration,
            services,
            states,  # noqa: F401  (it registers itself)
            troubles,  # noqa: F401  (they register themselves)
            vendors,  # noqa: F401  (it registers itself)
        )
        from events import kinds

        services.register_blocker(registration.purchase_under_way)
        periodic.register(
            "domains.delegations",
            every=max(5, settings.DNS_WATCH_INTERVAL / 2),
            work=ownership.recheck_due_domains,
        )
        kinds.register(
            "domain.verification_lost",
            "Domain no longer verified",
            action="domain.verification_lost",
            title="A domain is no longer verified: its mail stopped",
            link=lambda event: reverse("domain-detail", args=[event.subject_id]),
        )
        kinds.register(
            "domain.verified_again",
            "Domain verified again",
            action="domain.verified_again",
            title="A domain is verified again",
            link=lambda event: reverse("domain-detail", args=[event.subject_id]),
        )
