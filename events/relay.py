"""The relay: seals events into their chains, and makes what follows from them.

Seal, notifications and deliveries are one transaction, so a relay that dies leaves either all of
it or nothing, and the next one begins where it stood. An event that is committed late, with an
older id, is sealed late: the order of sealing is what counts. The number of queries does not grow
with the number of events of a round.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone

from events import kinds, recipients
from events.chain import hash_of
from events.models import (
    Chain,
    Event,
    Notification,
    Preference,
    WebhookDelivery,
    WebhookEndpoint,
)
from mpanel.core import periodic
from mpanel.core.addresses import receives_mail
from mpanel.core.periodic import Slice

logger = logging.getLogger(__name__)

ROUND = 100  # events: on SQLite nobody else writes while one is sealed and passed on
# What waited longer for its seal, such as events older than this app's chains, is no news.
NEWS_FOR = timedelta(days=7)


def relay() -> bool:
    """Seal what waits, and pass it on, for one slice; whether more waits."""
    present = Slice()
    while relay_round() == ROUND:
        if present.is_over:
            return True
    return False


def relay_round() -> int:
    """Seal and pass on one round. How many events."""
    tenants = list(Event.objects.waiting().order_by().values_list("tenant_id").distinct()[:ROUND])
    if not tenants:
        return 0
    with transaction.atomic():
        events = _seal([tenant_id for (tenant_id,) in tenants])
        fresh = timezone.now() - NEWS_FOR
        news = [event for event in events if event.created_at > fresh]
        if _notify(news):
            periodic.start("events.mails")
        if _address(news):
            # By the clock's own name, so that only one runner at a time is busy with it.
            periodic.start("events.deliveries")
    return len(events)


def _seal(tenant_ids: Sequence[UUID]) -> list[Event]:
    """Give the waiting events of these tenants their places, under a lock on each chain."""
    Chain.objects.bulk_create([Chain(pk=one) for one in tenant_ids], ignore_conflicts=True)
    locked = Chain.objects.select_for_update().filter(pk__in=tenant_ids).order_by("pk")
    chains = {chain.pk: chain for chain in locked}
    # Read under the lock: another relay may have sealed some meanwhile.
    events = list(Event.objects.waiting().filter(tenant_id__in=chains).order_by("id")[:ROUND])
    for event in events:
        chain = chains[event.tenant_id]
        chain.seq += 1
        event.seq = chain.seq
        event.hash = chain.hash = hash_of(event, after=chain.hash)
    # Events refuse changes; their seal is the one that is allowed.
    plain: models.QuerySet[Event] = models.QuerySet(Event)
    plain.bulk_update(events, ["seq", "hash"])
    moved = {event.tenant_id for event in events}
    Chain.objects.bulk_update([chains[one] for one in sorted(moved)], ["seq", "hash"])
    return events


def _notify(events: Sequence[Event]) -> bool:
    """Tell the members of each event's tenant, as they wish. Whether anybody wants mail."""
    news = [(event, kind) for event in events for kind in kinds.kinds_of(event.action)]
    if not news:
        return False
    tenant_ids = {event.tenant_id for event, _ in news}
    members = recipients.members_of(tenant_ids)
    preferences = {
        (preference.tenant_id, preference.user_id, preference.kind): preference
        for preference in Preference.objects.filter(tenant_id__in=tenant_ids)
    }
    rows = []
    for event, kind in news:
        title, link = _text(event, kind)
        for member in members[event.tenant_id]:
            preference = preferences.get((event.tenant_id, member.user_id, kind.key))
            in_app = preference.in_app if preference else True
            by_mail = preference.email if preference else kind.default_email
            by_mail = by_mail and receives_mail(member.email)
            if (in_app or by_mail) and kind.is_for(member, event):
                rows.append(
                    Notification(
                        tenant_id=event.tenant_id,
                        user_id=member.user_id,
                        event=event,
                        kind=kind.key,
                        title=title[:200],
                        text=event.sentence,
                        link=link[:500],
                        in_app=in_app,
                        by_mail=by_mail,
                    )
                )
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    return any(row.by_mail for row in rows)


def _text(event: Event, kind: kinds.Kind) -> tuple[str, str]:
    """Title and link. An app's slip in them must not keep every later event from its seal."""
    try:
        return kind.title_of(event), kind.link(event)
    except Exception:  # a process's edge
        logger.exception("the notification %s of event %s", kind.key, event.pk)
        return kind.label, ""


def _address(events: Sequence[Event]) -> bool:
    """Write a delivery for each endpoint that wants an event. Whether there is any."""
    by_tenant = {
        tenant_id: list(group)
        for tenant_id, group in groupby(
            sorted(events, key=lambda event: event.tenant_id), key=lambda event: event.tenant_id
        )
    }
    endpoints = WebhookEndpoint.objects.filter(tenant_id__in=by_tenant, enabled=True)
    rows = [
        WebhookDelivery(endpoint=endpoint, event=event)
        for endpoint in endpoints
        for event in by_tenant[endpoint.tenant_id]
        # What happened before it was there, it is not told.
        if event.created_at >= endpoint.created_at and endpoint.wants(event)
    ]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    return bool(rows)
