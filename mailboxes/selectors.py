"""Reading mailboxes; an actor sees their own tenant's only."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from mailboxes.models import Batch, Mailbox, MailboxQuerySet
from mpanel.core.actor import Actor
from mpanel.core.errors import NotFound
from provisioning.models import Job
from provisioning.selectors import JobNotFound, jobs


class MailboxNotFound(NotFound):
    """There is no such mailbox in your account."""

    code = "MAILBOX_NOT_FOUND"


class BatchNotFound(NotFound):
    """There is no such batch of mailboxes in your account."""

    code = "BATCH_NOT_FOUND"


def mailboxes(
    actor: Actor, *, search: str = "", status: str = "", domain_id: UUID | None = None
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
    return found


@dataclass(frozen=True, slots=True)
class InboxRow:
    """What the list of all inboxes shows of one."""

    id: UUID
    address: str
    status: str
    created_at: datetime


def inbox_rows(
    actor: Actor, *, search: str = "", status: str = "", domain_id: UUID | None = None
) -> list[InboxRow]:
    """All of the tenant's mailboxes by address, in one query of four columns."""
    found = mailboxes(actor, search=search, status=status, domain_id=domain_id)
    columns = found.select_related(None).values_list("pk", "address", "status", "created_at")
    return [InboxRow(*row) for row in columns]


def get_mailbox(actor: Actor, mailbox_id: UUID) -> Mailbox:
    """One mailbox of the tenant. Raises `MailboxNotFound`."""
    try:
        return mailboxes(actor).get(pk=mailbox_id)
    except Mailbox.DoesNotExist:
        raise MailboxNotFound from None


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
    """Every local part that was ever given on a domain, deleted ones included."""
    return set(Mailbox.objects.filter(domain_id=domain_id).values_list("local_part", flat=True))
