"""Many rows at once, whose statements and values are made before anything is locked.

On SQLite a writer holds the lock of the whole database. Of the time of a `bulk_create` or
`bulk_update` inside a transaction, more than nine tenths go into making them in Python.
"""

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from django.db.models.sql import InsertQuery

ROWS_AT_ONCE = 200  # that one transaction updates


class PreparedRows[M: Model]:
    """Rows of one model that are not saved yet, and the statements that insert them.

    Their primary keys must be known already. `auto_now` columns say when they were prepared.
    """

    def __init__(self, rows: Sequence[M]) -> None:
        self.rows = rows
        self._statements: list[tuple[str, Sequence[Any]]] = []
        if not rows:
            return
        fields = [one for one in rows[0]._meta.concrete_fields if not one.generated]
        most = max(connection.ops.bulk_batch_size(fields, rows), 1)
        for start in range(0, len(rows), most):
            query = InsertQuery(type(rows[0]))
            some: list[Model] = [*rows[start : start + most]]
            query.insert_values(fields, some)
            self._statements += query.get_compiler(connection=connection).as_sql()

    def insert(self) -> None:
        """Insert them, in the caller's transaction. Raises what Django raises."""
        with connection.cursor() as cursor:
            for statement, values in self._statements:
                cursor.execute(statement, values)
        for row in self.rows:
            row._state.adding, row._state.db = False, connection.alias


def update_in_slices[M: Model](
    rows: Iterable[M],
    columns: Sequence[str],
    *,
    as_seen: Sequence[str] = (),
    at_once: int = ROWS_AT_ONCE,
) -> None:
    """Write these columns of the rows, so many in a transaction of its own.

    All values are prepared before the first one begins. For what may be written in part, since who
    is interrupted does it again; a row that was deleted meanwhile stays so. `as_seen`: columns,
    never null, by which a row that somebody else changed meanwhile is known: it is left as it is.
    """
    ordered = sorted(rows, key=lambda row: row.pk)  # one order for all, so that none deadlock
    if not ordered:
        return
    meta, quote = ordered[0]._meta, connection.ops.quote_name
    by_name = {field.name: field for field in meta.concrete_fields}
    fields = [by_name[name] for name in columns]
    matched = [meta.pk, *(by_name[name] for name in as_seen)]
    values = [
        [
            field.get_db_prep_save(getattr(row, field.attname), connection=connection)
            for field in (*fields, *matched)
        ]
        for row in ordered
    ]
    given = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
    where = " AND ".join(f"{quote(str(field.column))} = %s" for field in matched)
    statement = f"UPDATE {quote(meta.db_table)} SET {given} WHERE {where}"  # noqa: S608
    for some in batched(values, at_once):
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            cursor.executemany(statement, some)
