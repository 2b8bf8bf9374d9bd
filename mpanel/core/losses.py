"""What goes dark when something is done, and the confirmation that it asks for.

A loss is shown as a sentence. To make the change all the same, the caller repeats the request with
the digest of exactly what was shown; when anything about it changes, so does the digest.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mpanel.core.errors import Conflict

Kind = Literal[
    "mail", "sending", "website", "wildcard", "delegation", "dnssec", "nameservers", "extent"
]


MOST_SAID = 10  # sentences in a message
MOST_LISTED = 200  # losses in an answer; a zone may have ten thousand names


@dataclass(frozen=True)
class Loss:
    """One thing that is live now and will not be: its kind, its DNS name, a sentence about it."""

    kind: Kind
    name: str
    sentence: str

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Loss":
        return cls(**stored)


def digest_of(*shown: object) -> str:
    """Stands for exactly what was shown; each part is text or other JSON."""
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]


class ConfirmationRequired(Conflict):
    """This takes away something that is live. Confirm that you want that."""

    code = "CONFIRMATION_REQUIRED"

    def __init__(self, losses: Iterable[Loss], confirmation: str) -> None:
        self.losses, self.confirmation = tuple(losses), confirmation
        told = [loss.sentence for loss in self.losses[:MOST_SAID]]
        if len(self.losses) > MOST_SAID:
            told.append(f"And {len(self.losses) - MOST_SAID} more.")
        super().__init__(
            " ".join(told),
            details={
                "losses": [asdict(loss) for loss in self.losses[:MOST_LISTED]],
                "total": len(self.losses),
                "confirmation": confirmation,
            },
        )


def require_confirmation(losses: Iterable[Loss], *, digest: str, given: str) -> None:
    """Raise `ConfirmationRequired` unless nothing is lost, or exactly this was confirmed."""
    lost = tuple(losses)
    if lost and given != digest:
        raise ConfirmationRequired(lost, digest)
