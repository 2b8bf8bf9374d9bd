"""Mailboxes whose credentials go to who asks for them, as the JSON API does.

Whoever makes a mailbox here is answered with its password, and may read it again; a key needs the
scope `mailboxes:reveal` for both (docs/decisions/0011).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from billing.services import lock_account
from domains.selectors import domain_called
from events.services import record
from mailboxes import selectors
from mailboxes.maildomains import check_unit, mail_of
from mailboxes.models import Batch, Mailbox
from mailboxes.naming import Address, Persona, local_part_error, name_error
from mailboxes.passwords import check_given
from mailboxes.services import (
    QUOTAS_MB,
    Choices,
    Credential,
    Draft,
    begin_batch,
    domain_for_inboxes,
    draft_mailboxes,
    provision_mailboxes,
)
from mpanel.core import registry
from mpanel.core.actor import ADMIN, Actor
from mpanel.core.errors import Conflict, Invalid, MPanelError

LONGEST_UNIT = 200


class InvalidUsername(Invalid):
    """This cannot be used before the @ of an address."""

    code = "INVALID_USERNAME"


class UserAlreadyExists(Conflict):
    """This address was given before, and no address is given twice."""

    code = "USER_ALREADY_EXISTS"


@dataclass(frozen=True, kw_only=True)
class NewMailbox:
    """One mailbox that is wanted. Without a password, one is made; without a provider, it is the
    domain's.

    `organization_unit`: where a provider's directory puts it; ours has none but "/".
    """

    domain_id: UUID
    username: str
    first_name: str
    last_name: str
    password: str = field(default="", repr=False)
    quota_mb: int = 1024
    organization_unit: str = "/"
    provider: str = ""

    @property
    def address(self) -> Address:
        return Address(self.username, self.first_name, self.last_name)

    @property
    def choices(self) -> Choices:
        return Choices(
            password=self.password,
            quota_mb=self.quota_mb,
            organization_unit=self.organization_unit,
        )


def provision_and_reveal(
    actor: Actor,
    domain_id: UUID,
    *,
    count: int,
    convention: str,
    personas: Sequence[Persona] = (),
    custom: Sequence[str] = (),
    draft: Draft | None = None,
) -> tuple[Batch, list[Credential]]:
    """`provision_mailboxes`, and the one reveal of the batch at once; see there for what it raises.

    The passwords are final; the logins work when the batch's job has proved them.
    """
    require_reveal(actor)
    batch = provision_mailboxes(
        actor,
        domain_id,
        count=count,
        convention=convention,
        personas=personas,
        custom=custom,
        draft=draft,
        in_same_transaction=lambda batch: mark_revealed(actor, batch),
    )
    return batch, credentials_of(batch)


def draft(actor: Actor, domain_id: UUID, **wanted: Any) -> Draft | None:
    """`draft_mailboxes` for `provision_and_reveal`."""
    require_reveal(actor)
    return draft_mailboxes(actor, domain_id, **wanted)


def create_mailbox(actor: Actor, wanted: NewMailbox) -> Credential:
    """One mailbox with a name of its own, as a batch of one: same limits, same lock, same proof.

    Raises what `provision_mailboxes` raises, `InvalidUsername`, `UserAlreadyExists`.
    """
    require_reveal(actor)
    check(wanted)
    with transaction.atomic():
        account = lock_account(actor.tenant_id)
        domain = domain_for_inboxes(actor, account, wanted.domain_id, provider=wanted.provider)
        check_unit(wanted.organization_unit, mail_of(domain))
        if wanted.username in selectors.taken_local_parts(domain.pk):
            raise UserAlreadyExists
        batch = begin_batch(
            actor,
            account,
            domain,
            [wanted.address],
            convention="custom",
            choices={wanted.username: wanted.choices},
        )
        mark_revealed(actor, batch)
    (credential,) = credentials_of(batch)
    return credential


def create_mailbox_at(
    actor: Actor,
    *,
    email: str = "",
    domain_id: UUID | None = None,
    local_part: str = "",
    first_name: str = "",
    last_name: str = "",
    password: str = "",
    quota_mb: int = 1024,
) -> Credential:
    """`create_mailbox` by a whole address, or by domain and local part. Raises `DomainNotFound`."""
    if email:
        local_part, _, name = email.lower().rpartition("@")
        domain_id = domain_called(actor, name).pk
    assert domain_id is not None
    wanted = NewMailbox(
        domain_id=domain_id,
        username=local_part.lower(),
        first_name=first_name,
        last_name=last_name,
        password=password,
        quota_mb=quota_mb,
    )
    return create_mailbox(actor, wanted)


def create_mailboxes(actor: Actor, wanted: Sequence[NewMailbox]) -> list[Credential | MPanelError]:
    """`create_mailbox` for each, in order; why one could not be made stands in its place."""
    require_reveal(actor)
    results: list[Credential | MPanelError] = []
    for one in wanted:
        try:
            results.append(create_mailbox(actor, one))
        except MPanelError as error:
            results.append(error)
    return results


@transaction.atomic
def reveal_credentials(actor: Actor, mailbox_id: UUID) -> Credential:
    """One mailbox's password, recorded. For tokens and keys only: pages ask for a code first."""
    actor.require(ADMIN, "mailboxes:reveal")
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    Mailbox.objects.filter(pk=mailbox.pk).update(revealed_at=timezone.now())
    record(actor, "password.revealed", mailbox, f"Revealed the password of {mailbox}.")
    return Credential(mailbox, mailbox.password())


def require_reveal(actor: Actor) -> None:
    """Whoever makes mailboxes here sees their passwords. Raises `Forbidden`."""
    actor.require(ADMIN, "mailboxes:write")
    actor.need("mailboxes:reveal")
    actor.require_fresh_code()


def check(wanted: NewMailbox) -> None:
    """Raise `Invalid` for what is wrong with a wish before anything is looked up."""
    mail_providers = [key for port, key in registry.all_providers() if port == "mail"]
    if wanted.provider not in {"", *mail_providers}:
        raise Invalid.field(
            "provider", f"This provider is not connected yet. Choose {' or '.join(mail_providers)}."
        )
    unit = wanted.organization_unit
    if not (unit.startswith("/") and unit.isprintable() and len(unit) <= LONGEST_UNIT):
        raise Invalid.field("organization_unit", "Write it as a path, such as /Sales/North.")
    if problem := local_part_error(wanted.username):
        raise InvalidUsername.field("username", problem)
    for name, value in (("first_name", wanted.first_name), ("last_name", wanted.last_name)):
        if problem := name_error(value):
            raise Invalid.field(name, problem)
    if wanted.quota_mb not in QUOTAS_MB:
        raise Invalid.field("quota_mb", f"Enter 1 to {QUOTAS_MB[-1]:,} MB.")
    if wanted.password:
        check_given(wanted.password)


def mark_revealed(actor: Actor, batch: Batch) -> None:
    """A batch that was just made is answered with its credentials: its one reveal."""
    Batch.objects.filter(pk=batch.pk).update(
        revealed_at=timezone.now(), revealed_by_id=actor.user_id
    )
    record(actor, "credentials.revealed", batch, f"Revealed the credentials of {batch}.")


def credentials_of(batch: Batch) -> list[Credential]:
    """The credentials of a batch, after `mark_revealed`."""
    return [
        Credential(mailbox, mailbox.password())
        for mailbox in batch.mailboxes.select_related("batch", "domain").order_by("pk")
    ]
