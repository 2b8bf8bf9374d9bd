"""Reading on in a mail log that is rotated, compressed, cut or out of reach."""

import gzip
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connections
from django.utils import timezone

from deliverability import bounces
from deliverability.bounces import read_log
from mailboxes.models import Mailbox
from mailservers.models import LogPosition
from mpanel.core import probes
from tests.cast import Person
from tests.deliverability.test_bounces import Log, counts, fate, removed, sender, signed
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db


@pytest.fixture
def log(tmp_path: Path, settings: LazySettings) -> Log:
    settings.MAILSIGNER_ADDRESS = "127.0.0.1:10025"
    return Log(tmp_path / "mail.log")


@pytest.fixture
def box(ada: Person) -> Mailbox:
    return estate(ada, inboxes=1).mailboxes[0]


def write(path: Path, box: Mailbox, *numbers: int) -> None:
    """A message each, which bounces."""
    with path.open("a") as file:
        for number in numbers:
            queue_id = f"4F1A2B{number:04X}"
            lines = (
                signed(queue_id),
                sender(queue_id, box.address),
                fate(queue_id, f"x{number}@far.test", "bounced", dsn="5.1.1"),
                removed(queue_id),
            )
            file.write("".join(f"{line}\n" for line in lines))


def rotated(log: Log, name: str) -> Path:
    return log.path.rename(log.path.with_name(f"mail.log{name}"))


def bounced(box: Mailbox) -> int:
    return counts(box.pk)["bounced"]


def test_a_line_that_reaches_the_old_log_after_the_new_one_is_there_counts(
    log: Log, box: Mailbox
) -> None:
    write(log.path, box, 1)
    read_log(log.path)
    old = rotated(log, ".20261127-031500")
    log.path.touch()
    read_log(log.path)
    write(old, box, 2)
    read_log(log.path)
    write(log.path, box, 3)
    read_log(log.path)
    assert bounced(box) == 3


@pytest.mark.parametrize("name", [".20261127-031500", ".1", "-20261127"])
def test_a_log_that_was_compressed_at_once_is_read_to_its_end(
    log: Log, box: Mailbox, name: str
) -> None:
    write(log.path, box, 1, 2)
    read_log(log.path)
    write(log.path, box, 3, 4)
    old = rotated(log, name)
    with gzip.open(old.with_name(f"{old.name}.gz"), "wb") as packed:
        packed.write(old.read_bytes())
    old.unlink()
    write(log.path, box, 5)
    read_log(log.path)
    assert read_log(log.path) == 0
    assert bounced(box) == 5
    assert LogPosition.objects.get().lost_at is None


def test_a_log_that_was_copied_and_cut_counts_once(log: Log, box: Mailbox) -> None:
    write(log.path, box, 1, 2)
    read_log(log.path)
    write(log.path, box, 3)
    shutil.copy2(log.path, log.path.with_name("mail.log.1"))
    os.truncate(log.path, 0)
    read_log(log.path)
    write(log.path, box, 4)
    read_log(log.path)
    assert bounced(box) == 4


def test_several_rotations_while_nobody_read_are_caught_up_with_in_order(
    log: Log, box: Mailbox
) -> None:
    write(log.path, box, 1)
    read_log(log.path)
    for day in (1, 2, 3):
        write(log.path, box, day * 10)
        old = rotated(log, f".2026112{day}-031500")
        os.utime(old, (0, old.stat().st_mtime + day))
    write(log.path, box, 50)
    # A copy that somebody keeps is not a part of the log.
    shutil.copy(old, log.path.with_name("mail.log.kept-for-support"))
    read_log(log.path)
    assert bounced(box) == 5


def test_a_lost_place_is_said_and_reading_begins_anew(
    log: Log, box: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    write(log.path, box, 1, 2)
    read_log(log.path)
    rotated(log, ".1").unlink()
    write(log.path, box, *range(3, 9))
    # The new file was given the inode of the one that is gone, and is longer.
    LogPosition.objects.update(inode=log.path.stat().st_ino)
    read_log(log.path)
    assert bounced(box) == 8
    assert "position in" in caplog.text
    assert LogPosition.objects.get().lost_at is not None
    assert probes.statuses()["maillog"] == "degraded"
    LogPosition.objects.update(lost_at=timezone.now() - bounces.LOSS_SHOWN)
    assert probes.statuses()["maillog"] == "ok"


def test_a_log_that_cannot_be_read_is_said_once_until_it_can(
    log: Log, box: Mailbox, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    folder = log.path.parent / "logs"
    settings.MAILLOG_FILE = str(folder / "mail.log")
    bounces.sweep()  # it is not there yet
    assert probes.statuses()["maillog"] == "ok"
    folder.touch()
    bounces.sweep()
    bounces.sweep()
    assert caplog.text.count("cannot be read") == 1
    assert "Not a directory" in LogPosition.objects.get().trouble
    assert probes.statuses()["maillog"] == "degraded"
    folder.unlink()
    folder.mkdir()
    write(folder / "mail.log", box, 1)
    bounces.sweep()
    assert bounced(box) == 1
    assert probes.statuses()["maillog"] == "ok"


class Watched(type(Path())):  # type: ignore[misc]
    """A path whose file is opened only while `meanwhile` can be done."""

    meanwhile: Callable[[], None]

    def open(self, *arguments: Any, **options: Any) -> Any:
        Watched.meanwhile()
        return super().open(*arguments, **options)


@pytest.mark.django_db(transaction=True)
def test_others_write_while_the_log_is_read_and_no_line_counts_twice(
    log: Log, box: Mailbox
) -> None:
    """A second reader counts the same lines while the first one has read them."""
    write(log.path, box, *range(1, 401))
    seconds: list[int] = []

    def another_reader() -> None:
        Watched.meanwhile = lambda: None
        with ThreadPoolExecutor(1) as pool:
            seconds.append(pool.submit(read_elsewhere).result())

    def read_elsewhere() -> int:
        try:
            return read_log(log.path)
        finally:
            connections.close_all()

    Watched.meanwhile = another_reader
    assert read_log(Watched(log.path)) == 0
    assert seconds == [1_600]
    assert bounced(box) == 400
