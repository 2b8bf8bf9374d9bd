"""Submission, the catch-all and IMAP, with Python's own clients."""

import imaplib
import smtplib
import sqlite3
import ssl
import time
from email.message import EmailMessage
from typing import Any

import pytest

from tests.sandboxes import RunningSandbox

from .conftest import MailDatabase, blf_crypt, ssha512

ADA = ("ada@example.test", "ada's password")
BO = ("bo@example.test", "bo's password")


def trust(sandbox: RunningSandbox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=sandbox.ca_file)


def connect(sandbox: RunningSandbox) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", sandbox.submission_port, timeout=60)
    client.starttls(context=trust(sandbox))
    return client


def log_in(sandbox: RunningSandbox, email: str, password: str) -> smtplib.SMTP:
    client = connect(sandbox)
    try:
        client.login(email, password)
    except smtplib.SMTPException:
        client.close()
        raise
    return client


def imap(sandbox: RunningSandbox) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("localhost", sandbox.imaps_port, ssl_context=trust(sandbox))


def message(
    sender: str, to: str, subject: str = "Hello", text: str = "Some text\n"
) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail.set_content(text)
    return mail


@pytest.fixture
def sandbox(sandbox: RunningSandbox, mailboxes: MailDatabase) -> RunningSandbox:
    return sandbox


class TestSubmission:
    @pytest.mark.parametrize("login", [ADA, BO, ("ADA@Example.TEST", ADA[1])])
    @pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
    def test_provisioned_login_is_accepted(self, sandbox, login, mechanism):
        with connect(sandbox) as client:
            client.ehlo()
            assert set(client.esmtp_features["auth"].split()) == {"LOGIN", "PLAIN"}
            client.user, client.password = login
            name = mechanism.removeprefix("auth_").upper()
            assert client.auth(name, getattr(client, mechanism))[0] == 235

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            (ADA[0], "wrong"),
            (BO[0], "wrong"),
            (ADA[0], BO[1]),
            ("cy@example.test", "x"),
            (ADA[0], ""),
        ],
    )
    def test_any_other_login_is_refused(self, sandbox, email, password):
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            log_in(sandbox, email, password)
        assert refused.value.smtp_code == 535

    def test_nothing_before_tls(self, sandbox):
        with smtplib.SMTP("localhost", sandbox.submission_port, timeout=60) as client:
            client.ehlo()
            assert client.has_extn("starttls")
            assert not client.has_extn("auth")
            assert client.docmd("AUTH", "PLAIN AGFkYQB4")[0] == 530
            assert client.docmd("MAIL", "FROM:<ada@example.test>")[0] == 530

    def test_nothing_before_login(self, sandbox):
        with connect(sandbox) as client:
            client.ehlo()
            code, text = client.docmd("MAIL", "FROM:<ada@example.test>")
        assert (code, text[:5]) == (530, b"5.7.0")

    def test_certificate_is_checked_by_strangers(self, sandbox):
        with (
            smtplib.SMTP("localhost", sandbox.submission_port, timeout=60) as client,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            client.starttls(context=ssl.create_default_context())

    def test_only_the_own_address_may_send(self, sandbox):
        with log_in(sandbox, *ADA) as client:
            code, text = client.docmd("MAIL", "FROM:<bo@example.test>")
            assert code == 553
            assert b"5.7.1" in text
            assert b"Sender address rejected: not owned by user ada@example.test" in text
            assert client.mail("Ada@example.test")[0] == 250

    def test_changes_count_at_once(self, sandbox, mailboxes):
        log_in(sandbox, *BO).quit()
        mailboxes.add(BO[0], ssha512("another"))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            log_in(sandbox, *BO)
        log_in(sandbox, BO[0], "another").quit()
        mailboxes.execute("DELETE FROM mail_login WHERE email = ?", BO[0])
        with pytest.raises(smtplib.SMTPAuthenticationError):
            log_in(sandbox, BO[0], "another")

    @pytest.mark.parametrize("stored", ["plain", "{PLAIN}x", "{SSHA512}?", "{BLF-CRYPT}?"])
    def test_unreadable_password_is_a_temporary_failure(self, sandbox, mailboxes, stored):
        mailboxes.add(BO[0], stored)
        with pytest.raises(smtplib.SMTPResponseException) as failed:
            log_in(sandbox, *BO)
        assert (failed.value.smtp_code, failed.value.smtp_error[:5]) == (454, b"4.7.0")

    def test_long_password_is_cut_as_bcrypt_does(self, sandbox, mailboxes):
        mailboxes.add(ADA[0], blf_crypt("p" * 72))
        log_in(sandbox, ADA[0], "p" * 72).quit()

    def test_missing_database_is_a_temporary_failure(self, tmp_path):
        with RunningSandbox(tmp_path) as sandbox:
            with pytest.raises(smtplib.SMTPResponseException) as failed:
                log_in(sandbox, *ADA)
            assert failed.value.smtp_code == 454
            with imap(sandbox) as client, pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
                client.login(*ADA)
            # Once the views are there, the same process serves them.
            MailDatabase(tmp_path / "nothing.sqlite3").add(ADA[0], blf_crypt(ADA[1]))
            log_in(sandbox, *ADA).quit()

    def test_writer_holds_nobody_up(self, sandbox, mailboxes):
        writer = sqlite3.connect(mailboxes.path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE mail_login SET password = 'x'")
        log_in(sandbox, *ADA).quit()
        writer.execute("ROLLBACK")
        writer.close()


class TestDelivery:
    def test_mail_to_an_inbox_is_read_there(self, sandbox):
        with log_in(sandbox, *ADA) as client:
            client.send_message(message(ADA[0], BO[0], "To Bo", "Line\n.\n.dot\n"))
        with imap(sandbox) as client:
            client.login(*BO)
            assert client.select("INBOX") == ("OK", [b"1"])
            found: Any = client.fetch("1", "(RFC822)")[1]
            assert b"Subject: To Bo\r\n" in found[0][1]
            assert found[0][1].endswith(b"\r\n\r\nLine\r\n.\r\n.dot\r\n")
        with imap(sandbox) as client:
            client.login(*ADA)
            assert client.select("INBOX") == ("OK", [b"0"])

    def test_mail_to_elsewhere_is_kept_as_leaving(self, sandbox):
        with log_in(sandbox, *ADA) as client:
            client.send_message(message(ADA[0], f"cy@elsewhere.test, {BO[0]}", "Away"))
        kinds = {mail["kind"]: mail for mail in sandbox.mails()}
        assert kinds["outgoing"]["to"] == ["cy@elsewhere.test"]
        assert kinds["outgoing"]["subject"] == "Away"
        assert kinds["delivered"]["mailbox"] == BO[0]

    def test_catch_all_keeps_what_the_panel_sends(self, sandbox):
        for number in (1, 2):
            with smtplib.SMTP("localhost", sandbox.system_mail_port, timeout=60) as client:
                client.send_message(
                    message(
                        "noreply@localhost", "Cy@Elsewhere.test", f"Code {number}", "ä 123456\n"
                    )
                )
        newest, oldest = sandbox.mails(to="cy@elsewhere.test")
        assert (newest["subject"], oldest["subject"]) == ("Code 2", "Code 1")
        assert newest["text"].strip() == "ä 123456"
        assert newest["from"] == "noreply@localhost"
        assert newest["received_at"] == pytest.approx(time.time(), abs=10)
        assert sandbox.mails(to="elsewhere.test") == []


class TestImap:
    @pytest.fixture
    def inbox(self, sandbox):
        """Bo's connection, with two messages in the inbox."""
        with log_in(sandbox, *ADA) as client:
            for subject in ("First", "Second"):
                client.send_message(message(ADA[0], BO[0], subject))
        with imap(sandbox) as client:
            client.login(*BO)
            client.select("INBOX")
            yield client

    def test_logins_are_those_of_submission(self, sandbox):
        for login in (ADA, BO):
            with imap(sandbox) as client:
                assert client.login(*login)[0] == "OK"
        for login in ((ADA[0], "wrong"), ("cy@example.test", "x")):
            with imap(sandbox) as client:
                with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                    client.login(*login)
                # The connection can still be used.
                assert client.login(*BO)[0] == "OK"

    def test_authenticate_plain(self, sandbox):
        with imap(sandbox) as client:
            given = f"\0{BO[0]}\0{BO[1]}".encode()
            assert client.authenticate("PLAIN", lambda _: given)[0] == "OK"

    def test_list_and_status(self, inbox):
        assert [line.split()[-1] for line in inbox.list()[1]] == [b'"INBOX"']
        assert inbox.status("INBOX", "(MESSAGES UNSEEN UIDNEXT)")[0] == "OK"
        assert inbox.select("Archive")[0] == "NO"

    def test_fetch_parts_flags_and_search(self, inbox):
        _, found = inbox.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        subjects = [part[1].strip() for part in found if isinstance(part, tuple)]
        assert subjects == [b"Subject: First", b"Subject: Second"]
        _, found = inbox.fetch("2", "(ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE)")
        assert b'"Second"' in found[0]
        _, found = inbox.fetch("2", "(BODY[TEXT])")
        assert found[0][1] == b"Some text\r\n"
        inbox.store("1", "+FLAGS", r"(\Seen)")
        assert inbox.search(None, "UNSEEN")[1] == [b"2"]
        assert inbox.uid("SEARCH", "ALL")[1][0].count(b" ") == 1

    def test_flags_and_expunge_last(self, inbox, sandbox):
        inbox.store("1", "+FLAGS", r"(\Deleted \Seen)")
        assert inbox.expunge()[1] == [b"1"]
        with imap(sandbox) as again:
            again.login(*BO)
            assert again.select("INBOX")[1] == [b"1"]
            _, found = again.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            assert b"Second" in found[0][1]

    def test_new_mail_shows_after_noop(self, inbox, sandbox):
        with log_in(sandbox, *ADA) as client:
            client.send_message(message(ADA[0], BO[0], "Third"))
        inbox.noop()
        assert inbox.response("EXISTS")[1][-1] == b"3"


class TestFaults:
    def test_refused_connections(self, sandbox):
        sandbox.fault("smtp", "refuse")
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("localhost", sandbox.submission_port, timeout=60)
        assert refused.value.smtp_code == 421
        sandbox.fault("imap", "refuse")
        with pytest.raises(imaplib.IMAP4.error, match="BYE"):
            imap(sandbox)
        assert sandbox.faults() == []

    def test_rejected_and_slow_logins(self, sandbox):
        for service in ("smtp", "imap"):
            sandbox.fault(service, "reject_auth")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            log_in(sandbox, *ADA)
        with imap(sandbox) as client, pytest.raises(imaplib.IMAP4.error):
            client.login(*ADA)
        for service in ("smtp", "imap"):
            sandbox.fault(service, "delay", delay=0.3)
        began = time.monotonic()
        log_in(sandbox, *ADA).quit()
        assert time.monotonic() - began >= 0.3
        with imap(sandbox) as client:
            began = time.monotonic()
            client.login(*ADA)
            assert time.monotonic() - began >= 0.3
