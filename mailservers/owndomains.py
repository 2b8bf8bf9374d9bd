"""The customers' domains as a file, by which rspamd knows forged mail of theirs."""

import os
import tempfile
import time
from pathlib import Path

from django.db import Error, connection

from mailservers.files import OWN_DOMAINS

EVERY = 10.0  # seconds between two looks of `follow`

# All verified domains whose mail we handle, on whichever server: each is forged at any of them.
_NAMES = "SELECT DISTINCT name FROM mail_domain ORDER BY name"


def write_own_domains(folder: Path) -> int | None:
    """Write the file below a server's folder; how many domains it has, None where it had them.

    It appears whole, so that rspamd never reads half of it. Raises `OSError` and what the database
    raises; the present file stays then.
    """
    path = folder / OWN_DOMAINS
    with connection.cursor() as cursor:
        cursor.execute(_NAMES)
        names = [name for (name,) in cursor.fetchall()]
    text = "# Written by `manage.py mailserver domains`.\n" + "".join(f"{name}\n" for name in names)
    if path.exists() and path.read_text() == text:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    Path(written.name).chmod(0o644)
    Path(written.name).replace(path)
    return len(names)


def follow(folder: Path) -> None:
    """Keep the file as the database says, for ever; while the database is away, as it last said."""
    while True:
        try:
            write_own_domains(folder)
        except Error:
            connection.close()
        time.sleep(EVERY)
