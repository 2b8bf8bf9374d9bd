"""Making mailboxes: which addresses, on which domain, and the job that proves them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from billing.models import Account
from billing.services import account_unlocked, lock_account, plan_of, require_room, require_running
from dnszones.plans.services import DomainNotVerified
from domains.models import Domain
from domains.selectors import get_domain
from events.services import record
from mailboxes import hooks, selectors
from mailboxes.maildomains import (
    OUR_SERVER,
    how_verified,
    mail_of,
    place_domain,
    platform_in_force,
    platform_of,
    require_attached,
)
from mailboxes.models import Batch, Mailbox
from mailboxes.naming import Address, Persona, plan_addresses
from mailboxes.services import roles
from mailboxes.services.drafts import Choices, Draft
from mailservers.models import MailDomain
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, MPanelError
from provisioning.models import Job
from provisioning.selectors import latest_job
from provisioning.services import start_job

READY = (Domain.READY, Domain.PROVISIONED, Domain.CONNECTED)


class DomainNotReady(Conflict):
    """The domain's mail records have not propagated yet. Finish its DNS setup first."""

    code = "DOMAIN_NOT_READY"


class MailElsewhere(Conflict):
    """The records of this domain send its mail elsewhere. Change the platform in its DNS setup."""

    code = "MAIL_ELSEWHERE"


def preview_addresses(
    actor: Actor,
    domain_id: UUID,
    *,
    count: int,
    convention: str,
    personas: Sequence[Persona] = (),
    custom: Sequence[str] = (),
) -> list[Address]:
    """The addresses that `provision_mailboxes` would give now."""
    domain = get_domain(actor, domain_id)
    return plan_addresses(
        count,
        convention,
        personas=personas,
        custom=custom,
        taken=selectors.taken_local_parts(domain.pk),
        seed=str(domain.pk),
    )


def provision_mailboxes(
    actor: Actor,
    domain_id: UUID,
    *,
    count: int,
    convention: str,
    personas: Sequence[Persona] = (),
    custom: Sequence[str] = (),
    idempotency_key: str = "",
    draft: Draft | None = None,
    in_same_transaction: Callable[[Batch], object] = lambda batch: None,
) -> Batch:
    """Create `count` mailboxes and start the job that hashes and proves them.

    `draft`: of `draft_mailboxes`, for who calls this inside a transaction. Raises `Invalid`,
    `LimitExceeded`, `TrialExpired`, `DomainNotReady`. The same key gives the same batch again.
    """
    actor.require(ADMIN, "mailboxes:write")
    batches = Batch.objects.filter(tenant_id=actor.tenant_id, idempotency_key=idempotency_key)
    if idempotency_key and (known := batches.first()):
        return known

    wanted: Any = {"count": count, "convention": convention, "personas": personas, "custom": custom}
    draft = draft or draft_mailboxes(actor, domain_id, **wanted)
    with transaction.atomic():
        account = lock_account(actor.tenant_id)
        if idempotency_key and (known := batches.first()):
            return known
        domain = domain_for_inboxes(actor, account, domain_id)
        batch = begin_batch(
            actor,
            account,
            domain,
            preview_addresses(actor, domain_id, **wanted),
            convention=convention,
            idempotency_key=idempotency_key,
            draft=draft,
        )
        in_same_transaction(batch)
    return batch


def draft_mailboxes(
    actor: Actor,
    domain_id: UUID,
    *,
    count: int,
    convention: str,
    personas: Sequence[Persona] = (),
    custom: Sequence[str] = (),
) -> Draft | None:
    """What `provision_mailboxes` will most likely insert, made without a lock; see `draft_batch`.

    Raises `Forbidden`.
    """
    actor.require(ADMIN, "mailboxes:write")

    def addresses() -> list[Address]:
        return preview_addresses(
            actor, domain_id, count=count, convention=convention, personas=personas, custom=custom
        )

    return draft_batch(actor, domain_id, addresses)


def draft_batch(
    actor: Actor,
    domain_id: UUID,
    addresses: Callable[[], Sequence[Address]],
    choices: Mapping[str, Choices] | None = None,
) -> Draft | None:
    """What `begin_batch` will most likely insert, made without a lock.

    None where something is in the way, which is for `begin_batch` and its callers to say.
    """
    account = account_unlocked(actor.tenant_id)
    try:
        domain = domain_for_inboxes(actor, account, domain_id)
        wanted = addresses()
        _require_room(account, len(wanted))
    except MPanelError:
        return None
    mail = mail_of(domain)
    return Draft.of(actor, domain, mail.provider if mail else OUR_SERVER, wanted, choices or {})


def _require_room(account: Account, wanted: int) -> None:
    require_room(
        account,
        what="inboxes",
        used=Mailbox.objects.present().filter(tenant_id=account.tenant_id).count(),
        wanted=wanted,
        limit=plan_of(account).inboxes,
    )


def domain_for_inboxes(
    actor: Actor, account: Account, domain_id: UUID, *, provider: str = ""
) -> Domain:
    """A domain that can have more inboxes now, at this provider where one is named.

    Raises `TrialExpired`, `DomainNotFound`, `DomainNotVerified`, `DomainNotReady`,
    `MailElsewhere`, `MailNotAttached`.
    """
    require_running(account)
    domain = get_domain(actor, domain_id)
    if domain.is_revoked:
        raise DomainNotVerified
    if domain.status not in READY:
        raise DomainNotReady
    mail = mail_of(domain)
    require_attached(mail, provider)
    if leads_elsewhere(mail, platform_in_force(domain)):
        raise MailElsewhere
    return domain


def begin_batch(
    actor: Actor,
    account: Account,
    domain: Domain,
    addresses: Sequence[Address],
    *,
    convention: str,
    idempotency_key: str = "",
    choices: Mapping[str, Choices] | None = None,
    draft: Draft | None = None,
) -> Batch:
    """Mailboxes for these addresses, as many as the locked account has room for, and their job.

    `choices`: by local part. `draft`: of `draft_batch`, used where it still fits. Raises
    `LimitExceeded`.
    """
    choices = choices or {}
    _require_room(account, len(addresses))
    mail = place_domain(domain)
    if draft is None or not draft.fits(domain, mail.provider, addresses, choices):
        draft = Draft.of(actor, domain, mail.provider, addresses, choices)
    batch, made = draft.batch, draft.mailboxes.rows
    batch.created_by_id = actor.user_id
    batch.convention, batch.count = convention, len(addresses)
    batch.idempotency_key = idempotency_key
    batch.save(force_insert=True)
    draft.mailboxes.insert()
    roles.give_way(actor, made)
    roles.keep_role_addresses([domain.pk])
    draft.events.insert()
    record(
        actor,
        "mailboxes.provisioned",
        batch,
        f"Asked for {batch}.",
        changes={"count": len(addresses), "convention": convention, "domain": domain.name},
    )
    start_provisioning(actor, batch)
    return batch


@transaction.atomic
def retry_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """Prove one failed mailbox again, alone. Twice is harmless."""
    actor.require(ADMIN, "mailboxes:write")
    require_running(lock_account(actor.tenant_id))
    mailbox = selectors.get_mailbox(actor, mailbox_id)
    if mailbox.status == Mailbox.PROVISIONING:
        return mailbox
    mailbox.move(Mailbox.PROVISIONING, error_code="", error_message="")
    record(actor, "mailbox.retried", mailbox, f"Tried {mailbox} again.")
    assert mailbox.batch is not None
    # A job of its own even beside a running one, which may be past this mailbox already.
    start_provisioning(actor, mailbox.batch, only=mailbox)
    return mailbox


def leads_elsewhere(mail: MailDomain | None, platform: str) -> bool:
    """Whether a domain's records send its mail elsewhere than where its inboxes are.

    `mail`: its `mail_of`; `platform`: its `platform_in_force`.
    """
    return platform not in {"", platform_of(mail)}


def provisioning_job(actor: Actor, batch: Batch) -> Job | None:
    """The newest job that provisions this batch."""
    return latest_job(actor, workflow="mailboxes.provision", subject_id=batch.pk)


def start_provisioning(actor: Actor, batch: Batch, *, only: Mailbox | None = None) -> Job:
    return start_job(
        actor,
        "mailboxes.provision",
        label=f"Verify {only}" if only else f"Provision {batch.size}",
        subject_id=batch.pk,
        subject_label=str(batch.domain),
        params={"mailboxes": [str(only.pk)]} if only else {},
        lock=f"mailboxes:{batch.domain_id}",
    )


# --- Called by states ------------------------------------------------------------------------


@transaction.atomic
def count_as_provisioned(batch: Batch) -> None:
    """All of a batch is proved."""
    _has_inboxes(Domain.objects.get(pk=batch.domain_id))
    how = how_verified(mail_of(batch.domain))
    record(system(batch.tenant_id), "mailboxes.proved", batch, f"Verified {batch} {how}.")


def has_inboxes_already(domain: Domain) -> None:
    """A domain that becomes ready again, after its DNS was set up anew, keeps its inboxes."""
    if Mailbox.objects.working().filter(domain=domain).exists():
        _has_inboxes(domain)


@transaction.atomic
def give_up_unverified(batch: Batch, code: str, message: str) -> None:
    """The job ended before these could be proved; each can be retried alone."""
    batch.chosen.unverified().update(
        status=Mailbox.FAILED, error_code=code, error_message=message, updated_at=timezone.now()
    )
    if Mailbox.objects.working().filter(batch=batch).exists():
        _has_inboxes(Domain.objects.get(pk=batch.domain_id))


def _has_inboxes(domain: Domain) -> None:
    if domain.status == Domain.READY:
        domain.move(Domain.PROVISIONED)
    hooks.domains_have_inboxes([domain.pk])
