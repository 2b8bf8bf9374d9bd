"""Mailboxes, aliases, names, credentials, provisioning, rules, logins."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import periodic, registry
from mpanel.operations.backups import register_check


class MailboxesConfig(AppConfig):
    name = "mailboxes"

    def ready(self) -> None:
        registry.load("mailboxes.providers")
        from events import kinds
        from mailboxes import (
            on_servers,
            restored,
            states,  # noqa: F401  (its workflows register themselves)
            storage,
            troubles,  # noqa: F401  (they register themselves)
            vendors,  # noqa: F401  (it registers itself)
        )
        from mailboxes.logins import guesses
        from mailboxes.services import roles
        from mailservers import accounts

        accounts.register(on_servers)
        periodic.register("mailboxes.roles", every=300, work=roles.sweep)
        periodic.register("mailboxes.guesses", every=3_600, work=guesses.forget_old)
        register_check("logins", restored.passwords_log_in)
        periodic.register("mailboxes.storage", every=60, work=storage.sweep)
        kinds.register(
            "mailboxes.proved",
            "Provisioning finished",
            action="mailboxes.proved",
            title="Your inboxes are ready",
            link=lambda event: reverse("mailbox-list"),
        )
        kinds.register(
            "mailbox.guessed",
            "Passwords guessed",
            action="mailbox.guessed",
            title="Somebody is guessing the password of a mailbox",
            link=lambda event: reverse("mailbox-detail", args=[event.subject_id]),
        )
        kinds.register(
            "mailbox.full",
            "Mailbox almost full",
            action=("mailbox.almost_full", "mailbox.full"),
            title=lambda event: (
                "A mailbox is full"
                if event.action == "mailbox.full"
                else "A mailbox is almost full"
            ),
            link=lambda event: reverse("mailbox-detail", args=[event.subject_id]),
        )
        kinds.register(
            "mailbox.forwarded",
            "Mail forwarded outside",
            action="mailbox.forwarded",
            title="Mail of a mailbox is now forwarded outside",
            link=lambda event: reverse("mailbox-rules", args=[event.subject_id]),
        )
