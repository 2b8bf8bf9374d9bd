"""Mailboxes, credentials, naming."""

from django.apps import AppConfig
from django.urls import reverse

from mpanel.core import registry


class MailboxesConfig(AppConfig):
    name = "mailboxes"

    def ready(self) -> None:
        registry.load("mailboxes.providers")
        from events import kinds
        from mailboxes import states  # noqa: F401  (its workflows register themselves)

        kinds.register(
            "mailboxes.proved",
            "Provisioning finished",
            action="mailboxes.proved",
            title="Your inboxes are ready",
            link=lambda event: reverse("mailbox-list"),
        )
