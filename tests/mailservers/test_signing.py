"""The signer between Postfix and the next hop: real SMTP on both sides, real rows, real keys."""

import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dnszones.dkim.keys import dkim_key
from dnszones.models import DkimKey, Zone
from mailboxes.models import Alias, Mailbox
from mailservers.signing.keys import KeyRing
from mailservers.signing.signatures import Unsignable, authors, domain_of, sign
from tests.cast import Person
from tests.processes import Process
from tests.signers import NextHopServer, RunningSigner, Taken, free_port, verifies, wait_for
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db(transaction=True)

OURS = "example.test"
PLAIN = b"From: Ada <ada@example.test>\r\nTo: cy@else.test\r\nSubject: Hello\r\n\r\nHi.\r\n"


@dataclass
class Line:
    """A signer, its next hop, and what is published for the domain."""

    zone: Zone
    hop: NextHopServer
    running: RunningSigner

    @property
    def published(self) -> dict[str, str]:
        return {
            f"{key.selector}._domainkey.{self.zone.domain.name}": key.public_value
            for key in self.zone.dkim_keys.all()
        }

    def send(
        self, message: bytes, *, sender: str = f"ada@{OURS}", options: tuple[str, ...] = ()
    ) -> Taken:
        with self.running.connect() as smtp:
            refused = smtp.sendmail(sender, ["cy@else.test"], message, options)
        assert refused == {}
        return self.hop.taken[-1]


@pytest.fixture
def line(ada: Person) -> Iterator[Line]:
    """Ada's domain, and a signer that knows it."""
    zone = estate(ada, OURS).zone
    with NextHopServer() as hop, RunningSigner(hop) as running:
        yield Line(zone, hop, running)


def signatures(message: bytes) -> list[bytes]:
    head = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    return re.findall(rb"(?mi)^dkim-signature:(?:.*\r\n)(?:[ \t].*\r\n)*", head)


def test_a_message_leaves_signed_by_the_published_key(line: Line) -> None:
    taken = line.send(PLAIN)
    assert (taken.sender, taken.recipients) == (f"ada@{OURS}", ("cy@else.test",))
    assert taken.content.endswith(PLAIN), "nothing that was there is changed"
    (signature,) = signatures(taken.content)
    tags = re.sub(rb"\s", b"", signature)
    assert b"d=example.test;" in tags
    assert b"s=mpanel;" in tags
    assert b"a=rsa-sha256;c=relaxed/relaxed;" in tags
    assert b";l=" not in tags
    assert verifies(taken.content, line.published)


def test_a_changed_message_does_not_verify(line: Line) -> None:
    taken = line.send(PLAIN)
    for old, new in (
        (b"Hi.", b"Ho."),
        (b"Subject: Hello", b"Subject: Pay"),
        (b"From: Ada", b"From: Eve"),
    ):
        changed = taken.content.replace(old, new)
        assert changed != taken.content
        assert not verifies(changed, line.published), new


def test_a_header_that_is_added_later_breaks_the_signature(line: Line) -> None:
    taken = line.send(PLAIN)
    assert verifies(b"X-Any: x\r\n" + taken.content, line.published)
    for header in (
        b"From: eve@else.test",
        b"Subject: Pay",
        b"To: all@else.test",
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000",
        b"Message-ID: <a@b>",
        b"MIME-Version: 1.0",
        b"Content-Type: text/html",
        b"Content-Transfer-Encoding: base64",
        b"Reply-To: eve@else.test",
        b"Cc: eve@else.test",
    ):
        assert not verifies(header + b"\r\n" + taken.content, line.published), header


ODD = {
    "empty body": PLAIN.partition(b"Hi.")[0],
    "no body at all": PLAIN.partition(b"\r\n\r\nHi.")[0] + b"\r\n",
    "no final newline": PLAIN.rstrip(),
    "bare line feeds": PLAIN.replace(b"\r\n", b"\n"),
    "dots": PLAIN + b".\r\n..\r\n.hidden\r\n\r\n",
    "trailing space and lines": PLAIN + b"a  \t b \t\r\n\r\n\r\n\r\n",
    "runs of spaces": PLAIN + (b" " * 997 + b"x \t\r\n" + b"\t " * 400 + b"\r\n") * 9 + b" \t",
    "long lines": PLAIN + b"x" * 1990 + b"\r\n" + b"word " * 200 + b"\r\n",
    "eight bits": PLAIN + "Grüße, ж\r\n".encode() + b"\xff\xfe\x00\r\n",
    "folded headers": PLAIN.replace(b"Hello", b"Hello\r\n\tagain,\r\n  and again"),
    "colon and semicolon": PLAIN.replace(b"Hello", b"b=; bh=; d=else.test"),
    "huge": PLAIN + (b"y" * 76 + b"\r\n") * 60_000,
}


def test_messages_of_every_shape_verify(line: Line) -> None:
    for name, message in ODD.items():
        taken = line.send(message, options=("BODY=8BITMIME",))
        assert verifies(taken.content, line.published), name
        assert len(taken.content) >= len(message), name
        assert "BODY=8BITMIME" in taken.options


def test_a_body_of_spaces_holds_up_nobody(line: Line) -> None:
    key = KeyRing().key_of(OURS)
    assert key
    started = time.process_time()
    signed = sign(PLAIN + (b" " * 997 + b"x\r\n") * 2_000, key)
    assert time.process_time() - started < 2
    assert verifies(sign(PLAIN + b" x  y \r\n \r\n", key), line.published)
    assert signed.endswith(b" x\r\n")


def test_what_is_missing_is_added_before_it_is_signed(line: Line) -> None:
    added = line.send(PLAIN).content
    assert len(re.findall(rb"(?m)^Date: .*\+0000|^Message-ID: <.+@example\.test>", added)) == 2
    mine = b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n" + PLAIN
    assert line.send(mine).content.endswith(b"\r\n" + mine)


def test_an_older_signature_stays(line: Line) -> None:
    first = line.send(PLAIN).content
    second = line.send(first).content
    assert len(signatures(second)) == 2
    assert second.endswith(first)
    assert verifies(second, line.published, which=0)
    assert verifies(second, line.published, which=1)


def test_international_addresses_pass(line: Line) -> None:
    message = PLAIN.replace(b"Ada <ada@", "Äda <ädä@".encode())
    taken = line.send(message, sender=f"ädä@{OURS}", options=("SMTPUTF8", "BODY=8BITMIME"))
    assert taken.sender == f"ädä@{OURS}"
    assert "SMTPUTF8" in taken.options
    assert verifies(taken.content, line.published)


def test_the_domain_that_sends_signs_whoever_the_author_is(line: Line) -> None:
    for sender, author in (
        (f"ada@{OURS}", "cy@else.test"),  # who may write as outsiders; mail that is forwarded
        (f"ada@{OURS}", f"cy@sub.{OURS}"),
        ("", f"ada@{OURS}"),  # a vacation reply
    ):
        taken = line.send(PLAIN.replace(b"ada@example.test", author.encode()), sender=sender)
        assert verifies(taken.content, line.published), (sender, author)
        assert taken.sender == (sender or "<>")


def test_what_nobody_here_sends_passes_unsigned(line: Line) -> None:
    for sender, author in (
        ("cy@else.test", "cy@else.test"),
        ("cy@else.test", f"ada@{OURS}"),
        ("", "cy@else.test"),
        ("", f"ada@{OURS}, cy@else.test"),
    ):
        taken = line.send(PLAIN.replace(b"ada@example.test", author.encode()), sender=sender)
        assert signatures(taken.content) == [], (sender, author)


def test_a_domain_that_is_not_verified_is_not_signed_for(line: Line) -> None:
    domain = line.zone.domain
    domain.verified_at = None
    domain.save()
    assert signatures(line.send(PLAIN).content) == []


def test_what_cannot_be_signed_is_refused_for_good(line: Line) -> None:
    for head in (
        b"Subject: nobody\r\n",
        b"From: ada@example.test\r\nFrom: eve@else.test\r\n",
        b"From: ada@example.test\r\n\xff\xff\xff no header\r\n",
        b"Received: x\r\n" * 51 + b"From: ada@example.test\r\n",
        b"From: " + b"a:" * 900 + b"\r\n",
        b"From: " + b"(" * 900 + b")" * 900 + b" ada@example.test\r\n",
        b"From: ada@example.test\r\n" + b"X-A: b\r\n" * 75_000,
    ):
        with pytest.raises(smtplib.SMTPDataError) as caught:
            line.send(head + b"\r\nHi.\r\n")
        assert caught.value.smtp_code == 554, head
    assert line.hop.taken == []


def test_several_messages_go_over_one_connection(line: Line) -> None:
    with line.running.connect() as smtp:
        for number in range(3):
            smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN + b"%d\r\n" % number)
        smtp.mail(f"ada@{OURS}")
        smtp.rset()
        line.hop.replies["DATA"] = "554 5.7.1 Spam"
        with pytest.raises(smtplib.SMTPDataError):
            smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
        del line.hop.replies["DATA"]
        smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
    assert len(line.hop.taken) == 4
    assert all(verifies(taken.content, line.published) for taken in line.hop.taken)


def test_the_next_hops_refusal_is_passed_on(line: Line) -> None:
    for where, reply in (
        ("MAIL", "550 5.7.1 Not you"),
        ("cy@else.test", "550 5.1.1 No such user"),
        ("cy@else.test", "452 4.2.2 Full"),
        ("DATA", "554 5.7.1 Spam"),
        ("DATA", "451 4.3.0 Later"),
    ):
        line.hop.replies = {where: reply}
        with pytest.raises(smtplib.SMTPException) as caught:
            line.send(PLAIN)
        code, _, text = reply.partition(" ")
        assert code in str(caught.value)
        assert text in str(caught.value)
    assert line.hop.taken == []


def test_one_refused_recipient_keeps_nobody_else_from_the_mail(line: Line) -> None:
    line.hop.replies["nobody@else.test"] = "550 5.1.1 No such user"
    with line.running.connect() as smtp:
        refused = smtp.sendmail(f"ada@{OURS}", ["nobody@else.test", "cy@else.test"], PLAIN)
    assert {address: code for address, (code, _) in refused.items()} == {"nobody@else.test": 550}
    assert [taken.recipients for taken in line.hop.taken] == [("cy@else.test",)]


def test_a_next_hop_that_is_down_means_later(line: Line) -> None:
    with line.running.connect() as smtp:
        smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
        line.hop.stop()
        assert smtp.mail(f"ada@{OURS}")[0] == 451
        line.hop.start()
        smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
        # It dies between the recipients and the message.
        smtp.mail(f"ada@{OURS}")
        smtp.rcpt("cy@else.test")
        line.hop.stop()
        assert smtp.data(PLAIN)[0] == 451
        line.hop.start()
        smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
    assert len(line.hop.taken) == 3


def test_a_new_key_signs_without_a_restart(line: Line) -> None:
    line.send(PLAIN)
    ring = line.running.signer.ring
    DkimKey.objects.filter(zone=line.zone).update(status=DkimKey.RETIRING)
    new = dkim_key(line.zone, "next1")
    assert new.status == DkimKey.SIGNING
    assert b"s=mpanel;" in line.send(PLAIN).content, "kept for less than a minute"
    ring._kept = {name: (0.0, key) for name, (_, key) in ring._kept.items()}  # a minute passes
    assert b"s=next1;" in line.send(PLAIN).content
    assert verifies(line.hop.taken[-1].content, line.published)


def test_keys_are_forgotten(line: Line) -> None:
    ring = KeyRing(life=0.0)
    assert ring.key_of(OURS) is not None
    assert len(ring) == 1
    ring.forget_old()
    assert len(ring) == 0
    key = KeyRing().key_of(OURS)
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize("change", [{"status": "next"}, {"sealed": "v1.test.AAAA"}])
def test_mail_waits_while_no_key_can_sign(line: Line, change: dict[str, Any]) -> None:
    DkimKey.objects.filter(zone=line.zone).update(**change)
    with pytest.raises(smtplib.SMTPDataError) as caught:
        line.send(PLAIN)
    assert caught.value.smtp_code == 451
    assert line.hop.taken == []


def test_a_message_that_is_too_large_is_refused_and_the_next_one_passes(line: Line) -> None:
    with line.running.connect() as smtp:
        smtp.ehlo()
        limit = int(smtp.esmtp_features["size"])
        assert smtp.docmd(f"MAIL FROM:<ada@{OURS}> SIZE={limit + 1}")[0] == 552
        smtp.mail(f"ada@{OURS}")
        smtp.rcpt("cy@else.test")
        assert smtp.data(PLAIN + b"x" * 4000 + b"\r\n")[0] == 500  # a line that no Postfix sends
        smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
    assert len(line.hop.taken) == 1


def test_the_command_signs_and_stops_when_told(line: Line, tmp_path: Any) -> None:
    port = free_port()
    where = {
        "MAILSIGNER_ADDRESS": f"127.0.0.1:{port}",
        "MAILSIGNER_NEXT_HOP": f"127.0.0.1:{line.hop.port}",
        "LOG_LEVEL": "INFO",
    }
    with Process("mailsigner", **where) as process:
        wait_for(port)
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
            smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN.replace(b"Hi.", b"Our secret."))
        assert verifies(line.hop.taken[-1].content, line.published)
        assert process.terminate() == 0
        assert f"signed d={OURS} s=mpanel" in process.output
        assert "secret" not in process.output
        assert "PRIVATE" not in process.output


def test_without_the_database_the_command_answers_later(line: Line, tmp_path: Any) -> None:
    port = free_port()
    where = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3",
        "MAILSIGNER_ADDRESS": f"127.0.0.1:{port}",
        "MAILSIGNER_NEXT_HOP": f"127.0.0.1:{line.hop.port}",
    }
    with Process("mailsigner", **where):
        wait_for(port)
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
            with pytest.raises(smtplib.SMTPDataError) as caught:
                smtp.sendmail(f"ada@{OURS}", ["cy@else.test"], PLAIN)
            assert caught.value.smtp_code == 451
            # What nobody's domain sends needs no key.
            report = PLAIN.replace(b"From: Ada <ada@example.test>", b"From: a@x.test, b@y.test")
            smtp.sendmail("", ["cy@else.test"], report)
    assert len(line.hop.taken) == 1


def test_it_listens_on_this_machine_only(db: None) -> None:
    with Process("mailsigner", MAILSIGNER_ADDRESS="0.0.0.0:10025") as process:
        assert process.wait(120) != 0
        assert "of this machine" in process.output


def test_signing_says_why_it_cannot(line: Line) -> None:
    key = KeyRing().key_of(OURS)
    assert key is not None
    with pytest.raises(Unsignable):
        sign(b"From: a@example.test\r\n\xff\xff\r\n\r\n", key)


def test_who_the_author_is() -> None:
    for value, domains in (
        ("Ada <ada@Example.TEST>", {"example.test"}),
        ('"eve@else.test" <ada@example.test>', {"example.test"}),
        ("a@example.test, b@else.test", {"example.test", "else.test"}),
        ("ada@exämple.test", {"xn--exmple-cua.test"}),
        ("Ada <ada@example.test", {"example.test"}),
        ("ada@example.test <eve@else.test>", {""}),
        ("", {""}),
    ):
        (found,) = authors(f"From: {value}\r\n\r\n".encode())
        assert {domain_of(author) for author in found} == domains, value


def test_a_mailbox_writes_as_itself_and_its_aliases_only(line: Line) -> None:
    first, second = Mailbox.objects.order_by("address")
    Mailbox.objects.update(password_hash="x")
    Alias.objects.create(
        tenant=first.tenant,
        domain=first.domain,
        mailbox=first,
        local_part="team",
        address=f"team@{OURS}",
    )
    for author in (first.address, first.address.upper(), f"team@{OURS}"):
        taken = line.send(PLAIN.replace(b"ada@example.test", author.encode()), sender=first.address)
        assert verifies(taken.content, line.published), author
    for author in (second.address, f"nobody@{OURS}", f"{first.address}, {second.address}"):
        message = PLAIN.replace(b"<ada@example.test>", b"x").replace(b"Ada x", author.encode())
        with pytest.raises(smtplib.SMTPDataError) as refused:
            line.send(message, sender=first.address)
        assert refused.value.smtp_code == 554, author
        assert "5.7.1 The From header must be an address" in str(refused.value.smtp_error)
    for author in (f"{second.address}, cy@else.test", "x@sub.example.test, " + second.address):
        with pytest.raises(smtplib.SMTPDataError, match="From header must be an address"):
            line.send(b"From: %s\r\n\r\nHi.\r\n" % author.encode(), sender=first.address)
    for author in (f"Boss <{second.address}>,", f"{second.address} <{first.address}>", ""):
        with pytest.raises(smtplib.SMTPDataError, match="The From header cannot be read"):
            line.send(b"From: %s\r\n\r\nHi.\r\n" % author.encode(), sender=first.address)


def test_an_extension_leaves_the_address_the_mailboxs_own(line: Line) -> None:
    Mailbox.objects.update(password_hash="x")
    own, other = (mailbox.address for mailbox in Mailbox.objects.order_by("address"))
    extended = own.replace("@", "+Lists@")
    for sender, author in ((extended, own), (own, extended), (extended, extended)):
        taken = line.send(b"From: %s\r\n\r\nHi.\r\n" % author.encode(), sender=sender)
        assert verifies(taken.content, line.published), (sender, author)
    with pytest.raises(smtplib.SMTPDataError, match="From header must be an address"):
        line.send(b"From: %s\r\n\r\nHi.\r\n" % other.encode(), sender=extended)


def test_nobody_writes_as_another_domain_of_ours(line: Line, cy: Person) -> None:
    estate(cy, "else.test")
    with pytest.raises(smtplib.SMTPDataError, match="From header must be an address"):
        line.send(PLAIN.replace(b"ada@example.test", b"ceo@else.test"))
