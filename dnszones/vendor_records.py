"""Records of ours beside the mail setup, such as the one by which a vendor knows a domain.

They are kept as `Record` rows of the purpose `other`: watched like all others, left alone by the
plans of mail setups, and removed when the domain is disconnected.
"""

from django.utils import timezone

from dnszones.access import zone_provider
from dnszones.models import Record, Zone
from dnszones.records import RecordData, same_value

EXTRA = "other"


def is_published(zone: Zone, data: RecordData) -> bool:
    """Whether the zone at the provider has this record, and we know it as one that we keep."""
    return _row(zone, data) is not None and _stands(zone, data)


def publish_record(zone: Zone, data: RecordData, *, reason: str) -> None:
    """Write one record, and keep it. Harmless to run twice; for workers.

    One that stood there before is kept as somebody else's, so that we never remove it. Raises
    `ProviderError`.
    """
    row = _row(zone, data)
    if row is None:
        # Noted before the call, so that a record that we wrote and then died is known as ours.
        row = Record.objects.create(
            zone=zone,
            purpose=EXTRA,
            level="optional",
            reason=reason,
            name=data.name,
            type=data.type,
            content=data.content,
            ttl=data.ttl,
            priority=data.priority,
            ours=not _stands(zone, data),
        )
    if not _stands(zone, data):
        zone_provider(zone).apply_batch(zone.remote_id, creates=[data])
    Record.objects.filter(pk=row.pk).update(next_check_at=timezone.now())


def _row(zone: Zone, data: RecordData) -> Record | None:
    rows = Record.objects.filter(zone=zone, purpose=EXTRA, name=data.name, type=data.type)
    return next((row for row in rows if same_value(row.data, data)), None)


def _stands(zone: Zone, data: RecordData) -> bool:
    provider = zone_provider(zone)
    return any(same_value(one.data, data) for one in provider.list_records(zone.remote_id))
