"""Smartlead and Instantly: mailboxes handed over, warm-up, campaigns."""

from functools import partial

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, registry


class OutreachConfig(AppConfig):
    name = "outreach"

    def ready(self) -> None:
        registry.load("outreach.providers")
        from deliverability import health
        from events import kinds
        from mailboxes import cards, csvfiles, hooks
        from outreach import (
            exports,
            records,
            selectors,
            services,
            states,
            sweep,
            troubles,  # noqa: F401  (it registers itself)
            vendors,
        )
        from provisioning import desired

        hooks.register_password_hook(services.tell_new_password)
        hooks.register_inboxes_hook(records.settle_domains)
        desired.prepend("mailboxes.delete", states.OutreachIsLeft())
        cards.register_mailbox_cards(selectors.mailbox_cards)
        health.register_reputations(selectors.reputations)
        for key in vendors.tools():
            csvfiles.register_import_file(key, partial(exports.import_file, key))
        periodic.register("outreach.warmup", every=sweep.EVERY, work=sweep.look_at_warmup)
        kinds.register(
            "outreach.lost",
            "Outreach connection lost",
            action="outreach.lost",
            title="A mailbox is no longer connected to an outreach tool",
            link=lambda event: reverse("mailbox-detail", args=[event.subject_id]),
        )
