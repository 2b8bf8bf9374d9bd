"""What became of the mail that was sent, read from Postfix's log.

The log is the source: every recipient of every message has a line in it when its fate is known,
also where the other side refuses at once and no bounce message is ever written. Only messages that
our own mailboxes submitted count: those that came in with a login, or from the signer.
https://www.postfix.org/postconf.5.html#maillog_file

Counts go to the day on which they are read, since the log's lines name no year and no time zone.
"""

import contextlib
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from mailboxes.models import Alias, LogPosition, Mailbox, MailServer, QueuedMessage, SendingDay
from mailboxes.naming import without_extension
from mailboxes.sending.limits import today
from mailboxes.vendors import house_server
from mpanel.core.database import outages

logger = logging.getLogger(__name__)

LINES_AT_ONCE = 5_000
LONGEST_LINE = 16_384  # bytes
MOST_RECIPIENTS = 1_000  # whose deferral is remembered, of one message
KEPT = timedelta(days=10)  # longer than a message stays in the queue
SLEEP = 1.0  # seconds between two looks at a log that is followed

# From the line's start: further right, strangers can write what looks like a line of Postfix.
_LINE = re.compile(
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.+Z-]+) [\w.-]+ "
    r"postfix((?:/[\w-]+)*)/([\w-]+)\[\d+\]: (?!NOQUEUE)([0-9A-Za-z]{6,20}): (.*)"
)
_LOGIN = re.compile(r"\bsasl_username=([^,\s]+)")
_FROM = re.compile(r"from=<([^>]*)>")
_FATE = re.compile(
    r"to=<([^>]*)>,.*?\brelay=([^,]+),.*?\bdsn=([245]\.\d{1,3}\.\d{1,3}), "
    r"status=(sent|deferred|bounced|expired)\b"
)
_COLUMNS = {"sent": "delivered", "deferred": "deferred", "bounced": "bounced", "expired": "bounced"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that says something: `kind` is login, signed, sender, fate or removed."""

    kind: str
    queue_id: str
    address: str = ""
    status: str = ""


# How often each column of `SendingDay` grows, per mailbox.
Tally = Counter[tuple[UUID, str]]


def parse(line: str, *, signer_port: str) -> Entry | None:
    """What a line of the log says, None for most. Never raises."""
    found = _LINE.match(line)
    if found is None:
        return None
    path, service, queue_id, rest = found.groups()
    if service == "smtpd" and rest.startswith("client="):
        return _entrance(path, queue_id, rest)
    if service == "qmgr":
        sender = _FROM.match(rest)
        if sender or rest == "removed":
            kind = "sender" if sender else "removed"
            return Entry(kind, queue_id, sender[1].lower() if sender else "")
    # What is handed to the signer comes back under another id, which tells the end.
    elif (fate := _FATE.match(rest)) and not fate[2].endswith(f":{signer_port}"):
        return Entry("fate", queue_id, fate[1].lower(), fate[4])
    return None


def _entrance(path: str, queue_id: str, rest: str) -> Entry | None:
    """How a message came in; None for one from outside."""
    if login := _LOGIN.search(rest):
        return Entry("login", queue_id, login[1].lower())
    return Entry("signed", queue_id) if path.endswith("/signed") else None


def read_log(path: Path, server: MailServer | None = None) -> int:
    """Count what was added to the log since the last time; how many lines that was.

    The place is kept in the transaction of the counts, so whoever is killed counts nothing twice
    and loses nothing. A log that was rotated is read to its end first. Raises `OSError`.
    """
    server = server or house_server()
    lines = 0
    while read := _read_some(path, server):
        lines += read
    return lines


def follow_log(path: Path, server: MailServer | None = None) -> None:
    """`read_log` for ever. A log that is not there yet is waited for."""
    while True:
        # While the database is away the place in the log stays where it is.
        with contextlib.suppress(FileNotFoundError), outages(_tell):
            read_log(path, server)
        time.sleep(SLEEP)


def _tell(error: Exception) -> None:
    logger.error("The database cannot work now (%s); trying again.", error)


def sweep() -> None:
    """Read the house's log, where this machine has it."""
    if settings.MAILLOG_FILE and Path(settings.MAILLOG_FILE).exists():
        read_log(Path(settings.MAILLOG_FILE))
    QueuedMessage.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


@transaction.atomic
def _read_some(path: Path, server: MailServer) -> int:
    """One stretch of the log; 0 when there is nothing new."""
    LogPosition.objects.get_or_create(name=f"{server.slug}:{path.name}")
    place = LogPosition.objects.select_for_update().get(name=f"{server.slug}:{path.name}")
    with _opened(path, place) as log:
        inode = os.fstat(log.fileno()).st_ino
        log.seek(place.offset)
        lines = _whole_lines(log)
        place.offset = log.tell()
    if not lines and inode == place.inode and inode == path.stat().st_ino:
        return 0
    if not lines:  # a rotated log is at its end: go on with the new one
        place.offset, inode = 0, path.stat().st_ino
    port = settings.MAILSIGNER_ADDRESS.rpartition(":")[2]
    entries = [parse(line, signer_port=port) for line in lines]
    _keep(_tally(server, [entry for entry in entries if entry]))
    place.inode = inode
    place.save(update_fields=["inode", "offset", "updated_at"])
    return max(1, len(lines))


def _opened(path: Path, place: LogPosition) -> BinaryIO:
    """The log in which the place lies: perhaps the one that was rotated away."""
    current = path.stat()
    if place.inode and place.inode != current.st_ino:
        for other in path.parent.glob(f"{path.name}*"):
            if other.is_file() and other.stat().st_ino == place.inode:
                return other.open("rb")
        place.offset = 0
    elif current.st_size < place.offset:  # cut in place
        place.offset = 0
    return path.open("rb")


def _whole_lines(log: BinaryIO) -> list[str]:
    """The next lines, without one that is still being written."""
    lines: list[str] = []
    while len(lines) < LINES_AT_ONCE:
        begun = log.tell()
        line = log.readline(LONGEST_LINE)
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            log.seek(begun)
            break
        lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
    return lines


def _tally(server: MailServer, entries: Sequence[Entry]) -> Tally:
    """Follow each message from its login to its end."""
    ids = {entry.queue_id for entry in entries}
    known = {
        row.queue_id: row for row in QueuedMessage.objects.filter(server=server, queue_id__in=ids)
    }
    senders = _mailboxes_of({e.address for e in entries if e.kind in {"login", "sender"}})
    tally: Tally = Counter()
    gone: set[str] = set()
    for entry in entries:
        row = known.get(entry.queue_id)
        match entry.kind:
            case "login" | "signed":
                # An id is used again once its message is gone.
                known[entry.queue_id] = QueuedMessage(
                    server=server, queue_id=entry.queue_id, mailbox_id=senders.get(entry.address)
                )
                gone.discard(entry.queue_id)
            case "sender" if row is not None and row.mailbox_id is None:
                row.mailbox_id = senders.get(entry.address)
            case "fate" if row is not None and row.mailbox_id is not None:
                _note(tally, row, entry)
            case "removed" if row is not None:
                gone.add(entry.queue_id)
    kept = [row for queue_id, row in known.items() if queue_id not in gone]
    QueuedMessage.objects.filter(server=server, queue_id__in=gone).delete()
    QueuedMessage.objects.bulk_create(
        kept,
        update_conflicts=True,
        unique_fields=["server", "queue_id"],
        update_fields=["mailbox", "deferred"],
    )
    return tally


def _note(tally: Tally, row: QueuedMessage, entry: Entry) -> None:
    if entry.status == "deferred":  # it is tried again and again, and counts once
        if entry.address in row.deferred or len(row.deferred) >= MOST_RECIPIENTS:
            return
        row.deferred.append(entry.address)
    assert row.mailbox_id is not None
    tally[row.mailbox_id, _COLUMNS[entry.status]] += 1


def _mailboxes_of(addresses: Iterable[str]) -> dict[str, UUID]:
    """The mailboxes that send as these addresses: their own, and their aliases."""
    wanted = {address: without_extension(address) for address in addresses if address}
    # A name that changed hands may stand at two tenants: mail is of the one who is verified.
    at = {"address__in": set(wanted.values()), "domain__verified_at__isnull": False}
    own = Mailbox.objects.present().filter(**at)
    aliases = Alias.objects.filter(**at).order_by("-id")
    known = dict(aliases.values_list("address", "mailbox_id")) | dict(
        own.values_list("address", "pk")
    )
    return {address: known[base] for address, base in wanted.items() if base in known}


def _keep(tally: Tally) -> None:
    """Add the counts of mailboxes to them, their domains and tenants."""
    mailboxes = Mailbox.objects.in_bulk({mailbox_id for mailbox_id, _ in tally})
    sums: dict[tuple[UUID, str, UUID], Counter[str]] = {}
    for (mailbox_id, column), number in tally.items():
        if (mailbox := mailboxes.get(mailbox_id)) is None:
            continue
        for subject_id, kind in (
            (mailbox.pk, SendingDay.MAILBOX),
            (mailbox.domain_id, SendingDay.DOMAIN),
            (mailbox.tenant_id, SendingDay.TENANT),
        ):
            sums.setdefault((subject_id, kind, mailbox.tenant_id), Counter())[column] += number
    day = today()
    SendingDay.objects.bulk_create(
        [
            SendingDay(tenant_id=tenant_id, kind=kind, subject_id=subject_id, day=day)
            for subject_id, kind, tenant_id in sums
        ],
        ignore_conflicts=True,
    )
    # In the order in which the policy service locks them: mailbox, domain, tenant.
    order = [SendingDay.MAILBOX, SendingDay.DOMAIN, SendingDay.TENANT]
    for (subject_id, _, _), counts in sorted(
        sums.items(), key=lambda item: (order.index(item[0][1]), item[0][0])
    ):
        SendingDay.objects.filter(Q(subject_id=subject_id), day=day).update(
            **{column: F(column) + number for column, number in counts.items()}
        )
