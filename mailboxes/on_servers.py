"""What mail servers are told of mailboxes (`mailservers.accounts`).

Flat at a million mailboxes: tests/mailserver/test_plans.py looks at the plans of the statements.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from domains.models import Domain
from mailboxes.models import Mailbox, OutsideSender
from mailservers.models import MailServer


def are_of_others(domains: Collection[str], login: str) -> bool:
    """Whether one of these domains, or one above it, is verified here for another tenant."""
    labels = [name.split(".") for name in domains]
    names = {".".join(one[start:]) for one in labels for start in range(len(one) - 1)}
    own = Mailbox.objects.present().filter(address=login, domain__verified_at__isnull=False)
    verified = Domain.objects.filter(name__in=names, verified_at__isnull=False)
    return verified.exclude(tenant__in=own.values("tenant")).exists()


def may_write_as_outsider(login: str) -> bool:
    """Whether this login may name authors of domains that nobody here has."""
    if settings.MAIL_OUTSIDE_FROM != "chosen":
        return bool(settings.MAIL_OUTSIDE_FROM == "all")
    given = OutsideSender.objects.filter(tenant=OuterRef("tenant")).filter(
        Q(mailbox=None) | Q(mailbox=OuterRef("pk"))
    )
    mailboxes = Mailbox.objects.present().filter(address=login, domain__verified_at__isnull=False)
    return mailboxes.filter(Exists(given)).exists()


def to_purge(server: str, before: datetime) -> list[tuple[UUID, str]]:
    """Mailboxes on a server (its slug) that were deleted before, with their addresses."""
    here = Q(domain__mail__server__slug=server)
    if server == MailServer.HOUSE:
        here |= Q(domain__mail__isnull=True)
    due = Mailbox.objects.filter(
        here,
        provider="mailserver",
        status=Mailbox.DELETED,
        deleted_at__lte=before,
        mail_purged_at=None,
    )
    return list(due.order_by("pk").values_list("pk", "address"))


def mark_purged(mailbox_id: UUID, at: datetime) -> None:
    """Their mail is gone."""
    Mailbox.objects.filter(pk=mailbox_id).update(mail_purged_at=at)


def have_rows(mailbox_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these that have a row, of whatever status."""
    return set(Mailbox.objects.filter(pk__in=list(mailbox_ids)).values_list("pk", flat=True))
