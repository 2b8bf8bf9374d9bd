"""Making a backup: written under another name, and renamed when all of it is on the disk."""

import fcntl
import os
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from mpanel.core.errors import Conflict, Invalid
from mpanel.operations.backups import manifest as manifests
from mpanel.operations.backups.databases import dumped
from mpanel.operations.backups.manifest import DATABASES, MAIL, MAIL_LIST, Manifest

_PREFIX, _PARTIAL = "mpanel-", ".partial"
_FILE_CHANGED = 1  # what tar ends with where mail came or went while it read


def make(to: Path, *, mail: Path | None = None, keep: int = 0) -> Path:
    """Back up the database, and the mail below `mail`; the new backup's folder.

    `keep` whole backups stay, 0 for all. Raises `Invalid`, `Conflict` and `OSError`; then there is
    no new backup, and the old ones stay.
    """
    if mail and not mail.is_dir():
        raise Invalid(f"{mail} is no folder.")
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = timezone.now()
    name = f"{_PREFIX}{now:%Y%m%d-%H%M%S-%f}"
    with _alone(to):
        for left in to.glob(f"{_PREFIX}*{_PARTIAL}"):  # of a run that was killed
            shutil.rmtree(left)
        work = to / (name + _PARTIAL)
        work.mkdir(mode=0o700)
        try:
            with dumped(work / DATABASES[connection.vendor]) as (rows, migrations):
                mailboxes = _pack_mail(mail, work) if mail else None
            _finish(work, Manifest(
                version=settings.VERSION, made_at=now.isoformat(timespec="seconds"),
                database=connection.vendor, rows=rows, migrations=sorted(migrations),
                keys=manifests.fingerprints(), mailboxes=mailboxes,
                files={
                    path.name: [manifests.checksum_of(path), path.stat().st_size]
                    for path in sorted(work.iterdir())
                },
            ))  # fmt: skip
            work.rename(to / name)
            _sync(to)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        for old in whole_backups(to)[: -keep or None] if keep else []:
            shutil.rmtree(old)
    return to / name


def whole_backups(folder: Path) -> list[Path]:
    """The finished backups in a folder, the oldest first."""
    return sorted(
        path
        for path in folder.glob(f"{_PREFIX}*")
        if path.suffix != _PARTIAL and (path / manifests.NAME).is_file()
    )


def refuse_keys_within(folder: Path, backups: Path) -> None:
    """Raise `Invalid` for a folder for keys that is the backups' own, or in it."""
    folder, backups = folder.resolve(), backups.resolve()
    if folder == backups or backups in folder.parents:
        raise Invalid("Keep the keys apart: whoever has them and a backup can read all secrets.")


def write_keys(folder: Path, backup: Path) -> Path:
    """Write the key ring and `SECRET_KEY` to a file of their own, as lines of an environment."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{backup.name}.keys"
    lines = (
        f"ENCRYPTION_KEYS={','.join(settings.ENCRYPTION_KEYS)}\n",
        f"SECRET_KEY={settings.SECRET_KEY}\n",
    )
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(number)
    _sync(folder)
    return path


def _pack_mail(mail: Path, work: Path) -> int:
    """The mail as it lies, and a list of how many files of each mailbox are in it."""
    packed = work / MAIL
    done = subprocess.run(
        ["tar", "--create", "--numeric-owner", f"--directory={mail}", f"--file={packed}",
         "--warning=no-file-changed", "--warning=no-file-removed", "."],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in {0, _FILE_CHANGED}:
        raise Invalid(f"tar: {done.stderr.strip()}")
    found = mail_in(packed)
    lines = (f"{number}\t{name}\n" for name, number in sorted(found.items()))
    (work / MAIL_LIST).write_text("".join(lines))
    return len(found)


def mail_in(packed: Path) -> Counter[str]:
    """How many files each mailbox has in an archive, by its folder (`xx/<id>`)."""
    found: Counter[str] = Counter()
    with tarfile.open(packed, "r:") as archive:
        for entry in archive:
            parts = Path(entry.name).parts
            if entry.isfile() and len(parts) > 2:
                found["/".join(parts[:2])] += 1
    return found


def _finish(work: Path, manifest: Manifest) -> None:
    """Everything to the disk; the manifest is the last."""
    for path in work.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    with (work / manifests.NAME).open("w") as file:
        file.write(manifest.text())
        file.flush()
        os.fsync(file.fileno())
    _sync(work)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one backup is made in a folder at a time. Raises `Conflict`."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Another backup to {folder} is being made.") from None
        yield
