"""What the app above that sells plans tells who signs in."""

from collections.abc import Sequence
from typing import Any, Protocol

from mpanel.core.actor import Actor
from mpanel.core.api.serializers import Serializer
from mpanel.core.extensions import Extensions


class Paid(Protocol):
    """What a tenant has: a trial, or a plan."""

    def plans(self) -> Sequence[str]:
        """The keys of the plans that one may mean to take after the trial."""

    def trial_shape(self) -> Serializer:
        """How the trial is shown."""

    def begin_trial(self, actor: Actor, plan: str) -> Any:
        """Begin the trial of a new tenant, and show it. `plan`: meant for later, or ""."""

    def tier(self, actor: Actor) -> str:
        """The key of the plan whose limits are in force."""


PAID: Extensions[Paid] = Extensions("what a tenant has paid for")


def paid_for() -> Paid:
    """Who knows it."""
    return PAID.only()
