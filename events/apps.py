"""What happened: audit log, notifications, outbound webhooks."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic
from mpanel.core.actor import ADMIN
from mpanel.operations.backups import register_check


class EventsConfig(AppConfig):
    name = "events"

    def ready(self) -> None:
        from events import (
            kinds,
            services,
            troubles,  # noqa: F401  (they register themselves)
        )
        from events.delivery import deliver
        from events.relay import relay

        periodic.register("events.relay", every=1, work=relay)
        periodic.register("events.deliveries", every=1, work=deliver)
        periodic.register("events.mails", every=30, work=services.send_mails)
        periodic.register("events.tidy", every=3600, work=services.forget_old)
        kinds.register(
            "webhook.disabled",
            "A webhook was switched off",
            action="webhook.disabled",
            title="A webhook was switched off",
            link=lambda event: reverse("settings-webhook", args=[event.subject_id]),
            least_role=ADMIN,
        )

        from events.chaincheck import chains_are_whole

        register_check("events", chains_are_whole)
