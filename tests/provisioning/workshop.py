"""Small workflows for the engine's tests: the world is a dictionary, and every touch is noted."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from mpanel.core.models import new_id
from provisioning import desired
from provisioning.desired import DesiredState, Observation, Workflow
from provisioning.models import Job
from provisioning.services import start_job
from tests.cast import Person


@dataclass
class World:
    """What stands outside, and in which order it was looked at and changed."""

    there: set[str] = field(default_factory=set)
    touched: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    # What observing, or applying, a thing does first: raise, wait, look around.
    before_observe: dict[str, Callable[[], Any]] = field(default_factory=dict)
    before_apply: dict[str, Callable[[], Any]] = field(default_factory=dict)
    after_apply: dict[str, Callable[[], Any]] = field(default_factory=dict)
    # What observing finds, where it is not simply there or not.
    found: dict[str, Observation] = field(default_factory=dict)
    mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def applied(self) -> list[str]:
        """What was changed, in order."""
        return [touch.removeprefix("apply ") for touch in self.touched if "apply" in touch]

    def note(self, touch: str) -> None:
        with self.mutex:
            self.touched.append(touch)


class Thing(DesiredState[Any]):
    """A thing is there."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        interval: timedelta | None = None,
        deadline: timedelta | None = None,
    ) -> None:
        self.world = world
        self.name = name  # type: ignore[misc]
        self.label = f"The {name}"  # type: ignore[misc]
        self.interval, self.deadline = interval, deadline

    def observe(self, subject: Any) -> Observation:
        self.world.note(f"observe {self.name}")
        self.world.before_observe.get(self.name, lambda: None)()
        if seen := self.world.found.get(self.name):
            return seen
        if self.name in self.world.there:
            return Observation.matches(f"The {self.name} is there.")
        return Observation.missing(f"The {self.name} is not there.", expected=self.name)

    def apply(self, subject: Any) -> None:
        self.world.before_apply.get(self.name, lambda: None)()
        self.world.note(f"apply {self.name}")
        with self.world.mutex:
            self.world.there.add(self.name)
        self.world.after_apply.get(self.name, lambda: None)()


@dataclass(frozen=True)
class Workshop:
    """A workflow that is known to the engine while a test runs, and its world."""

    world: World
    workflow: Workflow[Any]

    def start(self, person: Person, **wishes: Any) -> Job:
        """A job of this workflow for somebody."""
        wishes = {"subject_id": new_id(), "subject_label": "example.test", **wishes}
        return start_job(person.actor, self.workflow.name, **wishes)


@contextmanager
def opened(
    states: Sequence[str | DesiredState[Any]], *, world: World | None = None, **more: Any
) -> Iterator[Workshop]:
    """A workshop whose workflow has these states; a string is a thing of that name."""
    outside = world or World()
    workflow = Workflow(
        name=f"test.{new_id()}",
        label="Build it",
        states=[Thing(outside, s) if isinstance(s, str) else s for s in states],
        **{
            "load": lambda job: job,
            "on_success": lambda _: outside.ended.append("success"),
            "on_failure": lambda _, code, __: outside.ended.append(f"failure {code}"),
            "on_cancel": lambda _: outside.ended.append("cancel"),
            **more,
        },
    )
    desired.register(workflow)
    try:
        yield Workshop(outside, workflow)
    finally:
        del desired._workflows[workflow.name]  # there is no door for leaving


def fresh(job: Job) -> Job:
    """The job as it is now."""
    return Job.objects.get(pk=job.pk)


def let_time_pass(job: Job) -> None:
    """As if the job's next look, and a dead runner's lease, were due now."""
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(run_at=now)
    Job.objects.filter(pk=job.pk, lease_until__isnull=False).update(
        lease_until=now - timedelta(seconds=1)
    )


def steps_of(job: Job | UUID) -> list[tuple[str, str]]:
    """The name and status of each step, in order."""
    rows = Job.objects.get(pk=job.pk if isinstance(job, Job) else job).steps.all()
    return [(row.name, row.status) for row in rows]


def log_of(job: Job) -> list[str]:
    """The job's log, line by line."""
    return [line.text for line in job.lines.all()]
