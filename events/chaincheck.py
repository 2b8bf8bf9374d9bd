"""What a restore shows of the events: every tenant's chain is whole."""

from collections.abc import Iterator

from events.chain import chained_tenants, verify
from mpanel.operations.backups import Unverified


def chains_are_whole() -> Iterator[str]:
    """Walk all chains. Raises `Unverified` at the first break."""
    chains = events = 0
    for tenant_id in chained_tenants():
        verdict = verify(tenant_id)
        if verdict.broken_at is not None:
            raise Unverified(
                f"the chain of {tenant_id} is broken at event {verdict.broken_at}: {verdict.why}"
            )
        chains, events = chains + 1, events + verdict.events
    yield f"{chains} chains of {events} events are whole"
