"""Mailboxes and what belongs to them, split by noun."""

from mailboxes.models.addresses import Alias
from mailboxes.models.logins import LoginGuesses, LoginNetwork
from mailboxes.models.mailbox import REVEAL_LASTS, Batch, Mailbox, MailboxQuerySet
from mailboxes.models.rules import DeliveryRules
from mailboxes.models.senders import OutsideSender

__all__ = [
    "REVEAL_LASTS",
    "Alias",
    "Batch",
    "DeliveryRules",
    "LoginGuesses",
    "LoginNetwork",
    "Mailbox",
    "MailboxQuerySet",
    "OutsideSender",
]
