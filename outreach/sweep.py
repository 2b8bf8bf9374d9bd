"""The daily look at every connected mailbox's warm-up, in bulk."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import batched

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from mpanel.core.bulk import ROWS_AT_ONCE, update_in_slices
from mpanel.core.errors import MPanelError, ProviderError
from mpanel.core.periodic import Slice
from outreach import records
from outreach.models import OutreachLink, WarmupDay
from outreach.pace import RateLimiter
from outreach.providers.base import (
    KEY_REFUSED,
    RATE_LIMITED,
    SENDER_GONE,
    OutreachProvider,
    RemoteSender,
    WarmupDayCount,
)
from outreach.states import Group, groups_of
from outreach.vendors import interval_of, tools
from tenants.models import ProviderCredential

logger = logging.getLogger(__name__)

EVERY = 30.0  # seconds between two sweeps
KEYS_AT_ONCE = 5  # of each tool
MOST_PER_KEY = 200
LOST_AT_ONCE = 50  # that one transaction tells of
LOST = "The mailbox is no longer at {where}. Connect it again."


@dataclass
class Seen:
    """What a tool told about the mailboxes of one key."""

    group: Group
    vendor: "Vendor"
    was_skipped: bool = False
    senders: dict[str, RemoteSender] = field(default_factory=dict)
    days: dict[str, list[WarmupDayCount]] = field(default_factory=dict)
    asked: list[OutreachLink] = field(default_factory=list)
    error: MPanelError | None = None

    @property
    def was_cut_short(self) -> bool:
        is_over = self.error is not None or self.was_skipped
        return not is_over and len(self.asked) < len(self.group.links)


class Vendor:
    """How the calls to one tool go in this look. Its keys may be asked at once."""

    def __init__(self) -> None:
        self.failures = 0  # since the last answer

    @property
    def is_down(self) -> bool:
        """Whether so many keys got no answer that no other one is tried in this look."""
        return self.failures >= KEYS_AT_ONCE

    def note(self, error: ProviderError | None) -> None:
        """Count how a key went; what is wrong with a key says nothing about the tool."""
        is_down = error is not None and error.retryable and error.error_code != RATE_LIMITED
        self.failures = self.failures + 1 if is_down else 0


def look_at_warmup() -> bool:
    """Fetch what is due, of each tool five keys at once and each key at its pace; then write it.

    For one slice, of every key one call at least; whether more is due. A tool that does not answer
    holds up no other, and is asked again at the next look.
    """
    present = Slice()
    records.settle_changed_domains()
    seen: list[Seen] = []
    calls: list[Future[None]] = []
    with ExitStack() as stack:
        for provider in tools():
            vendor = Vendor()
            mine = [Seen(group, vendor) for group in _due(provider)]
            # The providers are built here: what follows in threads uses no database.
            opened = [one for one in mine if _opens(one)]
            pool = stack.enter_context(ThreadPoolExecutor(KEYS_AT_ONCE))
            calls += [pool.submit(_ask, one, one.group.provider, present) for one in opened]
            seen += mine
    for call in calls:
        call.result()
    for one in seen:
        _keep(one)
    return any(one.was_cut_short for one in seen)


def _due(provider: str) -> list[Group]:
    """Connections with one tool, those first that were not looked at for longest."""
    before = timezone.now() - timedelta(seconds=settings.WARMUP_INTERVAL)
    due = (
        OutreachLink.objects.filter(
            provider=provider, status=OutreachLink.CONNECTED, credential__isnull=False
        )
        .filter(Q(stats_at__lt=before) | Q(stats_at=None))
        # A key that was refused, or cannot be read, is tried again after a while. Until then its
        # connections take nobody's place.
        .exclude(credential__result=ProviderCredential.REFUSED, credential__tested_at__gte=before)
        .select_related("mailbox__domain", "credential")
        .order_by("updated_at", "pk")
    )
    links = list(due[: MOST_PER_KEY * KEYS_AT_ONCE])
    turn = {link.pk: number for number, link in enumerate(links)}
    groups = sorted(groups_of(links), key=lambda group: min(turn[link.pk] for link in group.links))
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
    if seen.vendor.is_down:
        seen.was_skipped = True
        return
    pace = RateLimiter(interval_of(provider))
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
    finally:
        seen.vendor.note(seen.error if isinstance(seen.error, ProviderError) else None)


def _keep(seen: Seen) -> None:
    """Write what was seen. `stats_at` comes last: who is interrupted looks again."""
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
        # At the next look it is the others' turn first.
        OutreachLink.objects.filter(pk__in=[link.pk for link in seen.group.links]).update(
            updated_at=timezone.now()
        )
    now = timezone.now()
    gone = [link for link in seen.asked if link.mailbox.address not in seen.senders]
    _lose(gone, SENDER_GONE, LOST.format(where=seen.group.where))
    kept = [link for link in seen.asked if link.mailbox.address in seen.senders]
    _keep_days(kept, seen.days)
    for link in kept:
        link.stats_at = link.updated_at = now
        link.reputation = seen.senders[link.mailbox.address].reputation
    update_in_slices(kept, ["stats_at", "reputation", "updated_at"])


def _keep_days(links: Sequence[OutreachLink], days: dict[str, list[WarmupDayCount]]) -> None:
    """Each day is a row; what was counted of it last is what counts."""
    columns = ("sent", "delivered", "bounced", "replied", "saved_from_spam")
    rows = [
        WarmupDay(link=link, date=day.date, **{column: getattr(day, column) for column in columns})
        for link in links
        for day in days.get(link.remote_id, [])
    ]
    for some in batched(rows, ROWS_AT_ONCE):
        WarmupDay.objects.bulk_create(
            some,
            update_conflicts=True,
            unique_fields=["link", "date"],
            update_fields=[*columns, "updated_at"],
        )


def _lose(links: Sequence[OutreachLink], code: str, message: str) -> None:
    """What was connected is so no longer: told to people, and to the domains' states."""
    for some in batched(links, LOST_AT_ONCE):
        with transaction.atomic():
            for link in some:
                records.lose(link, code, message)
            records.settle_domains(link.mailbox.domain_id for link in some)
