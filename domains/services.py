"""Connecting domains and letting them go; ownership.py says when they are verified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.services import lock_account, plan_of, require_room, require_running
from domains import registrars, selectors
from domains.models import Domain, Registration
from domains.names import DomainName, clean_domain
from domains.reserved import check_not_reserved
from events.services import record
from mpanel.core import queues
from mpanel.core.actor import ADMIN, Actor, system
from mpanel.core.errors import Conflict, Invalid
from mpanel.core.extensions import Extensions
from mpanel.core.losses import Loss, require_confirmation
from provisioning.models import Job
from provisioning.selectors import latest_job
from provisioning.services import cancel_jobs, check_now, start_job
from tenants.models import ProviderCredential
from tenants.selectors import chosen_credential


class DomainTaken(Conflict):
    """Another account has verified this domain. It belongs to those who run its nameservers."""

    code = "DOMAIN_TAKEN"


class DomainAlreadyConnected(Conflict):
    """You have connected this domain already."""

    code = "DOMAIN_ALREADY_CONNECTED"


class DomainInUse(Conflict):
    """This domain is still in use."""

    code = "DOMAIN_IN_USE"


class DnsNotConnected(Conflict):
    """No DNS account is connected yet. Add one under Credentials first."""

    code = "DNS_NOT_CONNECTED"


# Why a domain cannot be disconnected yet, or "".
_blockers: Extensions[Callable[[Domain], str]] = Extensions("what keeps a domain")
register_blocker = _blockers.register


@dataclass(frozen=True)
class Departure:
    """What goes dark when a domain is disconnected; `digest` stands for exactly that.

    `is_known`: whether its zone could be read. If not, anything may go dark.
    """

    losses: tuple[Loss, ...] = ()
    digest: str = ""
    is_known: bool = True


# What goes dark when a domain is disconnected, which is asked outside of any transaction.
_departures: Extensions[Callable[[Domain], Departure]] = Extensions("what a domain's zone serves")
register_departure = _departures.register

# What follows when a domain's records have propagated and it is ready for inboxes.
_ready_hooks: Extensions[Callable[[Domain], None]] = Extensions("what a ready domain begins")
register_ready_hook = _ready_hooks.register


@transaction.atomic
def connect_domain(
    actor: Actor,
    text: str,
    *,
    credential_id: UUID | None = None,
    registrar: str = "other",
    notes: str = "",
) -> Domain:
    """Connect a domain as a customer typed it: a zone is made for it, then its delegation watched.

    Without a credential, the tenant's first DNS account holds the zone.
    Raises `Invalid`, `NameReserved`, `DnsNotConnected`, `DomainAlreadyConnected`, `DomainTaken`,
    `LimitExceeded`, `TrialExpired`.
    """
    actor.require(ADMIN, "domains:write")
    credential = chosen_dns_credential(actor, credential_id)
    if registrar not in registrars.REGISTRARS:
        raise Invalid.field("provider", "Choose one of the registrars offered.")
    if len(notes) > 2000:
        raise Invalid.field("notes", "Please keep the notes under 2,000 characters.")
    name = clean_domain(text, extra_suffixes=settings.EXTRA_SUFFIXES)
    domain = claim(actor, name, credential=credential, registrar=registrar, notes=notes.strip())
    record(actor, "domain.connected", domain, f"Connected {domain}.")
    start_job(
        actor,
        "domains.connect",
        label="Connect the domain",
        subject_id=domain.pk,
        subject_label=str(domain),
        lock=f"domain:{domain.pk}",
    )
    return domain


def chosen_dns_credential(actor: Actor, credential_id: UUID | None) -> ProviderCredential:
    """The DNS account that is to hold a zone; the tenant's first where none is named."""
    found = chosen_credential(actor, credential_id, port="dns", of="DNS provider")
    if found is None:
        raise DnsNotConnected
    return found


def check_claim(actor: Actor, name: DomainName) -> None:
    """Raise unless the tenant may have this domain as one more, by its plan and by its name.

    The account is locked until the caller's transaction ends, so that a row that is written in it
    holds the limit.
    """
    check_not_reserved(name.ascii)
    account = lock_account(actor.tenant_id)
    require_running(account)
    mine = Domain.objects.filter(tenant_id=actor.tenant_id)
    if mine.filter(name=name.ascii).exists():
        raise DomainAlreadyConnected
    if Domain.objects.verified().filter(name=name.ascii).exists():
        raise DomainTaken
    limit = plan_of(account).domains
    require_room(account, what="domains", used=mine.count(), wanted=1, limit=limit)


def claim(
    actor: Actor,
    name: DomainName,
    *,
    credential: ProviderCredential,
    registrar: str,
    notes: str = "",
) -> Domain:
    """The row of a domain that is new here, in the caller's transaction; see `check_claim`."""
    check_claim(actor, name)
    return Domain.objects.create(
        tenant_id=actor.tenant_id,
        name=name.ascii,
        unicode_name=name.unicode,
        registrar=registrar,
        notes=notes,
        dns_credential=credential,
    )


@transaction.atomic
def change_domain(actor: Actor, domain_id: UUID, *, registrar: str, notes: str) -> Domain:
    """Change where the domain is registered, and the notes; both are for people only."""
    actor.need("domains:write")
    domain = selectors.get_domain(actor, domain_id)
    if registrar not in registrars.REGISTRARS:
        raise Invalid.field("provider", "Choose one of the registrars offered.")
    domain.registrar, domain.notes = registrar, notes.strip()[:2000]
    domain.save(update_fields=["registrar", "notes", "updated_at"])
    record(actor, "domain.updated", domain, f"Changed what is noted about {domain}.")
    return domain


def departure_of(actor: Actor, domain_id: UUID) -> Departure:
    """What would go dark with a domain now; its zone is read at the provider.

    Nothing more while a job takes it away already.
    """
    domain = selectors.get_domain(actor, domain_id)
    known = latest_job(actor, workflow="domains.disconnect", subject_id=domain.pk)
    return Departure() if known and known.is_active else _departures.only()(domain)


def disconnect_domain(actor: Actor, domain_id: UUID, *, confirmation: str = "") -> Job:
    """Take our records (and the zone, if we made it) away, then forget the domain.

    Raises `DomainInUse`, and `ConfirmationRequired` where something goes dark.
    """
    require_may_leave(actor, selectors.get_domain(actor, domain_id))
    found = departure_of(actor, domain_id)
    require_confirmation(found.losses, digest=found.digest, given=confirmation)
    return _begin_to_leave(actor, domain_id, found)


def require_may_leave(actor: Actor, domain: Domain) -> None:
    """Raise `Forbidden`, and `DomainInUse` while something stands on the domain."""
    actor.require(ADMIN, "domains:write")
    for blocker in _blockers:
        if reason := blocker(domain):
            raise DomainInUse(reason)


@transaction.atomic
def _begin_to_leave(actor: Actor, domain_id: UUID, found: Departure) -> Job:
    domain = selectors.get_domain(actor, domain_id)
    require_may_leave(actor, domain)
    if domain.status != Domain.DELETING:
        cancel_jobs(domain.pk)
        domain.move(Domain.DELETING)
        record(actor, "domain.disconnecting", domain, f"Asked to disconnect {domain}.")
    known = latest_job(actor, workflow="domains.disconnect", subject_id=domain.pk)
    if known and known.is_active:
        return known
    told = sorted((loss.kind, loss.name) for loss in found.losses) if found.is_known else None
    domain.confirmed_losses = told
    domain.save(update_fields=["confirmed_losses", "updated_at"])
    return start_job(
        actor,
        "domains.disconnect",
        label="Disconnect the domain",
        subject_id=domain.pk,
        subject_label=str(domain),
        lock=f"domain:{domain.pk}",
    )


@transaction.atomic
def check_nameservers_now(actor: Actor, domain_id: UUID) -> Domain:
    """Look at the delegation now rather than at the next interval."""
    domain = selectors.get_domain(actor, domain_id)
    job = selectors.connecting_job(actor, domain)
    if job and job.is_active:
        check_now(job)
    elif domain.nameservers:
        queues.send("domains.tasks.look_at_delegation", str(domain.pk))
    return domain


# --- Called by states and sweeps, not by people ----------------------------------------------


@transaction.atomic
def assign_nameservers(domain: Domain, nameservers: Sequence[str]) -> None:
    """Keep the nameservers that the zone was assigned, and start to wait for the delegation."""
    domain.nameservers = list(nameservers)
    columns = ["nameservers", "updated_at"]
    # A domain that was registered here was nowhere before.
    if domain.zone_complete_at is None and Registration.objects.filter(domain=domain).exists():
        domain.zone_complete_at = timezone.now()
        columns.append("zone_complete_at")
    domain.save(update_fields=columns)
    if domain.status == Domain.PENDING:
        domain.move(Domain.PENDING_NAMESERVERS)


@transaction.atomic
def set_zone_complete(domain: Domain, *, complete: bool) -> None:
    """Note whether changing the nameservers takes nothing away that the customer wants."""
    domain.zone_complete_at = timezone.now() if complete else None
    domain.save(update_fields=["zone_complete_at", "updated_at"])


@transaction.atomic
def mark_ready(domain: Domain) -> None:
    """The domain's records have spread: it is ready for inboxes, or has them already."""
    domain.move(Domain.READY)
    for hook in _ready_hooks:
        hook(domain)


@transaction.atomic
def forget_domain(domain: Domain) -> None:
    """Delete the row, once everything outside is gone."""
    record(system(domain.tenant_id), "domain.disconnected", domain, f"Disconnected {domain}.")
    Registration.objects.filter(domain=domain).update(domain=None, credential=None)
    domain.delete()
