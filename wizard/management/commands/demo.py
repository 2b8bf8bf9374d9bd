"""`manage.py demo`: the demo account, an operator with a DNS credential. Twice is harmless."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from billing.selectors import get_account
from tenants.selectors import actor_for, credentials_for
from tenants.services import open_account, start_test
from tenants.services.operators import make_operator

EMAIL = "demo@example.test"
PLAN = "professional"  # room to try things out


class Command(BaseCommand):
    """Opens the demo account."""

    help = f"Open the demo account {EMAIL}: an operator, with the included DNS credential."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SANDBOX:
            raise CommandError(f"{EMAIL} would be an operator here: it is for SANDBOX only.")
        user = open_account(EMAIL)
        if not user.name:
            user.name = "Demo"
            user.save(update_fields=["name"])
        actor = actor_for(user, address="")
        if actor is None:
            return
        make_operator(user)
        account = get_account(actor)
        account.plan = PLAN
        account.save(update_fields=["plan", "updated_at"])
        for credential in credentials_for(actor, "dns"):
            if credential.tested_at is None:
                start_test(actor, credential.pk)
