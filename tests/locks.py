"""What goes on while a transaction is open: on SQLite nobody else writes meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection


def is_locked() -> bool:
    """Whether this thread is in a transaction, other than the one around its test."""
    return any(not _is_of_test(block) for block in connection.atomic_blocks)


def _is_of_test(block: Any) -> bool:
    return bool(block._from_testcase)


class Calls(list[bool]):
    """For each call of something that is watched, whether it came while the database was locked."""

    def watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        """Note every call of `owner.name`, which does what it always does."""
        real = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            self.append(is_locked())
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, watched)


@contextmanager
def written_together(table: str) -> Iterator[list[int]]:
    """How many rows of a table each transaction wrote, as the block goes on."""
    counts: list[int] = []
    blocks: list[Any] = []

    def count(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        words = sql.split(None, 3)
        if words[0] in {"INSERT", "UPDATE", "DELETE"} and f'"{table}"' in " ".join(words[:3]):
            outermost = next(
                (one for one in connection.atomic_blocks if not _is_of_test(one)), None
            )
            if outermost is None or not blocks or blocks[-1] is not outermost:
                blocks.append(outermost)
                counts.append(0)
            found = execute(sql, params, many, context)
            counts[-1] += len(params) if many else max(context["cursor"].rowcount, 0)
            return found
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield counts
