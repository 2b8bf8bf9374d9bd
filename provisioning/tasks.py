"""What the queue calls, by id."""

from uuid import UUID

from provisioning import engine, sweeps


def advance(job_id: str) -> None:
    """The doorbell of one job."""
    engine.advance(UUID(job_id))


def look_again(job_id: str) -> None:
    """Observe a finished job's states again."""
    engine.look_again(UUID(job_id))


def sweep(name: str) -> None:
    """Run a periodic sweep, unless one is running."""
    sweeps.run(name)


def heartbeat() -> None:
    """What an idle cluster is sent, to see that it takes messages: each that is done beats."""
