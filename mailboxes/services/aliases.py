"""Further addresses of mailboxes, and who takes what nobody else has."""

from uuid import UUID

from django.db import transaction

from billing.services import lock_account
from events.services import record
from mailboxes import selectors
from mailboxes.models import Alias, Mailbox
from mailboxes.naming import local_part_error
from mailboxes.services import rules
from mailboxes.services.lifecycle import ManagedElsewhere
from mailboxes.vendors import is_ours
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, Invalid

MOST_ALIASES = 100  # of one mailbox
CATCH_ALL = "*"


class AddressTaken(Conflict):
    """This address is in use already. An alias needs one that no mailbox has."""

    code = "ADDRESS_TAKEN"


class AliasExists(Conflict):
    """This mailbox has this alias already."""

    code = "ALIAS_EXISTS"


class TooManyAliases(Conflict):
    """A mailbox has at most 100 aliases."""

    code = "TOO_MANY_ALIASES"


@transaction.atomic
def create_alias(actor: Actor, mailbox_id: UUID, *, local_part: str) -> Alias:
    """Let mail for another address of the mailbox's domain arrive in it, at once.

    `*` or nothing makes it a catch-all: it takes what nobody else of the domain has. Several
    mailboxes may have the same alias; each gets a copy. Raises `Invalid`, `AddressTaken`,
    `AliasExists`, `TooManyAliases`, `ManagedElsewhere`.
    """
    actor.require(ADMIN, "mailboxes:write")
    actor.require_fresh_code()
    lock_account(actor.tenant_id)
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    local_part = _clean(local_part)
    address = f"{local_part}@{mailbox.domain.name}"
    if not is_ours(mailbox):
        raise ManagedElsewhere
    if mailbox.status == Mailbox.DELETING:
        raise Conflict("This mailbox is being deleted.")
    _require_free(mailbox, address)
    # Where the customer chooses, the address that we chose for them goes.
    Alias.objects.filter(domain=mailbox.domain, address=address, is_automatic=True).delete()
    alias = Alias.objects.create(
        tenant_id=actor.tenant_id,
        domain=mailbox.domain,
        mailbox=mailbox,
        local_part=local_part,
        address=address,
    )
    what = f"the catch-all of {mailbox.domain}" if alias.is_catch_all else f"the alias {address}"
    record(actor, "alias.created", alias, f"Gave {mailbox} {what}.")
    rules.addresses_changed(actor, mailbox)
    return alias


@transaction.atomic
def delete_alias(actor: Actor, alias_id: UUID) -> None:
    """Mail for it is refused, or goes to the domain's catch-all, at once."""
    actor.require(ADMIN, "mailboxes:write")
    alias = selectors.get_alias(actor, alias_id)
    record(actor, "alias.deleted", alias, f"Took {alias} away from {alias.mailbox}.")
    alias.delete()
    rules.addresses_changed(actor, alias.mailbox)


def _clean(local_part: str) -> str:
    local_part = local_part.strip().lower()
    if local_part in {"", CATCH_ALL}:
        return ""
    if problem := local_part_error(local_part):
        raise Invalid.field("local_part", problem)
    return local_part


def _require_free(mailbox: Mailbox, address: str) -> None:
    """Under the account's lock, so that no mailbox of the tenant takes the address meanwhile."""
    in_domain = {"domain_id": mailbox.domain_id, "address": address}
    if Mailbox.objects.present().filter(**in_domain).exists():
        raise AddressTaken
    if Alias.objects.filter(mailbox=mailbox, address=address).exists():
        raise AliasExists
    own = Alias.objects.filter(mailbox=mailbox).exclude(is_automatic=True)
    if own.count() >= MOST_ALIASES:
        raise TooManyAliases
