"""Sending limits, the policy service, bounces, pausing, health."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, probes


class DeliverabilityConfig(AppConfig):
    name = "deliverability"

    def ready(self) -> None:
        from deliverability import bounces, cards, health, kumomta, pausing, selectors, services
        from events import kinds
        from mailboxes import cards as pages
        from mailboxes import measures
        from mailservers import kumomta as servers

        measures.register(selectors)
        pages.register_cards_of_ours(cards.sending)
        pages.register_mailbox_cards(cards.health)
        pages.register_domain_cards(cards.of_domain)
        servers.register_sender_statuses(kumomta.sender_statuses)
        # Named after the app in which they began: rows of sweeps go by these names.
        periodic.register("mailboxes.warmups", every=300, work=services.finish_warmups)
        periodic.register("mailboxes.old_days", every=86_400, work=services.forget_old_days)
        periodic.register("mailboxes.log", every=10, work=bounces.sweep)
        periodic.register("mailboxes.pausing", every=30, work=pausing.sweep)
        periodic.register("mailboxes.health", every=15, work=health.sweep)
        probes.register("maillog", bounces.status)
        kinds.register(
            "mailbox.paused",
            "Sending paused",
            action="mailbox.paused",
            title="Sending of a mailbox was paused",
            link=lambda event: reverse("mailbox-detail", args=[event.subject_id]),
        )
