"""How public DNS stands for us, as `/api/status` tells it."""

from datetime import timedelta

from django.utils import timezone

from dnszones.models import Record
from mpanel.core.probes import DEGRADED, DOWN, OK

LOOKED_WITHIN = timedelta(minutes=10)
SAMPLE = 100


def dns() -> str:
    """From the last looks at records: whether their nameservers answered us."""
    now = timezone.now()
    # What was looked at just now is looked at again soon: the index on the next look finds it.
    sample = (
        Record.objects.filter(next_check_at__gt=now, checked_at__gt=now - LOOKED_WITHIN)
        .order_by("next_check_at")
        .only("own")[:SAMPLE]
    )
    verdicts = [record.verdict for record in sample]
    silent = verdicts.count("unknown")
    if not silent:
        return OK
    return DOWN if silent == len(verdicts) else DEGRADED
