"""Zones, records, change plans, SPF, DKIM, DMARC, DNSSEC, propagation."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, probes, registry


class DnszonesConfig(AppConfig):
    name = "dnszones"

    def ready(self) -> None:
        registry.load("dnszones.providers")
        from dnszones import (  # noqa: F401  (they register themselves)
            departures,
            housekeeping,
            ownership_states,
            states,
            troubles,
            vendors,
        )
        from dnszones.discovery import workflows  # noqa: F401
        from dnszones.dkim import rotation
        from dnszones.dkim import states as dkim_states  # noqa: F401
        from dnszones.dnssec import services as dnssec
        from dnszones.dnssec import states as dnssec_states  # noqa: F401
        from dnszones.probes import dns
        from dnszones.propagation import sweep as propagation
        from dnszones.spf.flattened import services as flattening
        from dnszones.spf.flattened import sweep as flattening_sweep
        from events import kinds

        probes.register("dns", dns)
        periodic.register("dnszones.propagation", every=5, work=propagation.sweep)
        periodic.register("dnszones.proofs", every=60, work=ownership_states.write_missing_proofs)
        periodic.register("dnszones.old_plans", every=3600, work=housekeeping.forget_old_plans)
        periodic.register("dnszones.rotation", every=3600, work=rotation.rotate_what_is_due)
        periodic.register("dnszones.dnssec", every=30, work=dnssec.look_at_due_parents)
        periodic.register(flattening.SWEEP, every=60, work=flattening_sweep.sweep)
        kinds.register(
            "dns.spf",
            "Trouble with a flattened SPF record",
            action=("dns.spf_failing", "dns.spf_recovered", "dns.spf_edited"),
            title=lambda event: {
                "dns.spf_failing": "The senders of an SPF record cannot be looked up",
                "dns.spf_recovered": "The senders of an SPF record can be looked up again",
                "dns.spf_edited": "An SPF record was changed elsewhere",
            }[event.action],
            link=lambda event: reverse("domain-spf", args=[event.subject_id]),
        )
        kinds.register(
            "dns.signed",
            "DS record to be given to the registrar",
            action="dns.signed",
            title="A zone is signed: give its DS record to the registrar",
            link=lambda event: reverse("domain-dnssec", args=[event.subject_id]),
        )
        kinds.register(
            "dns.ds_seen",
            "DNSSEC protects a domain",
            action="dns.ds_seen",
            title="DNSSEC protects your domain",
            link=lambda event: reverse("domain-dnssec", args=[event.subject_id]),
        )
        kinds.register(
            "dns.propagated",
            "DNS propagation done",
            action="dns.propagated",
            title="Your DNS records have propagated",
            link=lambda event: reverse("domain-detail", args=[event.subject_id]),
        )
