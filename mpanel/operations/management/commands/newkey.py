"""`manage.py newkey`: a fresh entry for ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand

from mpanel.core.secrets import new_key


class Command(BaseCommand):
    """Prints a key. How it comes to the front: docs/operating.md, Keys."""

    help = "Print a fresh entry for ENCRYPTION_KEYS. The first entry seals, all of them open."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(new_key())
