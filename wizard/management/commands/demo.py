"""`manage.py demo`: the demo account, with a DNS credential. Twice is harmless."""

from typing import Any

from django.core.management.base import BaseCommand

from tenants.selectors import actor_for, credentials
from tenants.services import open_account, start_test

EMAIL = "demo@example.test"


class Command(BaseCommand):
    """Opens the demo account."""

    help = f"Open the demo account {EMAIL}, with the included DNS credential."

    def handle(self, *args: Any, **options: Any) -> None:
        user = open_account(EMAIL)
        if not user.name:
            user.name = "Demo"
            user.save(update_fields=["name"])
        actor = actor_for(user, address="")
        if actor is None:
            return
        for credential in credentials(actor, port="dns"):
            if credential.tested_at is None:
                start_test(actor, credential.pk)
