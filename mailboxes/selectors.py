"""Reading mailboxes; an actor sees their own tenant's only."""

from collections import Counter
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from mailboxes.models import Alias, Batch, DeliveryRules, Mailbox, MailboxQuerySet
from mailservers.models import MailDomain
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound
from provisioning.models import Job
from provisioning.selectors import JobNotFound, jobs


class MailboxNotFound(NotFound):
    """There is no such mailbox in your account."""

    code = "MAILBOX_NOT_FOUND"


class AliasNotFound(NotFound):
    """There is no such alias in your account."""

    code = "ALIAS_NOT_FOUND"


class BatchNotFound(NotFound):
    """There is no such batch of mailboxes in your account."""

    code = "BATCH_NOT_FOUND"


def mailboxes(
    actor: Actor,
    *,
    search: str = "",
    status: str = "",
    domain_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> MailboxQuerySet:
    """The tenant's mailboxes, by address, with their domains."""
    actor.need("mailboxes:read")
    found = Mailbox.objects.present().filter(tenant_id=actor.tenant_id).select_related("domain")
    if search:
        found = found.filter(
            Q(address__icontains=search)
            | Q(first_name__icontains=search)
            | Q(last_name__icontains=search)
        )
    if status:
        found = found.filter(status=status)
    if domain_id:
        found = found.filter(domain_id=domain_id)
    if customer_id:
        found = found.filter(tenant__customer=customer_id)
    return found


@dataclass(frozen=True, slots=True)
class InboxRow:
    """What the list of all inboxes shows of one."""

    id: UUID
    address: str
    status: str
    created_at: datetime
    provider: str
    daily_limit: int | None
    warmup_since: date | None
    warmup_start: int
    warmup_step: int
    health_score: int | None


def inbox_rows(
    actor: Actor, *, search: str = "", status: str = "", domain_id: UUID | None = None
) -> "QuerySet[Mailbox, tuple[Any, ...]]":
    """The columns of `InboxRow` of the tenant's mailboxes, by address."""
    found = mailboxes(actor, search=search, status=status, domain_id=domain_id)
    columns = (column.name for column in fields(InboxRow))
    return found.select_related(None).values_list(*columns)


def get_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """One mailbox of the tenant. Raises `MailboxNotFound`."""
    try:
        return mailboxes(actor).get(pk=mailbox_id)
    except Mailbox.DoesNotExist:
        raise MailboxNotFound from None


def mail_domains(
    actor: Actor,
    *,
    search: str = "",
    domain_id: UUID | None = None,
    customer_id: UUID | None = None,
) -> QuerySet[MailDomain]:
    """The tenant's domains whose mail is placed, by name; `mailboxes` counts those on each."""
    actor.need("mailboxes:read")
    number = (
        Mailbox.objects.present()
        .filter(domain_id=OuterRef("domain_id"))
        .order_by()
        .values("domain_id")
        .annotate(number=Count("pk"))
        .values("number")
    )
    found = (
        MailDomain.objects.filter(tenant_id=actor.tenant_id)
        .select_related("domain", "server", "credential")
        .annotate(mailboxes=Coalesce(Subquery(number), 0))
        .order_by("domain__name", "pk")
    )
    if search:
        found = found.filter(
            Q(domain__name__icontains=search) | Q(domain__unicode_name__icontains=search)
        )
    if domain_id:
        found = found.filter(domain_id=domain_id)
    if customer_id:
        found = found.filter(tenant__customer=customer_id)
    return found


def place_of(actor: Actor, domain_id: UUID) -> MailDomain | None:
    """How a domain's mail is handled, None where nobody chose yet."""
    return mail_domains(actor, domain_id=domain_id).first()


def mailbox_called(actor: Actor, address: str, *, domain_id: UUID) -> Mailbox:
    """A domain's mailbox by its address, or by what stands before the @."""
    local_part = address.strip().lower().rpartition("@")[0] or address.strip().lower()
    try:
        return mailboxes(actor, domain_id=domain_id).get(local_part=local_part)
    except Mailbox.DoesNotExist:
        raise MailboxNotFound("This domain has no such mailbox.") from None


def aliases(
    actor: Actor,
    *,
    search: str = "",
    domain_id: UUID | None = None,
    mailbox_id: UUID | None = None,
) -> QuerySet[Alias]:
    """The tenant's aliases by address, with domain and mailbox; a catch-all comes first."""
    actor.need("mailboxes:read")
    found = Alias.objects.filter(tenant_id=actor.tenant_id).select_related("domain", "mailbox")
    if search:
        found = found.filter(Q(address__icontains=search) | Q(mailbox__address__icontains=search))
    if domain_id:
        found = found.filter(domain_id=domain_id)
    if mailbox_id:
        found = found.filter(mailbox_id=mailbox_id)
    return found


def get_alias(actor: Actor, alias_id: UUID) -> Alias:
    """One alias of the tenant. Raises `AliasNotFound`."""
    if alias := aliases(actor).filter(pk=alias_id).first():
        return alias
    raise AliasNotFound


def batches(actor: Actor, *, domain_id: UUID) -> list[Batch]:
    """The batches of a domain, newest first."""
    actor.need("mailboxes:read")
    return list(
        Batch.objects.filter(tenant_id=actor.tenant_id, domain_id=domain_id).select_related(
            "domain"
        )
    )


def get_batch(actor: Actor, batch_id: UUID) -> Batch:
    """One batch of the tenant. Raises `BatchNotFound`."""
    actor.need("mailboxes:read")
    found = Batch.objects.select_related("domain").filter(tenant_id=actor.tenant_id, pk=batch_id)
    if batch := found.first():
        return batch
    raise BatchNotFound


def batch_of_deployment(actor: Actor, deployment_id: UUID) -> Batch:
    """The batch that a job provisions. Raises `JobNotFound` where no such job does."""
    actor.need("mailboxes:read")
    batch = Batch.objects.filter(
        tenant_id=actor.tenant_id,
        pk__in=Job.objects.filter(
            tenant_id=actor.tenant_id, pk=deployment_id, workflow="mailboxes.provision"
        ).values("subject_id"),
    )
    if found := batch.first():
        return found
    raise JobNotFound


def deployment_of(actor: Actor, batch_id: UUID | None) -> UUID:
    """The id of the newest job that provisions a batch that was just begun."""
    assert batch_id is not None
    found = jobs(actor, workflow="mailboxes.provision", subject_id=batch_id)
    return found.values_list("pk", flat=True)[0]


def status_counts(
    actor: Actor,
    *,
    batch_id: UUID | None = None,
    domain_id: UUID | None = None,
    search: str = "",
) -> Counter[str]:
    """How many mailboxes are in each status; of one batch or domain only, where given."""
    found = mailboxes(actor, domain_id=domain_id, search=search).order_by()
    if batch_id:
        found = found.filter(batch_id=batch_id)
    return Counter(dict(found.values_list("status").annotate(number=Count("pk"))))


def taken_local_parts(domain_id: UUID) -> set[str]:
    """Every local part that a domain has: aliases, and mailboxes with those that were deleted.

    A role address that we made is not taken: an inbox of that name takes its place.
    """
    given = Mailbox.objects.filter(domain_id=domain_id).order_by().values_list("local_part")
    chosen = Alias.objects.filter(domain_id=domain_id).exclude(is_automatic=True)
    further = chosen.order_by().values_list("local_part")
    return {local_part for (local_part,) in given.union(further).order_by() if local_part}


def rules_of(actor: Actor, mailbox: Mailbox) -> DeliveryRules:
    """Forwarding and vacation note of a mailbox; where none were set, rules that do nothing."""
    actor.need("mailboxes:read")
    found = DeliveryRules.objects.filter(tenant_id=actor.tenant_id, mailbox=mailbox)
    return found.first() or DeliveryRules(mailbox=mailbox, tenant_id=mailbox.tenant_id)
