"""Removing the mail of mailboxes that were deleted long enough ago.

Dovecot's user owns the folders, so nothing in them is trusted: every step goes by an open folder,
no symbolic link is followed, and only folders named by a mailbox's id are touched.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from mailservers import accounts

_SHARD = re.compile(r"[0-9a-f]{2}")
# In a folder that belongs to no row any more: since when.
MARK = "mpanel-no-mailbox-since"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class Purged:
    """What a purge came to: mailboxes whose mail is gone, folders that wait, and what failed."""

    mailboxes: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    waiting: int = 0
    failures: list[str] = field(default_factory=list)


def folder_of(mailbox_id: UUID) -> str:
    """Where a mailbox's mail lies below the mail folder, as Dovecot's queries say it too."""
    return f"{str(mailbox_id)[-2:]}/{mailbox_id}"


def purge(vmail: Path, *, server: str, now: datetime | None = None) -> Purged:
    """Remove what is older than `settings.DELETED_MAIL_KEPT` days; twice is harmless.

    Folders whose row is gone too (their domain was removed) are marked when they are first seen,
    and removed so many days after that. Raises `OSError` where there is no such mail folder.
    """
    with _opened(vmail) as root:
        work = _Purge(root, now or timezone.now())
        work.deleted_mailboxes(server)
        work.orphans()
    return work.result


class _Purge:
    """One round over an open mail folder."""

    def __init__(self, root: int, now: datetime) -> None:
        self.root = root
        self.now = now
        self.before = now - timedelta(days=settings.DELETED_MAIL_KEPT)
        self.result = Purged()

    def deleted_mailboxes(self, server: str) -> None:
        for mailbox_id, address in accounts.known().to_purge(server, self.before):
            try:
                self.remove(mailbox_id)
            except OSError as error:
                self.result.failures.append(f"{address}: {error.strerror or error}")
                continue
            accounts.known().mark_purged(mailbox_id, self.now)
            self.result.mailboxes.append(address)

    def orphans(self) -> None:
        for shard in sorted(filter(_SHARD.fullmatch, _names(self.root))):
            with suppress(NotADirectoryError, FileNotFoundError), _opened(shard, self.root) as at:
                found = [UUID(name) for name in _names(at) if _is_id(name, shard)]
                rows = accounts.known().have_rows(found)
                for mailbox_id in found:
                    try:
                        self.tend(at, mailbox_id, has_row=mailbox_id in rows)
                    except OSError as error:
                        self.result.failures.append(f"{mailbox_id}: {error.strerror or error}")

    def tend(self, shard: int, mailbox_id: UUID, *, has_row: bool) -> None:
        """Mark a folder without a row, or remove it when its time has come."""
        with _opened(str(mailbox_id), shard) as home:
            since = _marked_since(home)
            if has_row:
                if since is not None:
                    os.unlink(MARK, dir_fd=home)
                return
            if since is None:
                since = _mark(home, self.now)
        if since > self.before.timestamp():
            self.result.waiting += 1
            return
        self.remove(mailbox_id)
        self.result.orphans.append(str(mailbox_id))

    def remove(self, mailbox_id: UUID) -> None:
        """One mailbox's folder and all in it; it may be gone already."""
        shard, _, name = folder_of(mailbox_id).partition("/")
        with suppress(FileNotFoundError), _opened(shard, self.root) as folder:
            # Itself by open folders, and it refuses a link at the top.
            shutil.rmtree(name, dir_fd=folder)


def _mark(home: int, now: datetime) -> float:
    mark = os.open(MARK, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=home)
    try:
        os.utime(mark, (now.timestamp(), now.timestamp()))
    finally:
        os.close(mark)
    return now.timestamp()


def _marked_since(home: int) -> float | None:
    try:
        mark = os.stat(MARK, dir_fd=home, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mark.st_mode):
        raise OSError(0, f"{MARK} is no file")
    return mark.st_mtime


@contextmanager
def _opened(path: str | Path, within: int | None = None) -> Iterator[int]:
    folder = os.open(path, _FOLDER, dir_fd=within)
    try:
        yield folder
    finally:
        os.close(folder)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _is_id(name: str, shard: str) -> bool:
    try:
        return str(UUID(name)) == name and name.endswith(shard)
    except ValueError:
        return False
