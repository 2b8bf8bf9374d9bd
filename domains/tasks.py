"""What the queue calls, by id."""

from domains import services
from domains.models import Domain


def look_at_delegation(domain_id: str) -> None:
    """Look at one domain's delegation now."""
    services.look_at_delegations(list(Domain.objects.filter(pk=domain_id)))
