"""Mailboxes as they will be inserted, made before the account is locked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domains.models import Domain
from events.models import Event
from events.services import prepare_each
from mailboxes.models import Batch, Mailbox
from mailboxes.naming import Address
from mailboxes.passwords import make_password
from mpanel.core.actor import Actor
from mpanel.core.bulk import PreparedRows
from mpanel.core.models import new_id


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What may be chosen for a single mailbox. Without a password, one is made."""

    password: str = field(default="", repr=False)
    quota_mb: int = 1024
    organization_unit: str = "/"


@dataclass(frozen=True)
class Draft:
    """A batch with its mailboxes and their events, all unsaved.

    What it was made for is compared with what is wanted once the account is locked: somebody may
    have taken an address meanwhile, or moved the domain's mail.
    """

    batch: Batch
    provider: str
    addresses: Sequence[Address]
    choices: Mapping[str, Choices] = field(repr=False)
    mailboxes: PreparedRows[Mailbox]
    events: PreparedRows[Event]

    @classmethod
    def of(
        cls,
        actor: Actor,
        domain: Domain,
        provider: str,
        addresses: Sequence[Address],
        choices: Mapping[str, Choices],
    ) -> "Draft":
        """Passwords are made and sealed here. `choices`: by local part."""
        batch = Batch(id=new_id(), tenant_id=actor.tenant_id, domain=domain)
        made = [
            _new_mailbox(batch, provider, address, choices.get(address.local_part, Choices()))
            for address in addresses
        ]
        return cls(
            batch,
            provider,
            tuple(addresses),
            dict(choices),
            PreparedRows(made),
            prepare_each(actor, "mailbox.created", made, lambda mailbox: f"Created {mailbox}."),
        )

    def fits(
        self,
        domain: Domain,
        provider: str,
        addresses: Sequence[Address],
        choices: Mapping[str, Choices],
    ) -> bool:
        """Whether it is what is wanted now."""
        return (self.batch.domain_id, self.provider, self.addresses, self.choices) == (
            domain.pk,
            provider,
            tuple(addresses),
            dict(choices),
        )


def _new_mailbox(batch: Batch, provider: str, address: Address, chosen: Choices) -> Mailbox:
    mailbox = Mailbox(
        tenant_id=batch.tenant_id,
        domain=batch.domain,
        batch=batch,
        provider=provider,
        local_part=address.local_part,
        address=f"{address.local_part}@{batch.domain.name}",
        first_name=address.first_name,
        last_name=address.last_name,
        quota_mb=chosen.quota_mb,
        organization_unit=chosen.organization_unit if chosen.organization_unit != "/" else None,
    )
    mailbox.set_password(chosen.password or make_password())
    return mailbox
