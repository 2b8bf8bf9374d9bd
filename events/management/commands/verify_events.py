"""Check that nobody changed, removed or added an event."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from events.chain import chained_tenants, verify, waiting_too_long


class Command(BaseCommand):
    help = "Walk the chains of events and say where the first break is. Ends with 1 on a break."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", type=UUID, help="this tenant's chain only")
        parser.add_argument("--head", default="", help="a head printed earlier, to be found again")

    def handle(self, *args: Any, tenant: UUID | None, head: str, **options: Any) -> None:
        broken, found = 0, not head
        for tenant_id in [tenant] if tenant else chained_tenants():
            verdict = verify(tenant_id, head=head)
            found = found or verdict.has_head
            if verdict.broken_at is None:
                self.stdout.write(
                    f"{tenant_id}: {verdict.events} events, head {verdict.head or 'none'}"
                )
            else:
                broken += 1
                self.stdout.write(
                    self.style.ERROR(
                        f"{tenant_id}: broken at event {verdict.broken_at}: {verdict.why}"
                    )
                )
        if waiting := waiting_too_long(tenant):
            self.stdout.write(
                self.style.WARNING(
                    f"{waiting} events wait for their seal for over a minute. Does the clock run?"
                )
            )
        if broken:
            raise CommandError("Broken chains: " + str(broken))
        if not found:
            raise CommandError(
                "The head is in no whole chain: events were cut off, or all was rewritten."
            )
