"""Filters on the real Dovecot and Postfix: junk, forwarding, vacation notes, ManageSieve."""

import base64
import re
import smtplib
import socket
import ssl
from email import message_from_string
from email.message import Message

import dkim
import pytest
from django.utils import timezone

from dnszones.dkim.records import make_key
from mailboxes.models import DeliveryRules, Mailbox
from mailboxes.services import Vacation, create_alias, set_rules
from provisioning.models import Job
from tests.cast import Person
from tests.dovecot_postfix import HOST, PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox
from tests.processes import eventually
from tests.work import work_off

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

KEY = make_key()


def bring(server: PrivateMailServer, to: str, text: str = "", *, sender: str = "x@out.test") -> str:
    """What port 25 says to a message from outside."""
    message = text or f"From: {sender}\r\nTo: {to}\r\nSubject: Hi\r\n\r\nHello.\r\n"
    with smtplib.SMTP("127.0.0.1", server.smtp_port, "mx.out.test", timeout=20) as client:
        client.ehlo()
        client.mail("" if sender == "<>" else sender)
        code, said = client.rcpt(to)
        if code == 250:
            code, said = client.data(message)
        return f"{code} {said.decode()}"


def arrived(server: PrivateMailServer, mailbox: Mailbox, number: int) -> list[Message]:
    """The messages of an inbox, when there are so many."""
    found = server.wait_for_mail(mailbox, number)
    assert len(found) == number
    return [message_from_string(text) for text in found]


def set_and_tell(person: Person, mailbox: Mailbox, **wanted: object) -> DeliveryRules:
    """The rules after the worker was there."""
    set_rules(person.actor, mailbox.pk, **wanted)  # type: ignore[arg-type]
    work_off()
    return DeliveryRules.objects.get(mailbox=mailbox)


class ManageSieve:
    """A mail program that edits filters (RFC 5804): STARTTLS, then a login."""

    def __init__(self, server: PrivateMailServer, login: str) -> None:
        plain = socket.create_connection((HOST, server.sieve_port), 20)
        self._file = plain.makefile("rb")
        assert b'"STARTTLS"' in self.read()
        plain.sendall(b"STARTTLS\r\n")
        self.read()
        self._socket: ssl.SSLSocket = server.tls.wrap_socket(plain, server_hostname=HOST)
        self._file = self._socket.makefile("rb")
        assert b'"SASL" "PLAIN' in self.read()
        secret = base64.b64encode(f"\0{login}\0{PASSWORD}".encode()).decode()
        assert self.say(f'AUTHENTICATE "PLAIN" "{secret}"').startswith(b"OK")

    def say(self, command: str) -> bytes:
        self._socket.sendall(command.encode() + b"\r\n")
        return self.read()

    def put(self, name: str, text: str) -> bytes:
        return self.say(f'PUTSCRIPT "{name}" {{{len(text)}+}}\r\n{text}')

    def read(self) -> bytes:
        """An answer up to its last line, with the literals in it."""
        answer = b""
        while True:
            line = self._file.readline()
            assert line, answer
            if literal := re.search(rb"\{(\d+)\}\r\n$", line):
                line += self._file.read(int(literal[1])) + self._file.readline()
            answer += line
            if re.match(rb"(OK|NO|BYE)\b", line):
                return answer


def test_spam_is_filed_into_junk_and_nothing_else_is_done_with_it(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    set_and_tell(ada, first, forward_to=[second.address], vacation=Vacation(subject="A", text="B"))
    head = f"From: x@out.test\r\nTo: {first.address}\r\nSubject: "
    assert bring(mail_server, first.address, f"{head}spam\r\nX-Spam: Yes\r\n\r\n").startswith("250")
    assert bring(mail_server, first.address, f"{head}ham\r\n\r\n").startswith("250")
    (ham,) = arrived(mail_server, first, 1)
    assert ham["Subject"] == "ham"
    with mail_server.imap(first.address, PASSWORD) as client:
        assert client.select("Junk")[1] == [b"1"]
    assert [message["Subject"] for message in arrived(mail_server, second, 1)] == ["ham"]


def test_forwarded_mail_leaves_as_the_mailbox_and_keeps_its_signature(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    rules = set_and_tell(ada, first, forward_to=[second.address])
    assert (rules.is_pending, rules.error_code) == (False, "")
    text = b"From: x@out.test\r\nTo: ada@ada.test\r\nSubject: signed\r\n\r\nHello.\r\n"
    signed = dkim.sign(text, b"s1", b"out.test", KEY.private_pem.encode()) + text
    bring(mail_server, first.address, signed.decode())
    arrived(mail_server, first, 1)
    (message,) = arrived(mail_server, second, 1)
    assert message["Return-Path"] == "<ada@ada.test>"
    assert dkim.verify(
        mail_server.inbox(second)[0].encode(), dnsfunc=lambda *_args, **_more: KEY.value.encode()
    )
    # A bounce stays, or one of a forwarded message would go round for ever.
    bring(mail_server, first.address, sender="<>")
    arrived(mail_server, first, 2)
    # Two that forward to each other: it comes back once, and ends there.
    set_and_tell(ada, second, forward_to=[first.address])
    bring(mail_server, first.address)
    arrived(mail_server, first, 4)
    arrived(mail_server, second, 2)
    eventually(lambda: not mail_server.queue())

    # Without a copy the message stays where it cannot go on, and nobody is written to.
    set_and_tell(ada, second)
    set_and_tell(ada, first, forward_to=[second.address], keeps_copy=False)
    bring(mail_server, first.address)
    arrived(mail_server, second, 3)
    Mailbox.objects.filter(pk=first.pk).update(paused_at=timezone.now())
    bring(mail_server, first.address)
    arrived(mail_server, first, 5)
    arrived(mail_server, second, 3)
    eventually(lambda: not mail_server.queue())
    rules = set_and_tell(ada, first)
    assert (rules.is_pending, rules.error_code) == (False, "")
    assert "mpanel" not in mail_server.doveadm("sieve", "list", "-u", first.address)


def test_a_vacation_note_answers_for_all_addresses_once(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    note = Vacation(subject='Über "Weihnachten"', text="Back soon.\n.\nAda \\ Ada")
    set_and_tell(ada, first, vacation=note)
    create_alias(ada.actor, first.pk, local_part="sales")
    work_off()
    bring(mail_server, "sales@ada.test", sender=second.address)
    (answer,) = arrived(mail_server, second, 1)
    assert answer["Auto-Submitted"] == "auto-replied (vacation)"
    assert answer["From"] == "<sales@ada.test>"
    # SPF holds for the author's domain.
    assert answer["Return-Path"].endswith("@ada.test>")
    text = answer.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert text.split() == b"Back soon. . Ada \\ Ada".split()
    bring(mail_server, first.address, sender=second.address)
    arrived(mail_server, first, 2)
    arrived(mail_server, second, 1)


def test_a_script_of_a_mail_program_is_replaced_with_consent_only(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    program = ManageSieve(mail_server, first.address)
    assert program.put("bad", "nonsense").startswith(b"NO")
    # These would answer whom a forger named.
    for refusing in ("reject", "ereject"):
        assert program.put("bad", f'require "{refusing}"; {refusing} "no";').startswith(b"NO")
    own = 'redirect "nobody@out.test"; keep;'
    assert program.put("own", own).startswith(b"OK")
    assert program.say('SETACTIVE "own"').startswith(b"OK")

    rules = set_and_tell(ada, first, forward_to=[second.address])
    assert (rules.is_pending, rules.error_code) == (False, "OTHER_SCRIPT_ACTIVE")
    assert "'own'" in rules.error_message
    assert b'"own" ACTIVE' in program.say("LISTSCRIPTS")
    rules = set_and_tell(ada, first, forward_to=[second.address], replaces_script=True)
    assert rules.error_code == ""
    listed = program.say("LISTSCRIPTS")
    assert b'"mpanel" ACTIVE' in listed
    assert b'"own"' in listed

    # One that we wrote and somebody changed is theirs, too.
    assert program.put("mpanel", own).startswith(b"OK")
    assert set_and_tell(ada, first).error_code == "SCRIPT_WAS_EDITED"
    assert own.encode() in program.say('GETSCRIPT "mpanel"')
    assert set_and_tell(ada, first, replaces_script=True).error_code == ""
    assert b"ACTIVE" not in program.say("LISTSCRIPTS")
    assert not Job.objects.filter(status=Job.RUNNING).exists()
