"""`manage.py prepare`: what `manage.py run` does before it starts the parts. Twice is harmless."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """One process for three commands: loading mPanel takes longer than two of them."""

    help = "Migrate the database, write the sandbox's keys and open the demo account."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, skip_checks=False)
        call_command("sandbox", make_keys=True)  # the demo account includes one
        call_command("demo")
