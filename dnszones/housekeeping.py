"""Plans that nobody needs any more, and copies of zones that nobody reads, go by age."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from dnszones.models import ChangePlan
from mpanel.core.pruning import ROWS, prune

SNAPSHOTS_KEPT = timedelta(days=30)  # for a person who must undo a write by hand


def forget_old_plans() -> bool:
    """The sweep; whether some are left.

    What was applied stays, since it may be taken back, but for refreshed SPF records, which may
    not. So does what was begun and never ended: it tells which records are ours.
    """
    now = timezone.now()
    never_written = Q(
        status__in=(ChangePlan.SUPERSEDED, ChangePlan.FAILED),
        snapshot__isnull=True,
        applied_at=None,
    )
    refreshed = Q(status=ChangePlan.APPLIED, kind=ChangePlan.SPF)
    before = now - timedelta(days=settings.PLANS_KEPT)
    has_more = prune(ChangePlan.objects.filter(never_written | refreshed, updated_at__lt=before))
    # That there was one is what counts (services.our_data); its records are read by nobody.
    old = ChangePlan.objects.filter(applied_at__lt=now - SNAPSHOTS_KEPT, snapshot__isnull=False)
    ids = list(old.exclude(snapshot=[]).values_list("pk", flat=True)[:ROWS])
    ChangePlan.objects.filter(pk__in=ids).update(snapshot=[])
    return has_more or len(ids) == ROWS
