"""The one idea: a desired state can be observed and applied.

Provisioning, dry run, waiting, drift and recovery all use the same two verbs; see `engine.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from django.utils import timezone
from django.utils.dateparse import parse_datetime

Verdict = Literal["matches", "missing", "conflicts", "unknown"]


@dataclass(frozen=True)
class Observation:
    """What was seen, with evidence that a person can read.

    `unknown` (a time-out, a 500) is never treated as missing. `conflicts` is what exists but is
    not ours, or is ours and cannot be had; it is never overwritten without consent.
    """

    verdict: Verdict
    summary: str
    expected: str = ""
    found: str = ""
    where: str = ""
    code: str = ""
    at: datetime = field(default_factory=timezone.now)

    @classmethod
    def matches(cls, summary: str, *, expected: str = "", found: str = "", where: str = "") -> Self:
        return cls("matches", summary, expected, found, where)

    @classmethod
    def missing(cls, summary: str, *, expected: str = "", found: str = "", where: str = "") -> Self:
        return cls("missing", summary, expected, found, where)

    @classmethod
    def conflicts(cls, code: str, summary: str, *, expected: str = "", found: str = "") -> Self:
        """`code` is stable and upper case: why a person must decide."""
        return cls("conflicts", summary, expected, found, code=code)

    @classmethod
    def unknown(cls, summary: str, *, expected: str = "", found: str = "", where: str = "") -> Self:
        return cls("unknown", summary, expected, found, where)

    def to_json(self) -> dict[str, str]:
        return asdict(self) | {"at": self.at.isoformat()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        return cls(**{**stored, "at": parse_datetime(stored["at"])})


class DesiredState[S]:
    """One thing that should be true of a subject, e.g. "the SPF record is published".

    A state can be run twice by a stranger at night: `observe` never changes anything, `apply`
    converges. Both may raise `ProviderError`; what is retryable or ambiguous is tried again.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    # Set for a state that only time or somebody else can bring about: how long until the next
    # look, and after how long we give up. Such a state has no `apply`.
    interval: timedelta | None = None
    deadline: timedelta | None = None

    def observe(self, subject: S) -> Observation:
        """Look, and say what was expected and what was found. Changes nothing."""
        raise NotImplementedError

    def apply(self, subject: S) -> None:
        """Converge. Harmless to run twice."""
        raise NotImplementedError


@dataclass(frozen=True)
class Workflow[S]:
    """A named, ordered list of desired states that a job brings about.

    `load` gives the subject, fresh from the database, and raises `NotFound` when it is gone.
    `on_success`, `on_failure` and `on_cancel` run in the transaction that ends the job, so they
    take effect exactly once; `on_failure` gets the stable code and the sentence.
    """

    name: str
    label: str
    states: Sequence[DesiredState[S]]
    load: Callable[[Any], S]
    on_success: Callable[[S], None] | None = None
    on_failure: Callable[[S, str, str], None] | None = None
    on_cancel: Callable[[S], None] | None = None
    # Runs when a person retries the ended job, in that transaction: opens again what was given up.
    on_retry: Callable[[S], None] | None = None
    # Whether a person may stop it half-way (what was done stays; a new job goes on from there).
    cancellable: bool = True


_workflows: dict[str, Workflow[Any]] = {}


def register(workflow: Workflow[Any]) -> None:
    """Make a workflow known by its name; an app above registers itself when Django starts."""
    known = _workflows.setdefault(workflow.name, workflow)
    if known is not workflow:
        raise ValueError(f"two workflows are called {workflow.name}")


def prepend(name: str, state: DesiredState[Any]) -> None:
    """Put a state of an app above before all others of a workflow; `KeyError` for none."""
    workflow = _workflows[name]
    _workflows[name] = replace(workflow, states=(state, *workflow.states))


def workflow_called(name: str) -> Workflow[Any]:
    """The workflow of that name; `KeyError` when no app registered it."""
    return _workflows[name]
