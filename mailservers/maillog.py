"""The files of a mail log, and reading on from the position that was reached in them.

A log is rotated by renaming it (`LOG.20261127-031500`, `LOG.1`, `LOG-20261127`), and perhaps
compressed later. A position is known by the first line of its file, which stays the same when the
file is renamed, copied or compressed, where an inode does not.
"""

import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol, cast

LINES_AT_ONCE = 1_000  # that one transaction counts
LONGEST_LINE = 16_384  # bytes
_TRIES = 10  # while files are renamed under our hands
# `postfix logrotate` and ours, then those of logrotate(8) with numbers and with dates.
_ROTATED = re.compile(r"(\.\d{8}-\d{6}(-\d{6})?|\.\d{1,4}|-\d{8}(-?\d{1,10})?)(\.gz)?")


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file as it was when the folder was looked at; `size` in bytes as it lies there."""

    path: Path
    inode: int
    size: int
    written: float  # seconds since the epoch

    def open(self) -> IO[bytes]:
        """Open it. Raises `Moved` when another file has its name by now."""
        try:
            if self.path.suffix == ".gz":
                return cast("IO[bytes]", gzip.open(self.path))
            file = self.path.open("rb")
        except FileNotFoundError:
            raise Moved(2, os.strerror(2), str(self.path)) from None
        if os.fstat(file.fileno()).st_ino != self.inode:
            file.close()
            raise Moved(2, os.strerror(2), str(self.path))
        return file


class Moved(OSError):
    """The log was rotated while it was looked at."""


class Position(Protocol):
    """Where reading stopped: `head` is the digest of the file's first line, empty if not known."""

    inode: int
    offset: int
    head: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines that were not read before, and the position after them.

    `is_lost` says that the file in which the position lay is gone, or was cut: reading begins anew,
    and what was written in between is not known.
    """

    lines: Sequence[str]
    inode: int
    offset: int
    head: str
    is_lost: bool = False


def files_of(log: Path) -> list[LogFile]:
    """The log with those that were rotated away, the oldest first. Raises `OSError`."""
    # The log first: if it is renamed now, its new name is left out, and opening it is refused.
    current = _file(log)
    rotated: dict[str, LogFile] = {}
    for path in sorted(log.parent.iterdir()):
        if path.name.startswith(log.name) and _ROTATED.fullmatch(path.name[len(log.name) :]):
            file = _file(path)
            # A file that is being compressed is there twice for a moment.
            if file and (current is None or file.inode != current.inode):
                rotated.setdefault(path.name.removesuffix(".gz"), file)
    found = sorted(rotated.values(), key=lambda file: (file.written, file.path.name))
    return [*found, current] if current else found


def read_on(log: Path, position: Position) -> Stretch:
    """The next lines after the position, at most `LINES_AT_ONCE`. Raises `OSError`."""
    return _again(lambda: _read_on(log, position))


def files_before(log: Path, position: Position) -> list[LogFile]:
    """The rotated files that were read to their end, none where the position is lost."""

    def look() -> list[LogFile]:
        files = files_of(log)
        at = _find(files, position)
        return files[:at] if at is not None else []

    return _again(look)


def _again[T](look: Callable[[], T]) -> T:
    for _ in range(_TRIES):
        try:
            return look()
        except Moved as error:
            moved = error
        except (EOFError, zlib.error) as error:
            raise OSError(f"A compressed file of the log is damaged: {error}") from error
    raise moved


def _read_on(log: Path, position: Position) -> Stretch:
    files = files_of(log)
    has_begun = bool(position.inode or position.offset)
    if not files or not (has_begun or files[-1].path == log):
        raise FileNotFoundError(2, os.strerror(2), str(log))
    at, offset, is_lost = _find(files, position), position.offset, False
    if at is None:
        is_lost, offset = position.offset > 0, 0
        since = position.updated_at.timestamp()
        unread = (n for n, file in enumerate(files) if file.written > since)
        at = next(unread, len(files) - 1) if is_lost else len(files) - 1
    for file in files[at:]:
        # One process writes the log, and begins the next file when it is done with the last one. So
        # a file with lines says that those before it grow no more, if it had them before we read.
        if file is not files[at] and not file.size:
            continue
        with file.open() as opened:
            opened.seek(offset)
            lines = _whole_lines(opened)
            end = opened.tell()
            if lines:
                return Stretch(lines, file.inode, end, _head(opened), is_lost)
        offset = 0
    if is_lost:  # or it would be found lost again and again
        return Stretch([], files[at].inode, 0, "", is_lost)
    return Stretch([], position.inode, position.offset, position.head)


def _find(files: Sequence[LogFile], position: Position) -> int | None:
    """Which file the position lies in."""
    # Where it was before is where it will most likely be.
    for number, file in sorted(enumerate(files), key=lambda item: item[1].inode != position.inode):
        is_same = file.inode == position.inode
        if not position.head:
            if is_same and file.size >= position.offset:
                return number
            continue
        with file.open() as opened:
            if _head(opened) != position.head:
                continue
            if opened.seek(0, os.SEEK_END) >= position.offset:
                return number
    return None


def _head(file: IO[bytes]) -> str:
    file.seek(0)
    line = file.readline(LONGEST_LINE)
    is_whole = line.endswith(b"\n") or len(line) == LONGEST_LINE
    return hashlib.sha256(line).hexdigest() if is_whole else ""


def _whole_lines(file: IO[bytes]) -> list[str]:
    """The next lines, without one that is still being written."""
    lines: list[str] = []
    while len(lines) < LINES_AT_ONCE:
        begun = file.tell()
        line = file.readline(LONGEST_LINE)
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            file.seek(begun)
            break
        lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
    return lines


def _file(path: Path) -> LogFile | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        return None
    return LogFile(path, seen.st_ino, seen.st_size, seen.st_mtime)
