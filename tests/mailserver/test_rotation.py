"""`manage.py mailserver rotate` on the real Postfix, while mail bounces."""

import grp
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connection

from deliverability.bounces import read_log
from deliverability.models import SendingDay
from mailboxes.models import Mailbox
from mailservers.models import LogPosition
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer, manage
from tests.mailserver.rooms import PASSWORD, inbox
from tests.processes import Process, eventually
from tests.programs import run

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

MESSAGES, RECIPIENTS, ROTATIONS = 60, 2, 3
GROUP = "mail"  # Debian makes it on every machine


@contextmanager
def as_worker() -> Iterator[None]:
    """As a process that is not root, in the group that may read the log."""
    os.setegid(grp.getgrnam(GROUP).gr_gid)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def outside_refuses(server: PrivateMailServer) -> Iterator[None]:
    """Until the end of the block, mail to outside goes to a server that knows nobody."""
    postfix = str(server.folder / "postfix")
    lmtp = server.folder / "run/mpanel-lmtp"
    run("/usr/sbin/postconf", "-c", postfix, "-e", f"default_transport = lmtp:unix:{lmtp}")
    server.restart_postfix()
    try:
        yield
    finally:
        server.configure()
        server.restart_postfix()


def send(server: PrivateMailServer, mailbox: Mailbox, sent: list[int]) -> None:
    """Messages to outside, of which every recipient bounces."""
    try:
        for number in range(MESSAGES):
            to = [f"r{number}-{n}@outside.test" for n in range(RECIPIENTS)]
            with server.submission(mailbox.address, PASSWORD) as client:
                client.sendmail(mailbox.address, to, f"Subject: {number}\r\n\r\nHello.\r\n")
            sent.append(number)
    finally:
        connection.close()


def bounced(mailbox: Mailbox) -> int:
    return sum(SendingDay.objects.filter(subject_id=mailbox.pk).values_list("bounced", flat=True))


def is_sent(sent: list[int], wanted: int) -> bool:
    return len(sent) >= wanted


def is_read(server: PrivateMailServer) -> bool:
    """Whether the log was read to its end."""
    place, log = LogPosition.objects.first(), server.log.stat()
    return place is not None and (place.inode, place.offset) == (log.st_ino, log.st_size)


def log_a_line(server: PrivateMailServer) -> None:
    """Have Postfix write to its log, so that its postlogd lives, which ends after 100 idle seconds.

    The next one would make a new file.
    """
    run("/usr/sbin/postlog", "-c", str(server.folder / "postfix"), "-t", "test", "A line.")
    eventually(lambda: "A line." in server.said)


def rotate(server: PrivateMailServer, *options: str) -> str:
    return manage("rotate", f"--dir={server.folder}", f"--group={GROUP}", *options)


def test_rotation_in_the_middle_of_bounces_loses_none_and_counts_none_twice(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    mailbox = inbox(ada, "ada@ada.test")
    sent: list[int] = []
    sending = threading.Thread(target=send, args=(mail_server, mailbox, sent))
    with (
        outside_refuses(mail_server),
        Process("maillog", f"--file={mail_server.log}", "--follow"),
    ):
        eventually(lambda: is_read(mail_server), why=mail_server.complaints)
        sending.start()
        said = []
        for rotation in range(1, ROTATIONS + 1):
            wanted = rotation * MESSAGES // (ROTATIONS + 1)
            has_begun = partial(is_sent, sent, wanted)
            eventually(has_begun, why=mail_server.complaints)
            before = {path.name for path in mail_server.log.parent.glob("postfix.log.*")}
            said.append(rotate(mail_server))
            after = {path.name for path in mail_server.log.parent.glob("postfix.log.*")}
            assert after - before, said
        sending.join()
        assert len(sent) == MESSAGES
        eventually(
            lambda: bounced(mailbox) >= MESSAGES * RECIPIENTS,
            why=mail_server.complaints,
        )
        eventually(lambda: is_read(mail_server), why=mail_server.complaints)
    assert bounced(mailbox) == MESSAGES * RECIPIENTS
    assert LogPosition.objects.get().lost_at is None
    seen = mail_server.log.stat()
    assert (stat.S_IMODE(seen.st_mode), seen.st_gid) == (0o640, grp.getgrnam(GROUP).gr_gid)
    with as_worker():
        read_log(mail_server.log)
    # All were read, so the next time they are compressed, but for the one that was just renamed.
    rotate(mail_server)
    kept = sorted(mail_server.log.parent.glob("postfix.log.*"))
    assert [path.suffix == ".gz" for path in kept] == [True] * ROTATIONS + [False]
    read_log(mail_server.log)
    said_last = rotate(mail_server, "--keep=1")
    for path in kept[:-1]:
        assert f"removed {path.name}" in said_last


def test_a_worker_that_may_not_read_the_log_says_so(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    inbox(ada, "ada@ada.test")
    mail_server.log.chmod(0o600)
    with as_worker(), pytest.raises(PermissionError):
        read_log(mail_server.log)
    assert "Permission denied" in LogPosition.objects.get().trouble
    rotate(mail_server)
    with as_worker():
        read_log(mail_server.log)
    assert LogPosition.objects.get().trouble == ""


def test_a_rotation_that_was_killed_half_way_is_finished_by_the_next(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    inbox(ada, "ada@ada.test")
    log_a_line(mail_server)
    read_log(mail_server.log)
    renamed = mail_server.log.with_name("postfix.log.20200101-000000")
    mail_server.log.rename(renamed)  # killed here: Postfix writes to the renamed log for ever
    assert "had not ended" in rotate(mail_server)
    assert "The log is rotated." in mail_server.log.read_text()
    seen = mail_server.log.stat()
    assert (stat.S_IMODE(seen.st_mode), seen.st_gid) == (0o640, grp.getgrnam(GROUP).gr_gid)
    read_log(mail_server.log)
    assert LogPosition.objects.get().lost_at is None
