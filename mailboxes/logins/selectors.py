"""What a customer sees of guesses at a mailbox."""

from uuid import UUID

from mailboxes.models import LoginGuesses
from mpanel.core.actor import Actor


def guesses_at(actor: Actor, mailbox_id: UUID) -> str:
    """A sentence about the present wave of wrong passwords; empty where there is none."""
    rows = LoginGuesses.objects.filter(mailbox__tenant_id=actor.tenant_id, mailbox=mailbox_id)
    row = rows.exclude(told_at=None).order_by("-updated_at").first()
    if row is None:
        return ""
    where = f"from {row.network}" if row.network else "from networks where nobody logged in before"
    return (
        f"{row.wrong} wrong passwords since {row.since:%Y-%m-%d %H:%M} UTC, {where}; the last at "
        f"{row.updated_at:%Y-%m-%d %H:%M} UTC. Further attempts are refused for a while. If one of "
        "your programs still has an old password, enter the new one there."
    )
