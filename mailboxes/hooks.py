"""What apps above do when something happens to mailboxes: they register it as Django starts."""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from mailboxes.models import Mailbox
from mpanel.core.actor import Actor
from mpanel.core.extensions import Extensions

PasswordHook = Callable[[Actor, Sequence[Mailbox]], None]
InboxesHook = Callable[[Iterable[UUID]], None]

# Called in the transaction in which passwords of mailboxes change.
_password_hooks: Extensions[PasswordHook] = Extensions("who is told of new passwords")
register_password_hook = _password_hooks.register

# Called in the transaction in which domains get working inboxes.
_inboxes_hooks: Extensions[InboxesHook] = Extensions("who is told of working inboxes")
register_inboxes_hook = _inboxes_hooks.register


def passwords_changed(actor: Actor, mailboxes: Sequence[Mailbox]) -> None:
    """Tell the apps above that these mailboxes have new passwords."""
    for hook in _password_hooks:
        hook(actor, mailboxes)


def domains_have_inboxes(domain_ids: Iterable[UUID]) -> None:
    """Tell the apps above that these domains have working inboxes."""
    wanted = set(domain_ids)
    for hook in _inboxes_hooks:
        hook(wanted)
