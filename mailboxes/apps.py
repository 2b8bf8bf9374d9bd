"""Mailboxes, credentials, naming."""

from django.apps import AppConfig

from mpanel.core import registry


class MailboxesConfig(AppConfig):
    name = "mailboxes"

    def ready(self) -> None:
        registry.load("mailboxes.providers")
        from mailboxes import states  # noqa: F401  (its workflows register themselves)
