"""The database into a file and back, on PostgreSQL and on SQLite."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from django.db import connection, transaction

from mpanel.core.errors import Conflict, Invalid
from mpanel.operations.backups import programs

# A newer pg_restore says this to servers that do not know it.
_UNKNOWN_BEFORE_17 = re.compile(rb"^SET transaction_timeout = 0;$", re.MULTILINE)
_HEAD = 65_536
_EMPTY = b"DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n"


@contextmanager
def dumped(path: Path) -> Iterator[tuple[dict[str, int], list[str]]]:
    """Write the database to a file; how many rows its tables have in it, and its migrations.

    Others may write meanwhile: all is of one moment. Raises `Invalid`.
    """
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(_file())) as live, closing(sqlite3.connect(path)) as copy:
            live.backup(copy)  # in one step, so of one moment
            tables = copy.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
            counted = {
                name: copy.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                for (name,) in tables.fetchall()
            }
            applied = copy.execute("SELECT app, name FROM django_migrations").fetchall()
        yield counted, [f"{app}.{name}" for app, name in applied]
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
        programs.run(
            "pg_dump", "--format=custom", "--no-owner", "--no-privileges",
            f"--snapshot={snapshot}", f"--file={path}",
        )  # fmt: skip
        yield counts(), migrations()


def counts() -> dict[str, int]:
    """How many rows each table has."""
    found = {}
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(name)}")  # noqa: S608
            found[name] = int(cursor.fetchone()[0])
    return found


def migrations() -> list[str]:
    """The migrations that were applied, as "app.name"."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        return [f"{app}.{name}" for app, name in cursor.fetchall()]


def is_empty() -> bool:
    """Whether the database has no table yet."""
    return not connection.introspection.table_names()


def load(path: Path, *, replace: bool) -> None:
    """Put a dump into the database, all or nothing.

    Raises `Conflict` where there is something already and `replace` was not asked for, and
    `Invalid` when it fails; then the database is as it was.
    """
    if not is_empty() and not replace:
        raise Conflict(
            f"The database {connection.settings_dict['NAME']} is not empty. Give --replace to "
            "remove all that is in it."
        )
    if connection.vendor == "sqlite":
        connection.close()
        with closing(sqlite3.connect(path)) as copy, closing(sqlite3.connect(_file())) as live:
            copy.backup(live)  # one transaction
            live.execute("PRAGMA journal_mode=WAL")
        return
    connection.close()
    _load_postgresql(path, replace=replace)


def _load_postgresql(path: Path, *, replace: bool) -> None:
    reading = ["--no-owner", "--no-privileges", "--exit-on-error", "--file=-", str(path)]
    line, environment = programs.command("pg_restore", *reading)
    writing = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    psql_line, _ = programs.command("psql", *writing)
    connection.close()  # it would stand in the way of dropping
    with (
        subprocess.Popen(
            psql_line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as psql,
        subprocess.Popen(
            line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as restoring,
    ):  # fmt: skip
        assert psql.stdin
        assert psql.stderr
        assert restoring.stdout
        assert restoring.stderr
        try:
            # Whoever still works with the database must not be waited for without end.
            psql.stdin.write(b"SET lock_timeout = '10s';\n" + (_EMPTY if replace else b""))
            _pass_on(restoring.stdout, psql.stdin)
        except BrokenPipeError:
            restoring.kill()
            raise Invalid(f"psql: {psql.stderr.read().decode().strip()}") from None
        if restoring.wait():
            psql.kill()  # the end of its input would commit
            raise Invalid(f"pg_restore: {restoring.stderr.read().decode().strip()}")
        psql.stdin.close()
        said = psql.stderr.read().decode().strip()
        psql.stdin = None
        if psql.wait():
            raise Invalid(f"psql: {said}")


def _pass_on(source: IO[bytes], target: IO[bytes]) -> None:
    head = source.read(_HEAD)
    target.write(_UNKNOWN_BEFORE_17.sub(b"", head))
    shutil.copyfileobj(source, target)
    target.flush()


def _file() -> Path:
    return Path(connection.settings_dict["NAME"])
