"""Locks on a name, for a rule about rows that are not there yet."""

from django.db import connection


def advisory_lock(name: str) -> None:
    """Keep this name until the caller's transaction ends; whoever else wants it waits.

    SQLite's transactions are immediate (one writer), so there the transaction itself is the lock.
    """
    assert connection.in_atomic_block
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
