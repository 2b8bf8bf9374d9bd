"""Restoring a backup, and showing that what was restored works."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from mpanel.core.errors import Conflict, Invalid
from mpanel.core.secrets import Unsealable, sealed_fields, unseal
from mpanel.operations.backups import Unverified, all_checks
from mpanel.operations.backups import manifest as manifests
from mpanel.operations.backups.databases import counts, load
from mpanel.operations.backups.making import mail_in
from mpanel.operations.backups.manifest import DATABASES, MAIL, Manifest

# What changes by itself while the panel runs, or by migrating.
_LIVELY = ("django_migrations", "django_content_type", "auth_permission")


def restore(backup: Path, *, mail: Path | None = None, replace: bool = False) -> Iterator[str]:
    """Put back a backup's database, and its mail into the empty folder `mail`; yields sentences.

    Nothing is touched unless the backup is whole, fits this release, and its keys are here. Raises
    `Invalid`, `Conflict` and `Unverified`.
    """
    manifest = manifests.read(backup)
    _refuse_what_does_not_fit(manifest)
    if mail:
        _refuse_mail(manifest, mail)
    yield f"{backup} is whole: made {manifest.made_at} by mPanel {manifest.version}."
    load(backup / DATABASES[manifest.database], replace=replace)
    yield f"Restored the database: {sum(manifest.rows.values())} rows."
    compare_rows(manifest)
    # Newer migrations than the backup's, and the rights of the mail server's role.
    call_command("migrate", verbosity=0, interactive=False)
    if mail:
        yield from _unpack(backup / MAIL, mail)
    elif manifest.mailboxes is not None:
        yield "The mail was not restored: give --mail with an empty folder."
    yield from verify()


def verify() -> Iterator[str]:
    """Run every app's check on the database as it is. Raises `Unverified` at the end for all."""
    failed = []
    for name, check in sorted({"secrets": secrets_open, **all_checks()}.items()):
        try:
            yield from (f"{name}: {sentence}" for sentence in check())
        except Unverified as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise Unverified("\n".join(failed))


def secrets_open() -> Iterator[str]:
    """Open every sealed value. Raises `Unverified` with how many do not, and of which columns."""
    opened, closed = 0, Counter[str]()
    for model, column in sealed_fields():
        for row in model._base_manager.exclude(**{column.attname: ""}).iterator():
            value: str | None = getattr(row, column.attname)
            if value is None:
                continue
            try:
                unseal(value, row=row, column=column.binding)
            except Unsealable:
                closed[f"{model._meta.label}.{column.name}"] += 1
            else:
                opened += 1
    if closed:
        named = ", ".join(f"{number} of {name}" for name, number in sorted(closed.items()))
        raise Unverified(f"{named} do not open")
    yield f"{opened} open"


def compare_rows(manifest: Manifest) -> None:
    """Raise `Unverified` where a table has not the rows that it had."""
    now = counts()
    off = [
        f"{table} has {now.get(table, 0)} rows, not {number}"
        for table, number in sorted(manifest.rows.items())
        if table not in _LIVELY and now.get(table, 0) != number
    ]
    if off:
        raise Unverified("; ".join(off))


def _refuse_what_does_not_fit(manifest: Manifest) -> None:
    if manifest.database != connection.vendor:
        raise Invalid(
            f"The backup is of {manifest.database}, and DATABASE_URL names {connection.vendor}."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if unknown := sorted(set(manifest.migrations) - known):
        raise Invalid(
            f"The backup is of mPanel {manifest.version}, which is newer: it has {unknown[0]}. "
            "Install that release first."
        )
    ring = manifests.fingerprints()
    if missing := sorted(set(manifest.keys) - set(ring)):
        raise Invalid(
            f"ENCRYPTION_KEYS lacks {', '.join(missing)}: what these keys sealed would stay "
            "closed. Put them back from the file that was kept apart."
        )
    if other := sorted(key_id for key_id in manifest.keys if ring[key_id] != manifest.keys[key_id]):
        raise Invalid(f"The key {other[0]} is not the one that the backup was made with.")


def _refuse_mail(manifest: Manifest, mail: Path) -> None:
    if manifest.mailboxes is None:
        raise Invalid("There is no mail in this backup.")
    if mail.exists() and (not mail.is_dir() or any(mail.iterdir())):
        raise Conflict(f"{mail} is not empty. Move it away, then restore.")


def _unpack(packed: Path, mail: Path) -> Iterator[str]:
    wanted = mail_in(packed)
    mail.mkdir(parents=True, exist_ok=True, mode=0o700)
    done = subprocess.run(
        ["tar", "--extract", "--numeric-owner", "--preserve-permissions",
         f"--directory={mail}", f"--file={packed}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Invalid(f"tar: {done.stderr.strip()}")
    for name, number in wanted.items():
        found = sum(path.is_file() for path in (mail / name).rglob("*"))
        # A mail server that runs already adds its own.
        if found < number:
            raise Unverified(f"{mail / name} has {found} files, and the backup has {number}")
    yield f"Restored the mail of {len(wanted)} mailboxes, {wanted.total()} files."
