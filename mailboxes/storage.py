"""How full mailboxes are: asked of their servers in slices, and told before mail is refused."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.services import record
from mailboxes.models import Mailbox, MailboxQuerySet
from mailboxes.models.mailbox import ALMOST_FULL, FULL, MEGABYTE
from mailservers.models import MailDomain, MailServer
from mailservers.vendors import provider_of_domain
from mpanel.core.actor import system
from mpanel.core.bulk import update_in_slices
from mpanel.core.errors import MPanelError, ProviderError
from mpanel.core.periodic import Slice

logger = logging.getLogger(__name__)

AT_ONCE = 100  # mailboxes of one request, and domains of one look
SOON = timedelta(minutes=15)  # between two looks at a mailbox that is nearly full
RETRIED = timedelta(minutes=5)  # after which a server that did not answer is asked again
ROOMY = 80  # per cent; below it a mailbox can be told of again


def sweep() -> bool:
    """Measure what was measured too long ago, a request to each server in turn.

    For one slice, one request at least; whether more may be due. A server that does not answer
    holds up no other.
    """
    present = Slice()
    silent = Q(storage_failed_at__gte=timezone.now() - RETRIED)
    servers = deque(MailServer.objects.exclude(silent).order_by("slug"))
    while servers:
        server = servers.popleft()
        if _measure_some(server):
            servers.append(server)
        if present.is_over:
            break
    return bool(servers)


def level_after(told: int | None, percent: int) -> int | None:
    """At how many per cent people were told of a mailbox, now that it is so full.

    It falls later than it rises, so that who moves about a threshold is told once.
    """
    reached = FULL if percent >= FULL else ALMOST_FULL if percent >= ALMOST_FULL else None
    if reached and reached > (told or 0):
        return reached
    if percent < ROOMY:
        return None
    return ALMOST_FULL if told and percent < ALMOST_FULL else told


def _measure_some(server: MailServer) -> bool:
    """What one request measures of a server's mailboxes; whether more may be due there."""
    before = timezone.now() - timedelta(seconds=settings.STORAGE_INTERVAL)
    domains = _due_domains(server, before)
    boxes = _due(domains, before) if domains else _nearly_full(server)
    if not domains and not boxes:
        return False
    if boxes and not _answers(server, boxes):
        # Whatever keeps it silent, at the next try it is others' turn.
        MailDomain.objects.filter(domain__in=domains).update(storage_at=timezone.now())
        return False
    # The last domain of a whole request may have more.
    done = [one for one in domains if len(boxes) < AT_ONCE or one < boxes[-1].domain_id]
    MailDomain.objects.filter(domain__in=done).update(storage_at=timezone.now())
    return True


def _answers(server: MailServer, boxes: Sequence[Mailbox]) -> bool:
    """Measure these mailboxes, without any lock; False where their server does not tell."""
    mail = MailDomain.objects.select_related("server", "credential").filter(server=server)
    found = mail.filter(domain_id=boxes[0].domain_id).first()
    if found is None:
        return True  # it was moved or deleted just now
    try:
        meter = provider_of_domain(found).meter
        if meter is None:
            return False
        used = meter.used([box.address for box in boxes])
    except MPanelError as error:
        code = error.error_code if isinstance(error, ProviderError) else error.code
        logger.warning("sizes of mailboxes on %s: %s", server.slug, code)
        MailServer.objects.filter(pk=server.pk).update(storage_failed_at=timezone.now())
        return False
    _keep(boxes, used)
    return True


def _due_domains(server: MailServer, before: datetime) -> list[UUID]:
    """Domains of a server, those first that were never measured. Two ranges of one index.

    Also those that are not verified, whom the server does not know: they would otherwise stay the
    first for ever.
    """
    rows = MailDomain.objects.filter(server=server)
    never = rows.filter(storage_at=None).order_by()
    found = list(never.values_list("domain_id", flat=True)[:AT_ONCE])
    if not found:
        old = rows.filter(storage_at__lt=before).order_by("storage_at")
        found = list(old.values_list("domain_id", flat=True)[:AT_ONCE])
    return sorted(found)


def _known_to_server() -> MailboxQuerySet:
    """Those of verified domains: the address of another may be another customer's by now."""
    return Mailbox.objects.receiving().filter(domain__verified_at__isnull=False)


def _due(domains: Sequence[UUID], before: datetime) -> list[Mailbox]:
    due = Q(storage_at=None) | Q(storage_at__lt=before)
    found = _known_to_server().filter(due, domain__in=domains)
    return list(found.order_by("domain_id", "pk")[:AT_ONCE])


def _nearly_full(server: MailServer) -> list[Mailbox]:
    """Those that people were told of: their owners delete mail, and want to see it."""
    before = timezone.now() - min(SOON, timedelta(seconds=settings.STORAGE_INTERVAL))
    found = _known_to_server().filter(
        storage_told__isnull=False, storage_at__lt=before, domain__mail__server=server
    )
    return list(found.order_by("storage_at")[:AT_ONCE])


def _keep(boxes: Sequence[Mailbox], used: Mapping[str, int]) -> None:
    now = timezone.now()
    for box in boxes:
        # Null for one that its server does not know (yet), so that it is not asked for at once.
        box.stored_bytes, box.storage_at = used.get(box.address), now
    update_in_slices(boxes, ["stored_bytes", "storage_at"])
    for box in boxes:
        if box.stored_bytes is None:
            continue  # unknown is not empty: what people were told of stays told
        level = level_after(box.storage_told, box.storage_percent or 0)
        if level != box.storage_told:
            _move(box, level)


@transaction.atomic
def _move(box: Mailbox, level: int | None) -> None:
    """Remember the level, and tell of one that was reached. By compare-and-set: once."""
    told = box.storage_told
    moved = Mailbox.objects.filter(pk=box.pk, storage_told=told).update(storage_told=level)
    if not moved or not level or level < (told or 0):
        return
    size = f"{(box.stored_bytes or 0) // MEGABYTE:,} of {box.quota_mb:,} MB"
    if level == FULL:
        sentence = f"{box} is full ({size}). New mail is refused."
        record(system(box.tenant_id), "mailbox.full", box, sentence)
    else:
        sentence = f"{box} is {box.storage_percent} % full ({size})."
        record(system(box.tenant_id), "mailbox.almost_full", box, sentence)
