"""The kinds of notifications: each app says of which events people are told, and how."""

from collections.abc import Callable
from dataclasses import dataclass

from events.models import Event
from events.recipients import Recipient
from mpanel.core.actor import MEMBER, RANKS


@dataclass(frozen=True)
class Kind:
    """`actions`: the events it is made of. `title`: a text, or made from the event; `link`: the
    path of the page to go to. Neither may ask the database, since both run in the relay.

    `default_email`: whether it goes by mail unless the person says otherwise. `personal`: only who
    acted is told. `least_role`: who else.
    """

    key: str
    label: str
    actions: tuple[str, ...]
    title: str | Callable[[Event], str]
    link: Callable[[Event], str]
    default_email: bool = True
    personal: bool = False
    least_role: str = MEMBER

    def title_of(self, event: Event) -> str:
        return self.title if isinstance(self.title, str) else self.title(event)

    def is_for(self, member: Recipient, event: Event) -> bool:
        """Whether this member is told of this event."""
        if self.personal and member.user_id != event.user_id:
            return False
        return self.may_reach(member.role)

    def may_reach(self, role: str) -> bool:
        """Whether people of this role are told of such things at all."""
        return RANKS[role] >= RANKS[self.least_role]


_kinds: dict[str, Kind] = {}


def register(
    key: str,
    label: str,
    *,
    action: str | tuple[str, ...],
    title: str | Callable[[Event], str],
    link: Callable[[Event], str],
    default_email: bool = True,
    personal: bool = False,
    least_role: str = MEMBER,
) -> None:
    """Make a kind known; an app does this when Django starts."""
    actions = (action,) if isinstance(action, str) else action
    _kinds[key] = Kind(key, label, actions, title, link, default_email, personal, least_role)


def all_kinds() -> dict[str, Kind]:
    """Every kind by its key, in the order of their labels."""
    return dict(sorted(_kinds.items(), key=lambda item: item[1].label))


def kinds_of(action: str) -> list[Kind]:
    """The kinds that an event of this action makes."""
    return [kind for kind in _kinds.values() if action in kind.actions]
