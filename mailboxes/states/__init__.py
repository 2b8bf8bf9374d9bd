"""What should be true of mailboxes and of a domain's mail, and the workflows that see to it."""

from domains.services import register_blocker, register_ready_hook
from mailboxes import services
from mailboxes.services import roles
from mailboxes.states.claims import DomainInDirectory, DomainIsVerified, VerificationIsPublished
from mailboxes.states.enforcement import ChangedPasswordsAreHashed, MailboxesAsWanted
from mailboxes.states.provisioning import AccountsAsWanted, LoginsAreProved, PasswordsAreHashed
from mailboxes.states.removal import MailboxesAbsent, Removal
from mailboxes.states.rules import ScriptIsActive

__all__ = [
    "AccountsAsWanted",
    "ChangedPasswordsAreHashed",
    "DomainInDirectory",
    "DomainIsVerified",
    "LoginsAreProved",
    "MailboxesAbsent",
    "MailboxesAsWanted",
    "PasswordsAreHashed",
    "Removal",
    "ScriptIsActive",
    "VerificationIsPublished",
]

register_blocker(services.domain_blocker)
register_ready_hook(services.has_inboxes_already)
register_ready_hook(roles.domain_is_ready)
