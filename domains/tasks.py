"""What the queue calls, by id."""

from contextlib import suppress

from domains import ownership
from domains.models import Domain
from mpanel.core.errors import Conflict


def look_at_delegation(domain_id: str) -> None:
    """Look at one domain's delegation and proof now."""
    for domain in Domain.objects.filter(pk=domain_id):
        (report,) = ownership.look_at_control([domain])
        with suppress(Conflict):
            ownership.follow(domain, report)
