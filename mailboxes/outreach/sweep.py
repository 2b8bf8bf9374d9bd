"""The daily look at every connected mailbox's warm-up, in bulk."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from mailboxes.models import OutreachLink, WarmupDay
from mailboxes.outreach import records
from mailboxes.outreach.pace import Pace
from mailboxes.outreach.states import Group, groups_of
from mailboxes.outreach.vendors import interval_of
from mailboxes.providers.outreach import (
    KEY_REFUSED,
    SENDER_GONE,
    OutreachProvider,
    RemoteSender,
    WarmupDayCount,
)
from mpanel.core.errors import MPanelError, ProviderError
from mpanel.core.periodic import Slice
from tenants.models import ProviderCredential

logger = logging.getLogger(__name__)

EVERY = 30.0  # seconds between two sweeps
KEYS_AT_ONCE = 5
MOST_PER_KEY = 200
LOST = "The mailbox is no longer at {where}. Connect it again."


@dataclass
class Seen:
    """What a tool told about the mailboxes of one key."""

    group: Group
    senders: dict[str, RemoteSender] = field(default_factory=dict)
    days: dict[str, list[WarmupDayCount]] = field(default_factory=dict)
    asked: list[OutreachLink] = field(default_factory=list)
    error: MPanelError | None = None

    @property
    def was_cut_short(self) -> bool:
        return self.error is None and len(self.asked) < len(self.group.links)


def look_at_warmup() -> bool:
    """Fetch what is due, five keys at once and each key at its pace; then write all of it.

    For one slice, of every key one call at least; whether more is due.
    """
    present = Slice()
    records.settle_changed_domains()
    groups = _due()
    if not groups:
        return False
    # The providers are built here: what follows in threads uses no database.
    seen = [Seen(group) for group in groups]
    opened = [one for one in seen if _opens(one)]
    with ThreadPoolExecutor(KEYS_AT_ONCE) as pool:
        list(pool.map(lambda one: _ask(one, one.group.provider, present), opened))
    for one in seen:
        _keep(one)
    return any(one.was_cut_short for one in seen)


def _due() -> list[Group]:
    before = timezone.now() - timedelta(seconds=settings.WARMUP_INTERVAL)
    due = (
        OutreachLink.objects.filter(status=OutreachLink.CONNECTED, credential__isnull=False)
        .filter(Q(stats_at__lt=before) | Q(stats_at=None))
        # A key that was refused, or cannot be read, is tried again after a while. Until then its
        # connections take nobody's place.
        .exclude(credential__result=ProviderCredential.REFUSED, credential__tested_at__gte=before)
        .select_related("mailbox__domain", "credential")
        .order_by(F("stats_at").asc(nulls_first=True), "pk")
    )
    groups = groups_of(list(due[: MOST_PER_KEY * KEYS_AT_ONCE]))
    return [Group(group.links[:MOST_PER_KEY], group.credential) for group in groups]


def _opens(seen: Seen) -> bool:
    """Build the provider. A key that cannot be read, or was taken away, holds up no other."""
    try:
        _ = seen.group.provider
    except MPanelError as error:
        seen.error = error
    return seen.error is None


def _ask(seen: Seen, provider: OutreachProvider, present: Slice) -> None:
    """One key's mailboxes, one call after the other. Nothing is raised."""
    pace = Pace(interval_of(provider))
    try:
        pace.wait()
        seen.senders = provider.find_senders([link.mailbox.address for link in seen.group.links])
        for start in range(0, len(seen.group.links), provider.days_at_once):
            batch = seen.group.links[start : start + provider.days_at_once]
            there = [link for link in batch if link.mailbox.address in seen.senders]
            if there:
                if seen.asked and present.is_over:
                    return
                pace.wait()
                seen.days |= provider.warmup_days([link.remote_id for link in there])
            seen.asked += batch
    except ProviderError as error:
        seen.error = error


@transaction.atomic
def _keep(seen: Seen) -> None:
    now = timezone.now()
    links = seen.asked
    if seen.error:
        code = seen.error.error_code if isinstance(seen.error, ProviderError) else seen.error.code
        logger.warning("warm-up of %s: %s", seen.group.credential.pk, code)
        if not isinstance(seen.error, ProviderError):
            records.refuse_key(seen.group.credential, seen.error.message)
            return
        if code == KEY_REFUSED:
            _lose(seen.group.links, KEY_REFUSED, seen.error.message)
            records.refuse_key(seen.group.credential, seen.error.message)
            return
    gone = [link for link in links if link.mailbox.address not in seen.senders]
    _lose(gone, SENDER_GONE, LOST.format(where=seen.group.where))
    kept = [link for link in links if link not in gone]
    _keep_days(kept, seen.days)
    for link in kept:
        link.stats_at = now
        link.reputation = seen.senders[link.mailbox.address].reputation
    OutreachLink.objects.bulk_update(kept, ["stats_at", "reputation"], batch_size=200)


def _keep_days(links: Sequence[OutreachLink], days: dict[str, list[WarmupDayCount]]) -> None:
    """Each day is a row; what was counted of it last is what counts."""
    columns = ("sent", "delivered", "bounced", "replied", "saved_from_spam")
    rows = [
        WarmupDay(link=link, date=day.date, **{column: getattr(day, column) for column in columns})
        for link in links
        for day in days.get(link.remote_id, [])
    ]
    WarmupDay.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["link", "date"],
        update_fields=[*columns, "updated_at"],
    )


def _lose(links: Sequence[OutreachLink], code: str, message: str) -> None:
    """What was connected is so no longer: told to people, and to the domains' states."""
    for link in links:
        records.lose(link, code, message)
    if links:
        records.settle_domains(link.mailbox.domain_id for link in links)
