"""Moving every sealed value to the key that seals now, while the installation runs.

What a value is sealed with stands in the value, so nothing has to be remembered: a run that was
stopped goes on where it was, and a row that somebody changes meanwhile was sealed anew by that.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Model, Q, QuerySet

from mpanel.core.secrets import (
    SealedField,
    Unsealable,
    front_key_id,
    key_ids,
    prefix_of,
    seal,
    sealed_fields,
    unseal,
)

SLICE = 100  # rows that one transaction writes


@dataclass
class Progress:
    """How far the values of one column are. `unreadable`: ids of rows whose value does not open."""

    where: str
    total: int
    resealed: int = 0
    unreadable: list[str] = field(default_factory=list)


def reseal(tell: Callable[[Progress], None] = lambda _: None) -> list[Progress]:
    """Seal with the front key what another one sealed; `tell` is called after each slice.

    A value that does not open is left as it is and counted.
    """
    done = []
    for model, column in sealed_fields():
        rows = _left(model, column)
        progress = Progress(f"{model._meta.label}.{column.name}", rows.count())
        done.append(progress)
        last = None
        while chunk := list((rows.filter(pk__gt=last) if last else rows).order_by("pk")[:SLICE]):
            last = chunk[-1].pk
            _reseal(chunk, column, progress)
            tell(progress)
    return done


def _reseal(chunk: list[Model], column: SealedField, progress: Progress) -> None:
    """One slice: all is computed before the database is locked for a moment."""
    fresh: list[tuple[Model, str, str]] = []
    for row in chunk:
        old: str = getattr(row, column.attname)
        try:
            plain = unseal(old, row=row, column=column.binding)
        except Unsealable:
            progress.unreadable.append(str(row.pk))
        else:
            fresh.append((row, old, seal(plain, row=row, column=column.binding)))
    with transaction.atomic():
        for row, old, new in fresh:
            # Whoever changed it meanwhile is right.
            same = type(row)._base_manager.filter(pk=row.pk, **{column.attname: old})
            progress.resealed += same.update(**{column.attname: new})


def values_by_key() -> dict[str, Counter[str]]:
    """How many values each key of the ring sealed, by key and column; "" for keys not in the ring.

    A key without values is there with none.
    """
    found: dict[str, Counter[str]] = {key_id: Counter() for key_id in ["", *key_ids()]}
    for model, column in sealed_fields():
        sealed = model._base_manager.exclude(**{column.attname: ""})
        strange = sealed.count()
        for key_id in key_ids():
            mine = sealed.filter(**{f"{column.attname}__startswith": prefix_of(key_id)}).count()
            strange -= mine
            if mine:
                found[key_id][f"{model._meta.label}.{column.name}"] = mine
        if strange > 0:
            found[""][f"{model._meta.label}.{column.name}"] = strange
    return found


def _left(model: type[Model], column: SealedField) -> QuerySet[Model]:
    """The rows whose value another key than the front one sealed, with what opening it needs."""
    is_done = Q(**{f"{column.attname}__startswith": prefix_of(front_key_id())})
    left = model._base_manager.exclude(is_done).exclude(**{column.attname: ""})
    return left.only("pk", column.attname)
