"""Pages about mailboxes, by what they are about."""

from mailboxes.views.credentials import batch_csv, batch_reveal, mailbox_csv, mailbox_reveal
from mailboxes.views.domain_mail import (
    alias_delete,
    domain_alias_add,
    domain_attach,
    domain_mail,
    domain_region,
)
from mailboxes.views.lists import mailbox_bulk, mailbox_delete_many, mailbox_list
from mailboxes.views.making import mailbox_import, mailbox_new
from mailboxes.views.one import (
    alias_add,
    mailbox_activate,
    mailbox_delete,
    mailbox_detail,
    mailbox_password,
    mailbox_quota,
    mailbox_retry,
    mailbox_suspend,
)
from mailboxes.views.rules import mailbox_rules

__all__ = [
    "alias_add",
    "alias_delete",
    "batch_csv",
    "batch_reveal",
    "domain_alias_add",
    "domain_attach",
    "domain_mail",
    "domain_region",
    "mailbox_activate",
    "mailbox_bulk",
    "mailbox_csv",
    "mailbox_delete",
    "mailbox_delete_many",
    "mailbox_detail",
    "mailbox_import",
    "mailbox_list",
    "mailbox_new",
    "mailbox_password",
    "mailbox_quota",
    "mailbox_retry",
    "mailbox_reveal",
    "mailbox_rules",
    "mailbox_suspend",
]
