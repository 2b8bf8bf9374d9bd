"""Running the programs of PostgreSQL's release that the server has."""

import os
import shutil
import subprocess
from pathlib import Path

from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient

from mpanel.core.errors import Invalid

_INSTALLED = Path("/usr/lib/postgresql")


def command(program: str, *options: str) -> tuple[list[str], dict[str, str]]:
    """A program of PostgreSQL's with its login, and the environment that holds the password.

    Raises `Invalid` where it is not installed.
    """
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        major = int(cursor.fetchone()[0]) // 10_000
    login, environment = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
    *flags, name = login[1:]
    dbname = [] if program == "pg_restore" else [*flags, f"--dbname={name}"]
    return [_find(program, major), *options, *dbname], {**os.environ, **(environment or {})}


def run(program: str, *options: str) -> None:
    """Run one to its end. Raises `Invalid` with what it said."""
    line, environment = command(program, *options)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Invalid(f"{program}: {done.stderr.strip() or done.returncode}")


def _find(program: str, major: int) -> str:
    # The server's own release first: a newer one writes what an older server does not know.
    found = _INSTALLED / str(major) / "bin" / program
    path = str(found) if found.exists() else shutil.which(program)
    if path is None:
        raise Invalid(f"{program} is not installed: apt-get install postgresql-client.")
    return path
