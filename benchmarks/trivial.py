"""The least that a desired state, and a task of the queue, can be."""

from uuid import UUID

from provisioning.desired import DesiredState, Observation, Workflow, register
from provisioning.models import Job

STEPS = 100
WORKFLOW = "benchmarks.trivial"


class ThingExists(DesiredState[UUID]):
    """A thing of this process's memory is there."""

    label = "Remember"

    def __init__(self, number: int) -> None:
        self.name = f"thing_{number}_exists"  # type: ignore[misc]
        self._made: set[UUID] = set()

    def observe(self, subject: UUID) -> Observation:
        if subject in self._made:
            return Observation.matches("It is there.")
        return Observation.missing("It is not there.")

    def apply(self, subject: UUID) -> None:
        self._made.add(subject)


def _subject(job: Job) -> UUID:
    return job.subject_id


def nothing() -> None:
    """What the queue calls for the comparison."""


STATES = tuple(ThingExists(number) for number in range(STEPS))
register(Workflow(name=WORKFLOW, label="Trivial", states=STATES, load=_subject))
