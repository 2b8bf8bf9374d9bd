"""The views by which mail servers read the database: one frozen file for each version.

A new version is a new file with all views, and a migration that lists `change(CURRENT, NEW)`.
SQLite checks views when it makes a table anew. A migration that does so with mailboxes_mailbox,
mailboxes_alias, mailboxes_maildomain, mailboxes_mailserver, domains_domain, tenants_tenant or
billing_account lists `change(CURRENT, None)` before and `change(None, CURRENT)` after. So does one
that changes the type of a column that a view names on PostgreSQL (also of dnszones_record and
dnszones_zone). Views that were made anew have lost their grants: `mailservers.role` gives them
again after each `migrate`.
"""

import re
from pathlib import Path
from typing import Any

from django.db.migrations import RunPython

CURRENT = 6

_FOLDER = Path(__file__).parent
_VIEW = re.compile(
    r"(-- only: (?P<only>\w+)\n)?(?P<text>CREATE VIEW (?P<name>\w+) AS\n.*?);\n", re.S
)


def names(version: int = CURRENT) -> tuple[str, ...]:
    """The views of a version, on a database that can have them all."""
    return tuple(found["name"] for found in _views(version))


def change(before: int | None, after: int | None) -> RunPython:
    """Replace one version of the views with another; None for no views. Reverses."""

    def forwards(apps: Any, editor: Any) -> None:
        _replace(editor, before, after)

    def backwards(apps: Any, editor: Any) -> None:
        _replace(editor, after, before)

    return RunPython(forwards, backwards)


def _replace(editor: Any, before: int | None, after: int | None) -> None:
    vendor = editor.connection.vendor
    for found in _views(before):
        if found["only"] in {None, vendor}:
            editor.execute(f"DROP VIEW {found['name']}", params=None)
    for found in _views(after):
        if found["only"] in {None, vendor}:
            editor.execute(found["text"], params=None)


def _views(version: int | None) -> list[re.Match[str]]:
    if version is None:
        return []
    return list(_VIEW.finditer((_FOLDER / f"{version:04}.sql").read_text()))
