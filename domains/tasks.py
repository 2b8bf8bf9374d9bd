"""What the queue calls, by id."""

from domains import ownership
from domains.models import Domain


def look_at_delegation(domain_id: str) -> None:
    """Look at one domain's delegation and proof now."""
    domains = list(Domain.objects.filter(pk=domain_id))
    if domains:
        ownership.follow(zip(domains, ownership.look_at_control(domains), strict=True))
