"""Many rows at once, whose INSERT statements are written before anything is locked.

On SQLite whoever writes holds the lock of the whole database. Of the time of a `bulk_create` inside
a transaction, more than nine tenths go into making rows and statements in Python.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Model
from django.db.models.sql import InsertQuery


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
