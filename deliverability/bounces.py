"""What became of the mail that was sent, read from Postfix's log.

The log is the source: every recipient of every message has a line in it when its fate is known,
also where the other side refuses at once and no bounce message is ever written. Only messages that
our own mailboxes submitted count: those that came in with a login, or from the signer.
https://www.postfix.org/postconf.5.html#maillog_file

Counts go to the day on which they are read, since the log's lines name no year and no time zone.
"""

import contextlib
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from deliverability.limits import today
from deliverability.models import QueuedMessage, SendingDay
from mailboxes.forwards import notice
from mailboxes.models import Alias, Mailbox
from mailservers.addresses import without_extension
from mailservers.maillog import Stretch, read_on
from mailservers.models import LogPosition, MailServer
from mailservers.signing.signatures import BY_SCRIPT
from mailservers.vendors import house_server
from mpanel.core.database import outages
from mpanel.core.probes import DEGRADED, OK

logger = logging.getLogger(__name__)

MOST_RECIPIENTS = 1_000  # whose deferral is remembered, of one message
KEPT = timedelta(days=10)  # longer than a message stays in the queue
LOSS_SHOWN = timedelta(days=1)
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
# A header may hold what looks like the end of this line, so its last one counts.
_REDIRECTED = re.compile(
    r"info: header X-Sieve-Redirected-From: .*; from=<([^>]*)> to=<([^>]*)> proto=", re.IGNORECASE
)
_COLUMNS = {"sent": "delivered", "deferred": "deferred", "bounced": "bounced", "expired": "bounced"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that says something: `kind` is login, signed, sender, fate, removed or redirected.

    `target`: where a script sends the message on.
    """

    kind: str
    queue_id: str
    address: str = ""
    status: str = ""
    target: str = ""


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
    if service == "cleanup":
        return _sent_on(path, queue_id, rest)
    if service == "qmgr":
        sender = _FROM.match(rest)
        if sender or rest == "removed":
            kind = "sender" if sender else "removed"
            return Entry(kind, queue_id, sender[1].lower() if sender else "")
    # What is handed to the signer comes back under another id, which tells the end.
    elif (fate := _FATE.match(rest)) and not fate[2].endswith(f":{signer_port}"):
        return Entry("fate", queue_id, fate[1].lower(), fate[4])
    return None


def _sent_on(path: str, queue_id: str, rest: str) -> Entry | None:
    """What a mailbox's script sends on."""
    found = _REDIRECTED.match(rest) if path.endswith("/sieve") else None
    if found is None:
        return None
    return Entry("redirected", queue_id, found[1].lower(), target=found[2].lower())


def _entrance(path: str, queue_id: str, rest: str) -> Entry | None:
    """How a message came in; None for one from outside."""
    if login := _LOGIN.search(rest):
        return Entry("login", queue_id, login[1].lower())
    # What scripts send, strangers set off: they could have a mailbox paused by it.
    is_ours = path.endswith("/signed") and f"orig_queue_id={BY_SCRIPT}" not in rest
    return Entry("signed", queue_id) if is_ours else None


def read_log(path: Path, server: MailServer | None = None) -> int:
    """Count what was added to the log since the last time; how many lines that was.

    The position is kept in the transaction of the counts, so whoever is killed counts nothing twice
    and loses nothing. Files that were rotated away are read to their ends first. Raises `OSError`,
    of which operators are told unless the log is merely not there.
    """
    server = server or house_server()
    lines = 0
    try:
        while read := _read_some(path, server):
            lines += read
    except FileNotFoundError:
        raise
    except OSError as error:
        _cannot_be_read(_name(path, server), error)
        raise
    return lines


def follow_log(path: Path, server: MailServer | None = None) -> None:
    """`read_log` for ever. A log that is not there yet, or cannot be read, is waited for."""
    while True:
        # While the database is away the position in the log stays where it is. Operators were told
        # of what cannot be read.
        with contextlib.suppress(OSError), outages(_tell):
            read_log(path, server)
        time.sleep(SLEEP)


def _tell(error: Exception) -> None:
    logger.error("The database cannot work now (%s); trying again.", error)


def sweep() -> None:
    """Read the house's log, where this machine has it."""
    if settings.MAILLOG_FILE:
        with contextlib.suppress(OSError):  # operators were told
            read_log(Path(settings.MAILLOG_FILE))
    QueuedMessage.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


def status() -> str:
    """Degraded while a log cannot be read, and for a day after bounces may have been lost."""
    since = timezone.now() - LOSS_SHOWN
    bad = ~Q(trouble="") | Q(lost_at__gte=since)
    return DEGRADED if LogPosition.objects.filter(bad).exists() else OK


def _name(path: Path, server: MailServer) -> str:
    return f"{server.slug}:{path.name}"


def _read_some(path: Path, server: MailServer) -> int:
    """One stretch of the log; 0 when there is nothing new."""
    name = _name(path, server)
    position, _ = LogPosition.objects.get_or_create(name=name)
    while True:
        # Reading and parsing lock nothing.
        stretch = read_on(path, position)
        if not (stretch.lines or stretch.is_lost or position.trouble):
            return 0
        port = settings.MAILSIGNER_ADDRESS.rpartition(":")[2]
        entries = [parse(line, signer_port=port) for line in stretch.lines]
        if _count(server, position, stretch, [entry for entry in entries if entry]):
            break
        position.refresh_from_db()  # another reader was faster
    if stretch.is_lost:
        logger.error(
            "The position in %s is lost: the file that was being read is gone or was cut. Bounces "
            "since %s may not be counted.",
            path,
            position.updated_at,
        )
    return len(stretch.lines)


@transaction.atomic
def _count(
    server: MailServer, position: LogPosition, stretch: Stretch, entries: Sequence[Entry]
) -> bool:
    """Count, and move the position on; False, and nothing is done, where it was moved meanwhile."""
    held = LogPosition.objects.select_for_update().get(pk=position.pk)
    if (held.inode, held.offset, held.head) != (position.inode, position.offset, position.head):
        return False
    if entries:
        _keep(_tally(server, entries))
        _tell_of_forwards(entries)
    held.inode, held.offset, held.head = stretch.inode, stretch.offset, stretch.head
    held.trouble = ""
    if stretch.is_lost:
        held.lost_at = timezone.now()
    held.save(update_fields=["inode", "offset", "head", "trouble", "lost_at", "updated_at"])
    return True


def _cannot_be_read(name: str, error: OSError) -> None:
    """Tell operators, once."""
    trouble = f"{error.filename or name}: {error.strerror or error}"[:300]
    LogPosition.objects.get_or_create(name=name)
    if LogPosition.objects.filter(name=name).exclude(trouble=trouble).update(trouble=trouble):
        logger.error("The mail log cannot be read, so bounces are not counted: %s", trouble)


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


def _tell_of_forwards(entries: Sequence[Entry]) -> None:
    """Tell of mail that scripts of mailboxes send on."""
    seen = {(entry.address, entry.target) for entry in entries if entry.kind == "redirected"}
    if seen:
        mailboxes = _mailboxes_of({sender for sender, _ in seen})
        notice((mailboxes[sender], to) for sender, to in sorted(seen) if sender in mailboxes)


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
