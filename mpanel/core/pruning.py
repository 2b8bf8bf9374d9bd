"""Deleting what is old, in many short transactions: nobody waits for a lock meanwhile."""

from django.db import transaction
from django.db.models import Model, QuerySet

from mpanel.core.periodic import Slice

ROWS = 500  # that one transaction deletes, with what hangs on them


def prune(*old: QuerySet[Model]) -> bool:
    """Delete these rows for one slice of time; True where some are left. A sweep returns that."""
    present = Slice()
    for rows in old:
        while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS]):
            with transaction.atomic():
                # Lock and check again: a row may be in use once more, such as a retried job.
                locked = rows.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk")
                old_ids = list(locked.values_list("pk", flat=True))
                rows.model._base_manager.filter(pk__in=old_ids).delete()
            if present.is_over:
                return True
    return False
