"""The key that seals secrets is replaced while mail is sent and people log in.

In the order of docs/operating.md ("Keys"), on the real servers and with the real commands.
"""

import smtplib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from imaplib import IMAP4

import dkim
import pytest
from django.conf import LazySettings
from django.db import transaction

from dnszones.dkim.keys import dkim_key
from dnszones.models import DkimKey, Zone
from mailboxes.models import Mailbox
from mpanel.core.secrets import front_key_id, new_key
from mpanel.operations.resealing import SLICE, values_by_key
from tenants.models import ProviderCredential
from tests.cast import Person
from tests.dovecot_postfix import PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.processes import Process, eventually
from tests.signers import verifies

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

ENOUGH = 3  # messages and logins that each step must see
LATER = {421, 450, 451, 454}
PATIENCE = 900.0  # seconds; bounds a hang, not the machine
PACE = 0.1  # seconds that a client rests before its next act, which others need, too


class Signers:
    """Two `manage.py mailsigner` on the same addresses, of which one always answers."""

    def __init__(self, server: PrivateMailServer, started: ExitStack) -> None:
        self._server, self._started = server, started
        self._running: list[Process] = []
        self.all: list[Process] = []

    def restart(self, ring: list[str]) -> None:
        """Have two run with these keys, the first of which seals, and end those before."""
        fresh = [self._start(ring) for _ in range(2)]
        for process in fresh:
            eventually(has_started(process), seconds=PATIENCE)
        for process in self._running:
            assert process.terminate(within=PATIENCE) == 0
        self._running = fresh

    def _start(self, ring: list[str]) -> Process:
        process = Process(
            "mailsigner",
            ENCRYPTION_KEYS=",".join(ring),
            MAILSIGNER_ADDRESS=self._server.signer_address,
            MAILSIGNER_NEXT_HOP=self._server.next_hop,
            MAILSIGNER_AUTHORS=self._server.authors_address,
        )
        self.all.append(self._started.enter_context(process))
        return process


@dataclass
class Traffic:
    """Mail that was taken, logins that succeeded, and what neither was nor may be."""

    server: PrivateMailServer
    mailboxes: list[Mailbox]
    taken: list[str] = field(default_factory=list)  # subjects
    logins: int = 0
    put_off: int = 0  # clients that were told to come again
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def send(self) -> None:
        """Send as each mailbox in turn, until it is over."""
        while not self.over.is_set():
            for mailbox in list(self.mailboxes):
                subject = f"{mailbox.address} {threading.get_ident()} {len(self.taken)}"
                try:
                    self._send(mailbox, subject)
                except smtplib.SMTPAuthenticationError as error:
                    self.failures.append(repr(error))
                except smtplib.SMTPResponseException as error:
                    if error.smtp_code in LATER:
                        self.put_off += 1
                    else:
                        self.failures.append(repr(error))
                except (smtplib.SMTPException, OSError) as error:
                    self.failures.append(repr(error))
                self.over.wait(PACE)

    def _send(self, mailbox: Mailbox, subject: str) -> None:
        head = f"From: {mailbox.address}\r\nTo: {mailbox.address}\r\nSubject: {subject}\r\n"
        with self.server.submission(mailbox.address, PASSWORD) as client:
            client.sendmail(mailbox.address, [mailbox.address], f"{head}\r\nHello.\r\n")
            self.taken.append(subject)

    def log_in(self) -> None:
        """Open each mailbox in turn, until it is over."""
        while not self.over.is_set():
            for mailbox in list(self.mailboxes):
                try:
                    with self.server.imap(mailbox.address, PASSWORD):
                        self.logins += 1
                except (IMAP4.error, OSError) as error:
                    self.failures.append(repr(error))
                self.over.wait(PACE)

    def goes_on(self) -> None:
        """Come back when more mail was taken and more people logged in."""
        mails, logins = len(self.taken) + ENOUGH, self.logins + ENOUGH
        eventually(
            lambda: self.failures or (len(self.taken) >= mails and self.logins >= logins),
            seconds=PATIENCE,
            why=self.server.complaints,
        )
        assert self.failures == []


@contextmanager
def traffic(server: PrivateMailServer, mailboxes: list[Mailbox]) -> Iterator[Traffic]:
    """Clients at work until the end of the block."""
    seen = Traffic(server, mailboxes)
    threads = [threading.Thread(target=work) for work in (seen.send, seen.send, seen.log_in)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.over.set()
        for thread in threads:
            thread.join()


def signed_mailbox(person: Person, name: str) -> Mailbox:
    """A mailbox whose domain has a key, sealed by the key that seals now."""
    mailbox = inbox(person, f"post@{name}")
    zone = Zone.objects.create(domain=mailbox.domain, provider="cloudflare", remote_id=name)
    dkim_key(zone, "mpanel")
    return mailbox


def more_secrets(person: Person) -> list[ProviderCredential]:
    """More than one transaction of `reseal` moves."""
    rows = [
        ProviderCredential(tenant=person.tenant, port="dns", provider="cloudflare", label=str(one))
        for one in range(SLICE + 20)
    ]
    for row in rows:
        row.set_values({"api_token": f"token of {row.label}"})
    return ProviderCredential.objects.bulk_create(rows)


@contextmanager
def locked(row: ProviderCredential) -> Iterator[None]:
    """Until the end of the block, nobody can write this row."""
    with transaction.atomic():
        ProviderCredential.objects.select_for_update().get(pk=row.pk)
        yield


def reseal(ring: list[str]) -> Process:
    return Process("reseal", ENCRYPTION_KEYS=",".join(ring))


def has_started(process: Process) -> Callable[[], bool]:
    def look() -> bool:
        assert process.is_running, process.output
        return "Who may write" in process.output

    return look


def is_half_way(process: Process) -> Callable[[], bool]:
    return lambda: f"ProviderCredential.sealed: {SLICE} of" in process.output


def told(process: Process) -> Callable[[], str]:
    return lambda: process.output


def arrived(server: PrivateMailServer, mailboxes: list[Mailbox]) -> dict[str, bytes]:
    """The messages in the mailboxes by subject. What waits in the queue is tried anew."""
    waiting = server.queue()
    if waiting and all(row["queue_name"] == "deferred" for row in waiting):
        server.flush()
    found = [text.encode() for mailbox in mailboxes for text in server.inbox(mailbox)]
    return {subject_of(message): message for message in found}


def subject_of(message: bytes) -> str:
    headers, _ = dkim.rfc822_parse(message)
    (subject,) = (value for name, value in headers if name.lower() == b"subject")
    return str(subject.decode().strip())


def test_keys_are_rotated_and_resealed_while_mail_is_sent_and_people_log_in(
    ada: Person, mail_server: PrivateMailServer, settings: LazySettings
) -> None:
    old = list(settings.ENCRYPTION_KEYS)
    old_id = front_key_id()
    mailboxes = [signed_mailbox(ada, "ada.test")]
    rows = more_secrets(ada)
    with mail_server.reconfigured(signer=True), ExitStack() as started:
        signers = Signers(mail_server, started)
        signers.restart(old)
        with traffic(mail_server, mailboxes) as seen:
            seen.goes_on()

            # First every process can open what the new key will seal; only then one seals with it.
            new = new_key()
            signers.restart([*old, new])
            seen.goes_on()
            settings.ENCRYPTION_KEYS = ring = [new, *old]
            mailboxes.append(signed_mailbox(ada, "other.test"))
            seen.goes_on()
            signers.restart(ring)
            seen.goes_on()

            last = ProviderCredential.objects.order_by("pk").last()
            assert last is not None
            with reseal(ring) as killed, locked(last):
                eventually(is_half_way(killed), seconds=PATIENCE, why=told(killed))
                seen.goes_on()
                killed.kill()
            with reseal(ring) as resumed:
                assert resumed.wait(PATIENCE) == 0, resumed.output
                assert f"Key {old_id} is no longer needed" in resumed.output
            seen.goes_on()

            settings.ENCRYPTION_KEYS = ring = [new]
            signers.restart(ring)
            seen.goes_on()
        said = [process.output for process in signers.all]
        eventually(
            lambda: arrived(mail_server, mailboxes).keys() >= set(seen.taken),
            seconds=PATIENCE,
            why=mail_server.complaints,
        )
    assert seen.failures == []
    assert not [one for one in said if "does not open" in one]
    published = {
        f"{key.selector}._domainkey.{key.zone.domain.name}": key.public_value
        for key in DkimKey.objects.select_related("zone__domain")
    }
    messages = arrived(mail_server, mailboxes)
    assert [subject for subject in messages if not verifies(messages[subject], published)] == []
    # Nothing is left that only the old key opens.
    assert values_by_key()[""].total() == 0
    for row in rows:
        row.refresh_from_db()
        assert row.values()["api_token"] == f"token of {row.label}"
    assert Mailbox.objects.get(pk=mailboxes[0].pk).password() == PASSWORD
