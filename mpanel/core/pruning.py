"""Deleting what is old, in many short transactions: nobody waits for a lock meanwhile."""

from collections.abc import Callable, Iterator

from django.db import transaction
from django.db.models import CASCADE, Model, QuerySet

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


def rows_that_go_with(row: Model) -> list[QuerySet[Model]]:
    """The rows that a deletion of this one takes along (CASCADE), what points at others first."""
    found = list(_hanging(type(row), {"pk": row.pk}))
    models = {rows.model for rows in found}
    return sorted(found, key=lambda rows: _height(rows.model, models))


def delete_what_goes_with(row: Model, *, beat: Callable[[int], object]) -> None:
    """Delete those in short transactions, so that little is left to go with the row itself.

    For what nobody uses any more: who is interrupted goes on later. `beat` is called with the
    number of rows after each transaction; what it raises ends the work.
    """
    for rows in rows_that_go_with(row):
        while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS]):
            with transaction.atomic():
                rows.model._base_manager.filter(pk__in=ids).delete()
            beat(len(ids))


def _height(model: type[Model], among: set[type[Model]]) -> int:
    """How many of these models stand above this one, each pointing at the next, at most."""
    pointing = {relation.related_model for relation in model._meta.related_objects}
    others = among - {model}
    return 1 + max((_height(one, others) for one in others if one in pointing), default=0)


def _hanging(model: type[Model], found_by: dict[str, object]) -> Iterator[QuerySet[Model]]:
    for relation in model._meta.related_objects:
        other = relation.related_model
        is_taken = getattr(relation, "on_delete", None) is CASCADE
        if not is_taken or other is model or isinstance(other, str):
            continue
        path = {f"{relation.field.name}__{name}": value for name, value in found_by.items()}
        yield from _hanging(other, path)
        yield other._base_manager.filter(**path)
