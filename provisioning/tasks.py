"""What the queue calls, by id."""

import os
from uuid import UUID

from provisioning import engine, sweeps
from provisioning.models import Heartbeat


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
    """Prove that this worker's processes take messages and finish them."""
    Heartbeat.beat(os.environ.get("MPANEL_WORKER", "worker"))
