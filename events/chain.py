"""The chain of a tenant's events: each hash covers the one before it and all of its own event.

Whoever changes, removes, adds or moves a sealed event breaks every hash from there on. Somebody
who rewrites the whole chain, its end included, is found by a head that was kept elsewhere.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from events.models import Chain, Event

CHUNK = 1_000
SEALED_WITHIN = timedelta(minutes=1)


def hash_of(event: Event, *, after: str) -> str:
    """SHA-256 of the hash before and the canonical JSON of the event, in hex."""
    content = {
        "id": str(event.pk),
        "seq": event.seq,
        "tenant": str(event.tenant_id),
        "user": str(event.user_id) if event.user_id else None,
        "actor_name": event.actor_name,
        "via": event.via,
        "address": event.address,
        "request_id": event.request_id,
        "action": event.action,
        "subject_type": event.subject_type,
        "subject_id": str(event.subject_id) if event.subject_id else None,
        "sentence": event.sentence,
        "changes": event.changes,
        "created_at": event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{after}\n{canonical}".encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """What a look at one chain found. `broken_at`: the first place that is off, with `why`."""

    tenant_id: UUID
    events: int
    head: str
    broken_at: int | None = None
    why: str = ""
    has_head: bool = False


def verify(tenant_id: UUID, *, head: str = "") -> Verdict:
    """Walk one tenant's chain from its first event. Memory does not grow with its length.

    `has_head` says whether `head` is the hash of an event that was found in its place.
    """
    end = Chain.objects.filter(pk=tenant_id).first() or Chain(tenant_id=tenant_id)
    seq, before, seen = 0, "", False

    def broken(at: int, why: str) -> Verdict:
        return Verdict(tenant_id, seq, before, at, why, seen)

    for event in _sealed(tenant_id, up_to=end.seq):
        if event.seq != seq + 1:
            return broken(seq + 1, "missing")
        if event.hash != hash_of(event, after=before):
            return broken(seq + 1, "changed, or inserted here")
        seq, before = event.seq, event.hash
        seen = seen or before == head
    if seq != end.seq:
        return broken(seq + 1, "missing")
    if before != end.hash:
        return broken(seq, "not the end that was sealed")
    # Asked in this order, what is sealed meanwhile does not look inserted.
    top = Event.objects.filter(tenant_id=tenant_id).aggregate(top=Max("seq"))["top"] or 0
    now = Chain.objects.filter(pk=tenant_id).values_list("seq", flat=True).first() or 0
    if top > now:
        return broken(now + 1, "inserted behind the end")
    return Verdict(tenant_id, seq, before, has_head=seen)


def _sealed(tenant_id: UUID, *, up_to: int) -> Iterator[Event]:
    """The sealed events in their order, a chunk at a time."""
    last = 0
    while last < up_to:
        rows = Event.objects.filter(tenant_id=tenant_id, seq__gt=last, seq__lte=up_to)
        chunk = list(rows.order_by("seq")[:CHUNK])
        if not chunk:
            return
        yield from chunk
        assert chunk[-1].seq is not None
        last = chunk[-1].seq


def chained_tenants() -> Iterator[UUID]:
    """Every tenant that has a chain, or sealed events without one."""
    yield from Chain.objects.order_by("pk").values_list("pk", flat=True).iterator(CHUNK)
    orphans = Event.objects.exclude(seq=None).exclude(tenant_id__in=Chain.objects.values("pk"))
    yield from orphans.order_by("tenant_id").values_list("tenant_id", flat=True).distinct()


def waiting_too_long(tenant_id: UUID | None = None) -> int:
    """How many events nobody has sealed for more than a minute."""
    rows = Event.objects.waiting().filter(created_at__lt=timezone.now() - SEALED_WITHIN)
    return (rows.filter(tenant_id=tenant_id) if tenant_id else rows).count()
