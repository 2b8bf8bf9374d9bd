"""Mailboxes on the real Dovecot and Postfix: a row is committed, and mail flows."""

import base64
import contextlib
import imaplib
import re
import smtplib
import socket
import subprocess
from email import message_from_string

import httpx
import pytest

from dnszones.dkim.records import make_key
from dnszones.mail_records import MailSetup, desired_records
from dnszones.models import Record, Zone
from domains.models import Domain
from mailboxes import storage
from mailboxes.models import Alias, Mailbox
from mailboxes.models.mailbox import FULL
from mailboxes.passwords import mail_hash
from mailboxes.services import change_password, delete_mailboxes, suspend_mailbox
from mailboxes.services.roles import sweep
from mailboxes.vendors import mail_provider_of
from mailservers.providers.base import Login
from provisioning.models import Job
from tests.cast import Person
from tests.dovecot_postfix import HOST, PrivateMailServer
from tests.mailserver.rooms import PASSWORD, inbox, move_domain
from tests.processes import eventually
from tests.work import until

pytestmark = [pytest.mark.mailserver, pytest.mark.django_db(transaction=True)]

HELLO = "Subject: Hi\r\n\r\nHello.\r\n"


def reply(error: pytest.ExceptionInfo[smtplib.SMTPResponseException]) -> str:
    """What the server said, with its code in front."""
    return f"{error.value.smtp_code} {bytes(error.value.smtp_error).decode()}"  # type: ignore[arg-type]


def send(
    server: PrivateMailServer, sender: str, *to: str, login: str = "", text: str = HELLO
) -> None:
    """Submit a message with the password of all mailboxes here."""
    with server.submission(login or sender, PASSWORD) as client:
        refused = client.sendmail(sender, list(to), text)
        assert not refused


def refusal(server: PrivateMailServer, sender: str, to: str, *, login: str = "") -> str:
    """How a sender or recipient is refused on submission, at once."""
    with server.submission(login or sender, PASSWORD) as client:
        code, said = client.mail(sender)
        if code == 250:
            code, said = client.rcpt(to)
        return f"{code} {said.decode()}"


def incoming(server: PrivateMailServer, sender: str, to: str, *, text: str = HELLO) -> str:
    """What port 25 says to mail from outside, up to its end."""
    with smtplib.SMTP("127.0.0.1", server.smtp_port, "mx.outside.test", timeout=60) as client:
        client.ehlo()
        client.mail(sender)
        code, said = client.rcpt(to)
        if code == 250:
            code, said = client.data(text)
        return f"{code} {said.decode()}"


def received(server: PrivateMailServer, mailbox: Mailbox, number: int = 1) -> list[str]:
    """The messages of a mailbox, when there are as many."""
    return server.wait_for_mail(mailbox, number)


# --- Rows are logins, at once ---------------------------------------------------------------------


def test_a_committed_row_logs_in_and_mail_arrives_without_a_reload(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first = inbox(ada, "ada@ada.test")
    second = inbox(ada, "bo@ada.test")
    send(mail_server, second.address, first.address)
    message = message_from_string(received(mail_server, first)[0])
    with mail_server.imap(second.address, PASSWORD) as client:
        _, folders = client.list()
        said = b"\n".join(filter(None, folders))  # type: ignore[arg-type]
        assert all(use in said for use in (rb"\Drafts", rb"\Sent", rb"\Junk", rb"\Trash"))
    with mail_server.imap(first.address, PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"1"]
    # Where the customer sat when sending is nobody's business.
    assert "client.test" not in str(message)
    assert len(message.get_all("Received", [])) == 2

    second.password_hash = mail_hash("Another3password", 4)
    second.save()
    with (
        pytest.raises(smtplib.SMTPAuthenticationError),
        mail_server.submission(second.address, PASSWORD),
    ):
        pass
    with mail_server.submission(second.address, "Another3password"):
        pass


def test_what_a_login_may_not_is_refused_at_once(
    ada: Person, cy: Person, mail_server: PrivateMailServer
) -> None:
    first, theirs = inbox(ada, "ada@ada.test"), inbox(cy, "ada@cy.test")
    with (
        pytest.raises(smtplib.SMTPAuthenticationError) as wrong,
        mail_server.submission(first.address, "wrong"),
    ):
        pass
    assert reply(wrong).startswith("535 5.7.8")
    with (
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
        mail_server.imap(first.address, "wrong"),
    ):
        pass
    for sender in (theirs.address, "nobody@ada.test", "someone@elsewhere.test"):
        said = refusal(mail_server, sender, first.address, login=first.address)
        assert said.startswith("553 5.7.1"), said
        assert "not owned by user ada@ada.test" in said
    assert refusal(mail_server, "", first.address, login=first.address).startswith("553 5.7.1")
    assert refusal(mail_server, first.address, "nobody@cy.test").startswith("550 5.1.1")
    with mail_server.submission() as client:
        assert client.mail("x@outside.test")[0] == 250
        assert client.rcpt(theirs.address)[0] == 554
        assert client.verify(first.address)[0] == 502


def test_passwords_do_not_travel_in_the_clear(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    with smtplib.SMTP(HOST, mail_server.submission_port, "client.test", timeout=60) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH PLAIN AGFkYQBiYg==")[0] == 530
        assert client.mail(first.address)[0] == 530
    with smtplib.SMTP(HOST, mail_server.smtp_port, "client.test", timeout=60) as client:
        client.starttls(context=mail_server.tls)
        client.ehlo()
        assert "auth" not in client.esmtp_features
    old = mail_server.tls
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = old.minimum_version.TLSv1_1
    with (
        socket.create_connection((HOST, mail_server.imaps_port), 10) as plain,
        contextlib.suppress(OSError),
    ):
        old.wrap_socket(plain, server_hostname=HOST)
        pytest.fail("TLS 1.1 is accepted")
    with smtplib.SMTP_SSL(
        HOST, mail_server.submissions_port, "client.test", timeout=10, context=mail_server.tls
    ) as client:
        client.login(first.address, PASSWORD)


def test_other_clients_say_the_same(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    send(mail_server, first.address, first.address)
    received(mail_server, first)
    swaks = [
        *("swaks", "--server", f"127.0.0.1:{mail_server.submission_port}", "--tls"),
        *("--auth", "PLAIN", "--auth-user", first.address, "--hide-all", "--quit-after", "RCPT"),
    ]
    endings = {
        # Exit codes of swaks: what went wrong at which step.
        (first.address, PASSWORD, first.address): 0,
        (first.address, "wrong", first.address): 28,
        ("cy@cy.test", PASSWORD, first.address): 23,
        (first.address, PASSWORD, "nobody@ada.test"): 24,
    }
    for (sender, password, to), code in endings.items():
        command = [*swaks, "--from", sender, "--auth-password", password, "--to", to]
        assert subprocess.run(command, check=False).returncode == code, (sender, to)
    curl = [
        *("curl", "--silent", "--cacert", str(mail_server.ca_file), "--user"),
        *(f"{first.address}:{PASSWORD}", f"imaps://{HOST}:{mail_server.imaps_port}/INBOX;UID=1"),
    ]
    assert b"Hello." in subprocess.run(curl, check=True, capture_output=True).stdout


# --- Mail from outside ----------------------------------------------------------------------------


def test_outside_mail_comes_in_and_is_not_passed_on(
    ada: Person, cy: Person, mail_server: PrivateMailServer
) -> None:
    first, theirs = inbox(ada, "ada@ada.test"), inbox(cy, "ada@cy.test")
    assert incoming(mail_server, "x@outside.test", first.address).startswith("250")
    assert incoming(mail_server, "", "ADA@Ada.Test").startswith("250")
    assert len(received(mail_server, first, 2)) == 2
    assert mail_server.inbox(theirs) == []
    assert incoming(mail_server, "x@outside.test", "nobody@ada.test").startswith("550 5.1.1")
    for to in ("x@elsewhere.test", "ada%elsewhere.test@ada.test", '"ada@elsewhere.test"@ada.test'):
        assert incoming(mail_server, "x@outside.test", to)[:3] in {"550", "554"}, to
    assert incoming(mail_server, "x@outside.test", "x@elsewhere.test").startswith("554 5.7.1")
    # A domain that is not verified gets nothing, whoever entered its name.
    Domain.objects.filter(name="ada.test").update(verified_at=None)
    assert incoming(mail_server, "y@outside.test", first.address).startswith("554 5.7.1")


def test_who_was_refused_before_is_known_soon(ada: Person, mail_server: PrivateMailServer) -> None:
    inbox(ada, "ada@ada.test")
    with smtplib.SMTP("127.0.0.1", mail_server.smtp_port, "mx.outside.test", timeout=60) as client:
        client.ehlo()
        client.mail("x@outside.test")
        assert client.rcpt("late@ada.test")[0] == 550
        assert client.rcpt("late@other.test")[0] == 554
        late = inbox(ada, "late@ada.test")
        client.rset()
        client.mail("x@outside.test")
        assert client.rcpt(late.address)[0] == 250
    # Postfix remembers where an address leads, but not for long: each of the few processes that
    # were refused then serves ten connections.
    other = inbox(ada, "late@other.test")
    answers = (incoming(mail_server, "x@outside.test", other.address)[:3] for _ in range(100))
    assert "250" in answers
    received(mail_server, other)


def test_aliases_catch_all_and_extensions(ada: Person, mail_server: PrivateMailServer) -> None:
    first, second = inbox(ada, "ada@ada.test"), inbox(ada, "bo@ada.test")
    for mailbox, local_part in ((first, "sales"), (second, "sales"), (second, "")):
        Alias.objects.create(
            tenant_id=first.tenant_id,
            domain=first.domain,
            mailbox=mailbox,
            local_part=local_part,
            address=f"{local_part}@ada.test",
        )
    assert incoming(mail_server, "x@outside.test", "sales@ada.test").startswith("250")
    received(mail_server, first, 1)
    received(mail_server, second, 1)
    assert incoming(mail_server, "x@outside.test", "whoever@ada.test").startswith("250")
    received(mail_server, second, 2)
    # A mailbox has its own mail, though there is a catch-all.
    assert incoming(mail_server, "x@outside.test", first.address).startswith("250")
    assert incoming(mail_server, "x@outside.test", "ada+lists@ada.test").startswith("250")
    received(mail_server, first, 3)
    assert len(mail_server.inbox(second)) == 2
    # As an alias one may send, as what a catch-all takes not.
    send(mail_server, "sales@ada.test", first.address, login=first.address)
    received(mail_server, first, 4)
    said = refusal(mail_server, "whoever@ada.test", first.address, login=second.address)
    assert said.startswith("553 5.7.1")


def test_two_tenants_with_the_same_local_part(
    ada: Person, cy: Person, mail_server: PrivateMailServer
) -> None:
    mine, theirs = inbox(ada, "sales@ada.test"), inbox(cy, "sales@cy.test")
    send(mail_server, mine.address, theirs.address)
    (message,) = received(mail_server, theirs)
    assert message_from_string(message)["Return-Path"] == "<sales@ada.test>"
    assert mail_server.inbox(mine) == []


def test_an_address_that_is_given_again_begins_empty(
    ada: Person, cy: Person, mail_server: PrivateMailServer
) -> None:
    before = inbox(ada, "ada@ada.test")
    send(mail_server, before.address, before.address)
    received(mail_server, before)
    Mailbox.objects.filter(pk=before.pk).update(status=Mailbox.DELETED)
    move_domain(before.domain, cy)
    after = inbox(cy, "ada@ada.test")
    with mail_server.imap(after.address, PASSWORD) as client:
        assert client.select("INBOX")[1] == [b"0"]
    assert len(mail_server.inbox(before)) == 1


def test_postmaster_and_abuse_lead_somewhere(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    host = inbox(ada, "ops@host.test")
    ours = ("postmaster", "Postmaster@ada.test", "abuse@ada.test")
    for address in ours:
        assert incoming(mail_server, "x@out.test", address)[:3] in {"504", "550", "554"}, address
    with mail_server.reconfigured(postmaster=host.address):
        for number, address in enumerate(ours, start=1):
            assert incoming(mail_server, "x@out.test", address).startswith("250"), address
            received(mail_server, host, number)
        for address in ("someone@ada.test", "postmaster@elsewhere.test", f"root@{HOST}"):
            assert incoming(mail_server, "x@out.test", address)[:3] in {"504", "550", "554"}
        # Where the customer says who reads it, they do.
        Alias.objects.create(
            tenant=ada.tenant,
            domain=first.domain,
            mailbox=first,
            local_part="",
            address="@ada.test",
        )
        assert incoming(mail_server, "x@out.test", "abuse@ada.test").startswith("250")
        received(mail_server, first)
        # Never to nowhere: what is taken would bounce.
        Mailbox.objects.filter(pk=host.pk).update(status=Mailbox.DELETING)
        eventually(lambda: incoming(mail_server, "x@out.test", "postmaster")[:3] in {"550", "554"})
    eventually(lambda: not mail_server.queue())


# --- Suspended, full, deleted ---------------------------------------------------------------------


def test_mail_to_role_addresses_and_reports_arrive_in_the_first_inbox(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first = inbox(ada, "ada@ada.test")
    inbox(ada, "bo@ada.test")
    zone = Zone.objects.create(domain=first.domain, provider="cloudflare", remote_id="ada.test")
    dmarc = MailSetup(
        domain="ada.test",
        platform="mailserver",
        mailserver_mx="mx.host.test",
        mailserver_spf="_spf.host.test",
        dkim_value=make_key().value,
    )
    (wanted,) = [one for one in desired_records(dmarc) if one.purpose == "dmarc"]
    Record.objects.create(
        zone=zone,
        purpose=wanted.purpose,
        level=wanted.level,
        reason=wanted.reason,
        name=wanted.data.name,
        type=wanted.data.type,
        content=wanted.data.content,
        ttl=wanted.data.ttl,
    )
    named = re.findall(r"mailto:([^,;!]+)", wanted.data.content)
    addresses = ["postmaster@ada.test", "abuse@ada.test", *named]
    assert len(addresses) == 3
    for address in addresses:
        assert incoming(mail_server, "x@outside.test", address).startswith("550")
    sweep()
    for number, address in enumerate(addresses, start=1):
        assert incoming(mail_server, "x@outside.test", address).startswith("250")
        received(mail_server, first, number)


def test_a_full_mailbox_is_refused_at_once_by_all_its_addresses(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    sender, full = inbox(ada, "ada@ada.test"), inbox(ada, "full@ada.test", quota_mb=1)
    big = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 8_000
    send(mail_server, sender.address, full.address, text=big)
    received(mail_server, full)
    # One message may go over, whether its size was announced or not: it would bounce otherwise, to
    # whom a forger named.
    with mail_server.submission(sender.address, PASSWORD) as client:
        client.mail(sender.address, [f"size={len(big)}"])
        assert client.rcpt(full.address)[0] == 250
    Alias.objects.create(
        tenant=full.tenant, domain=full.domain, mailbox=full, local_part="a", address="a@ada.test"
    )
    assert incoming(mail_server, "x@out.test", "a@ada.test", text=big).startswith("250")
    received(mail_server, full, 2)
    for address in (full.address, "full+tag@ada.test", "a@ada.test"):
        assert incoming(mail_server, "x@out.test", address).startswith("552 5.2.2"), address
    # The panel says so, too.
    while storage.sweep():
        pass
    assert Mailbox.objects.get(pk=full.pk).storage_told == FULL
    assert Mailbox.objects.get(pk=sender.pk).storage_percent == 0
    # Where an alias has two mailboxes, the other one gets its mail.
    Alias.objects.create(
        tenant=full.tenant, domain=full.domain, mailbox=sender, local_part="a", address="a@ada.test"
    )
    assert incoming(mail_server, "x@out.test", "a@ada.test").startswith("250")
    received(mail_server, sender)
    # For the full one it waits until there is room.
    eventually(lambda: [row for row in mail_server.queue() if row["queue_name"] == "deferred"])
    Mailbox.objects.filter(pk=full.pk).update(quota_mb=3)
    mail_server.flush()
    received(mail_server, full, 3)
    send(mail_server, sender.address, full.address, text=big)
    assert len(received(mail_server, full, 4)) == 4


def test_a_mailbox_over_its_limit_of_size_is_told_so(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first = inbox(ada, "ada@ada.test")
    with mail_server.submission(first.address, PASSWORD) as client:
        assert client.mail(first.address, ["size=1000001"])[0] == 552


def test_suspended(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    with mail_server.submission(first.address, PASSWORD) as client:
        assert client.mail(first.address)[0] == 250
        client.rset()
        Mailbox.objects.filter(pk=first.pk).update(status=Mailbox.SUSPENDED)
        code, said = client.mail(first.address)
        assert code == 550
        assert b"This mailbox is suspended." in said
    with (
        pytest.raises(smtplib.SMTPAuthenticationError) as shut,
        mail_server.submission(first.address, PASSWORD),
    ):
        pass
    assert reply(shut).startswith("535")
    assert incoming(mail_server, "x@outside.test", first.address).startswith("250")
    received(mail_server, first)


def test_whoever_is_suspended_or_deleted_is_logged_out(
    ada: Person, cy: Person, mail_server: PrivateMailServer
) -> None:
    first, theirs = inbox(ada, "ada@ada.test"), inbox(cy, "cy@cy.test")
    several = [inbox(ada, f"{name}@ada.test") for name in ("bo", "di", "ed")]
    with contextlib.ExitStack() as stack:
        sessions = [
            stack.enter_context(mail_server.imap(mailbox.address, PASSWORD))
            for mailbox in (first, first, *several[:2], theirs)
        ]
        suspend_mailbox(ada.actor, first.pk)
        job = delete_mailboxes(ada.actor, [mailbox.pk for mailbox in several])
        until(lambda: not Job.objects.filter(status__in=Job.ACTIVE).exists())
        for session in sessions[:4]:
            with pytest.raises((imaplib.IMAP4.abort, OSError)):
                session.noop()
        assert sessions[4].noop()[0] == "OK"
    job.refresh_from_db()
    assert job.status == Job.SUCCEEDED
    statuses = Mailbox.objects.filter(pk__in=[mailbox.pk for mailbox in several])
    assert set(statuses.values_list("status", flat=True)) == {Mailbox.DELETED}


def test_the_admin_key_opens_no_mail(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    send(mail_server, first.address, first.address)
    received(mail_server, first)
    key = base64.b64encode(mail_server.admin_key.encode()).decode()
    for command in ("fetch", "user", "reload", "stop", "mailboxList"):
        parameters = {"user": first.address, "field": ["text"], "query": ["ALL"]}
        answer = httpx.post(
            f"http://127.0.0.1:{mail_server.admin_port}/doveadm/v1",
            headers={"Authorization": f"X-Dovecot-API {key}"},
            json=[[command, parameters, "1"]],
        )
        assert "text" not in answer.text
        assert answer.status_code != 200 or answer.json()[0][0] == "error", command


def test_a_new_password_ends_sessions_of_the_old_one(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first = inbox(ada, "ada@ada.test")
    with mail_server.imap(first.address, PASSWORD) as client:
        fresh = change_password(ada.actor, first.pk)
        until(lambda: not Job.objects.filter(status__in=Job.ACTIVE).exists())
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.noop()
    with mail_server.imap(first.address, fresh.password) as client:
        assert client.noop()[0] == "OK"


def test_deleted(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    send(mail_server, first.address, first.address)
    received(mail_server, first)
    Mailbox.objects.filter(pk=first.pk).update(status=Mailbox.DELETING)
    with (
        pytest.raises(smtplib.SMTPAuthenticationError),
        mail_server.submission(first.address, PASSWORD),
    ):
        pass
    assert incoming(mail_server, "x@outside.test", first.address).startswith("550 5.1.1")
    assert len(mail_server.inbox(first)) == 1


# --- When something is broken ---------------------------------------------------------------------


def test_without_the_database_nothing_is_lost(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    with mail_server.blind():
        assert incoming(mail_server, "x@outside.test", first.address).startswith(("450 4", "451 4"))
        # Nobody is told that the password is wrong, which outreach tools take for the last word.
        provider = mail_provider_of(first)
        [proof] = provider.verify_logins([Login(first.address, PASSWORD)], on_result=lambda _: None)
        assert (proof.smtp, proof.imap) == ("unknown", "unknown")
        assert "answered 451 4.3" in proof.detail
    send(mail_server, first.address, first.address)
    received(mail_server, first)


def test_without_the_policy_service(ada: Person, mail_server: PrivateMailServer) -> None:
    first = inbox(ada, "ada@ada.test")
    with mail_server.reconfigured(policy=True, fails="closed"):
        with pytest.raises(smtplib.SMTPDataError) as later:
            send(mail_server, first.address, first.address)
        assert reply(later).startswith("451 4.3.5")
        with mail_server.reconfigured(policy=True, fails="open"):
            send(mail_server, first.address, first.address)
    received(mail_server, first)


def test_a_full_disk_delays_mail_and_loses_none(
    ada: Person, mail_server: PrivateMailServer
) -> None:
    first = inbox(ada, "ada@ada.test")
    big = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 8_000
    with mail_server.tiny_disk(first, size="300k"):
        send(mail_server, first.address, first.address, text=big)
        (waiting,) = eventually(
            lambda: [row for row in mail_server.queue() if row["queue_name"] == "deferred"],
            why=mail_server.complaints,
        )
        assert "said: 451 4.2.0" in waiting["recipients"][0]["delay_reason"]
        assert mail_server.inbox(first) == []
    mail_server.flush()
    assert len(received(mail_server, first)) == 1
