"""Rotating the logs of Dovecot and Postfix without losing a line that nobody has read.

`postfix logrotate` makes the new log readable for root only, and compresses the old one at once.
Here the new log has its rights before a line is in it, and only what was read is compressed.
"""

import contextlib
import grp
import gzip
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.db import Error
from django.utils import timezone

from mailservers.maillog import LogFile, files_before, files_of
from mailservers.models import LogPosition
from mpanel.core.errors import Invalid

_TRIES, _PAUSE = 100, 0.1  # until Postfix writes to the new log; seconds


def rotate(folder: Path, *, server: str, group: str = "", keep: int = 30) -> Iterator[str]:
    """Rotate the logs of the server configured in `folder`; yields what was done, in sentences.

    `group` may read Postfix' new log (mode 0640); without one it has the owner and mode of the log
    before it. `keep` files of each log stay, and all that were not read. Needs root. Raises
    `Invalid` and `OSError`; nothing is lost then, and Postfix goes on with the renamed log.
    """
    postfix = folder.absolute() / "postfix"
    log, queue = (Path(_setting(postfix, name)) for name in ("maillog_file", "queue_directory"))
    rights = _rights(log, group)
    now = timezone.localtime()
    runs = _runs("/usr/sbin/postfix", "-c", str(postfix), "status")
    if log.exists() and log.stat().st_size:
        yield f"{log} is {_rename(log, now, rights).name} now."
        if runs:
            _begin_new(postfix, log, queue)
    elif runs and any(file.path != log for file in files_of(log)):
        # The last rotation was killed before Postfix heard of it, else its first line were there:
        # Postfix still writes to the renamed log.
        _put(_make_empty(log, rights), log, rights)
        _begin_new(postfix, log, queue)
        yield f"{log} was empty. The last rotation had not ended; now it has."
    else:
        if log.exists():
            _give(log, rights)
        yield f"{log} is empty."
    read, unread = _read_and_unread(log, server)
    yield from _tidy(read, unread=unread, keep=keep)
    if unread > 1:
        yield (
            f"{unread} rotated logs were not read to their ends and stay as they are. Is"
            " `manage.py maillog --follow` running?"
        )
    yield from _rotate_dovecot(folder.absolute(), log.with_name("dovecot.log"), now, keep)


def _read_and_unread(log: Path, server: str) -> tuple[list[LogFile], int]:
    """The rotated logs that bounces were read from, and how many others there are."""
    rotated = [file for file in files_of(log) if file.path != log]
    position = None
    with contextlib.suppress(Error):  # without the database nothing is compressed
        position = LogPosition.objects.filter(name=f"{server}:{log.name}").first()
    read = files_before(log, position) if position else []
    return read, len(rotated) - len(read)


def _rename(log: Path, now: datetime, rights: tuple[int, int, int]) -> Path:
    """Rename the log, and put an empty one with the right owner and mode in its place."""
    renamed = log.with_name(f"{log.name}.{now:%Y%m%d-%H%M%S-%f}")
    made = _make_empty(log, rights)
    log.rename(renamed)
    _put(made, log, rights)
    return renamed


def _make_empty(log: Path, rights: tuple[int, int, int]) -> Path:
    """Make an empty file beside the log, with the right owner and mode."""
    mode, owner, group = rights
    number, made = tempfile.mkstemp(dir=log.parent, prefix=".")
    os.fchown(number, owner, group)
    os.fchmod(number, mode)
    os.close(number)
    return Path(made)


def _put(made: Path, log: Path, rights: tuple[int, int, int]) -> None:
    """Put the empty file where the log was, unless Postfix made one just now and writes to it."""
    try:
        os.link(made, log)
    except FileExistsError:
        _give(log, rights)
    finally:
        made.unlink()


def _give(log: Path, rights: tuple[int, int, int]) -> None:
    mode, owner, group = rights
    os.chown(log, owner, group)
    log.chmod(mode)


def _begin_new(postfix: Path, log: Path, queue: Path) -> None:
    """Have Postfix write to the new log, and see that it does."""
    # What `postfix logrotate` does, too; `postfix reload` would also look through the queue.
    os.kill(int((queue / "pid/master.pid").read_text()), signal.SIGHUP)
    for _ in range(_TRIES):
        _run("/usr/sbin/postlog", "-c", str(postfix), "-t", "postfix/rotate", "The log is rotated.")
        if log.stat().st_size:
            return
        time.sleep(_PAUSE)
    raise Invalid(f"Postfix does not write to {log}. Nothing is lost; run `postfix reload`.")


def _tidy(files: list[LogFile], *, unread: int, keep: int) -> Iterator[str]:
    """Compress what was read, and remove the oldest of it beyond `keep`."""
    surplus = max(0, min(len(files), len(files) + unread - keep))
    for file in files[:surplus]:
        file.path.unlink()
        yield f"removed {file.path.name}"
    for file in files[surplus:]:
        if file.path.suffix != ".gz":
            _compress(file.path)
            yield f"compressed {file.path.name}"


def _rotate_dovecot(folder: Path, log: Path, now: datetime, keep: int) -> Iterator[str]:
    conf = str(folder / "dovecot/dovecot.conf")
    if log.exists() and log.stat().st_size:
        yield f"{log} is {_rename(log, now, _rights(log, '')).name} now."
        if not _runs("/usr/bin/doveadm", "-c", conf, "log", "reopen"):
            yield "Dovecot does not run."
    # Dovecot's processes may still write to the last one.
    rotated = [file for file in files_of(log) if file.path != log]
    yield from _tidy(rotated[:-1], unread=1, keep=keep)


def _compress(path: Path) -> None:
    """Compress a file; it is there whole at any time, once or twice."""
    before = path.stat()
    packed = path.with_name(f"{path.name}.gz")
    with (
        path.open("rb") as text,
        tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as made,
    ):
        with gzip.open(made, "wb") as writing:
            shutil.copyfileobj(text, writing)
        made.flush()
        os.fchown(made.fileno(), before.st_uid, before.st_gid)
        os.fchmod(made.fileno(), stat.S_IMODE(before.st_mode))
        os.utime(made.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
        os.fsync(made.fileno())
    Path(made.name).replace(packed)
    path.unlink()


def _rights(log: Path, group: str) -> tuple[int, int, int]:
    """Mode, owner and group of the new log."""
    if group:
        try:
            return 0o640, 0, grp.getgrnam(group).gr_gid
        except KeyError:
            raise Invalid(f"There is no group called {group}.") from None
    if not log.exists():
        return 0o644, 0, 0
    before = log.stat()
    return stat.S_IMODE(before.st_mode), before.st_uid, before.st_gid


def _setting(postfix: Path, name: str) -> str:
    found = _run("/usr/sbin/postconf", "-c", str(postfix), "-h", name).strip()
    if not found.startswith("/"):
        raise Invalid(f"{postfix}/main.cf has no {name} that is a path.")
    return found


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Invalid(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _runs(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
