"""What became of sent mail, read from lines as Postfix writes them."""

import os
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import CommandError

from deliverability import pausing
from deliverability.bounces import Entry, parse, read_log
from deliverability.limits import today
from deliverability.models import QueuedMessage, SendingDay
from events.models import Event
from mailboxes.models import Mailbox
from mailservers.models import LogPosition
from tests.cast import Person
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db
HEAD = "Nov 21 17:50:23 mx"


def signed(queue_id: str) -> str:
    return f"{HEAD} postfix/signed/smtpd[91]: {queue_id}: client=localhost[127.0.0.1]"


def sender(queue_id: str, address: str) -> str:
    return (
        f"{HEAD} postfix/qmgr[12]: {queue_id}: from=<{address}>, size=612, nrcpt=1 (queue active)"
    )


def fate(
    queue_id: str,
    to: str,
    status: str,
    *,
    dsn: str = "2.0.0",
    relay: str = "mx.far.test[192.0.2.1]:25",
) -> str:
    return (
        f"{HEAD} postfix/smtp[13]: {queue_id}: to=<{to}>, relay={relay}, delay=0.1, "
        f"delays=0.01/0/0.05/0.04, dsn={dsn}, status={status} (said so)"
    )


def removed(queue_id: str) -> str:
    return f"{HEAD} postfix/qmgr[12]: {queue_id}: removed"


class Log:
    """A log file that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def add(self, *lines: str) -> int:
        """Add these, and read what is new."""
        with self.path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
        return read_log(self.path)

    def message(self, queue_id: str, address: str, *outcomes: str) -> int:
        return self.add(signed(queue_id), sender(queue_id, address), *outcomes, removed(queue_id))


@pytest.fixture
def log(tmp_path: Path, settings: LazySettings) -> Log:
    settings.MAILSIGNER_ADDRESS = "127.0.0.1:10025"
    return Log(tmp_path / "mail.log")


@pytest.fixture
def box(ada: Person) -> Mailbox:
    return estate(ada, inboxes=1).mailboxes[0]


def counts(subject: UUID) -> Counter[str]:
    row = SendingDay.objects.filter(subject_id=subject, day=today()).first()
    names = ("delivered", "deferred", "bounced")
    return Counter({name: getattr(row, name) for name in names} if row else {})


def test_every_recipient_counts_for_mailbox_domain_and_tenant(log: Log, box: Mailbox) -> None:
    log.message(
        "4F1A2B3C4D",
        box.address,
        fate("4F1A2B3C4D", "a@far.test", "sent"),
        fate("4F1A2B3C4D", "b@far.test", "bounced", dsn="5.1.1"),
    )
    for subject in (box.pk, box.domain_id, box.tenant_id):
        assert counts(subject) == {"delivered": 1, "deferred": 0, "bounced": 1}
    assert not QueuedMessage.objects.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        # Postfix 3.7, then 3.10, which names the queue id and the login in more places.
        ("smtpd[9]: lost connection after DATA from a[192.0.2.1]", None),
        ("smtpd[9]: ABCDEF1: lost connection after DATA from a[192.0.2.1]", None),
        ("smtpd[9]: NOQUEUE: lost connection after AUTH from a[192.0.2.1]", None),
        (
            "smtpd[9]: ABCDEF1: reject: RCPT from a[192.0.2.1]: 450 4.7.1 <x@y.test>: later; "
            "from=<ada@ada.test> to=<x@y.test> proto=ESMTP helo=<a> sasl_method=PLAIN "
            "sasl_username=ada@ada.test",
            None,
        ),
        ("cleanup[9]: ABCDEF1: removed (canceled)", None),
        (
            "smtpd[9]: ABCDEF1: client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=ada@ada.test",
            Entry("login", "ABCDEF1", "ada@ada.test"),
        ),
        ("qmgr[9]: ABCDEF1: removed", Entry("removed", "ABCDEF1")),
    ],
)
def test_lines_of_both_releases_of_postfix(line: str, said: Entry | None) -> None:
    assert parse(f"{HEAD} postfix/{line}", signer_port="10025") == said


def test_what_a_stranger_writes_into_a_line_is_no_line(log: Log, box: Mailbox) -> None:
    login = f"postfix/smtpd[1]: BBBBBB: client=a, sasl_username={box.address}, x"
    bounce = "postfix/smtp[1]: BBBBBB: to=<>, relay=a, dsn=5.0.0, status=bounced x"
    for text in (login, bounce, f"{HEAD} {login}", f"{HEAD} {bounce}"):
        log.add(
            f"{HEAD} postfix/smtpd[9]: NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 <x@y.test>: "
            f'Recipient address rejected; from=<"{text}"@z.test> to=<x@y.test> helo=<a>'
        )
    assert counts(box.pk) == {}
    assert not QueuedMessage.objects.exists()


def test_an_address_with_an_extension_is_the_mailboxs(log: Log, box: Mailbox) -> None:
    address = box.address.replace("@", "+lists@")
    log.message("4F1A2B3C4D", address, fate("4F1A2B3C4D", "b@far.test", "bounced", dsn="5.1.1"))
    assert counts(box.pk)["bounced"] == 1


def test_nothing_counts_twice_and_half_a_line_waits(log: Log, box: Mailbox) -> None:
    log.message("4F1A2B3C4D", box.address, fate("4F1A2B3C4D", "a@far.test", "sent"))
    assert read_log(log.path) == 0
    log.add(signed("5F1A2B3C4D"), sender("5F1A2B3C4D", box.address))
    with log.path.open("a") as file:
        file.write(fate("5F1A2B3C4D", "a@far.test", "sent"))
    assert read_log(log.path) == 0
    log.add("", removed("5F1A2B3C4D"))
    assert counts(box.pk)["delivered"] == 2


def test_a_message_is_followed_over_several_readings(log: Log, box: Mailbox) -> None:
    log.add(signed("4F1A2B3C4D"))
    log.add(sender("4F1A2B3C4D", box.address))
    for _ in range(3):
        log.add(fate("4F1A2B3C4D", "a@far.test", "deferred", dsn="4.4.1", relay="none"))
    assert counts(box.pk) == {"delivered": 0, "deferred": 1, "bounced": 0}
    log.add(fate("4F1A2B3C4D", "a@far.test", "expired", dsn="4.4.1"), removed("4F1A2B3C4D"))
    assert counts(box.pk) == {"delivered": 0, "deferred": 1, "bounced": 1}


def test_a_rotated_log_is_read_to_its_end(log: Log, box: Mailbox) -> None:
    log.add(signed("4F1A2B3C4D"), sender("4F1A2B3C4D", box.address))
    with log.path.open("a") as file:
        file.write(fate("4F1A2B3C4D", "a@far.test", "sent") + "\n")
    log.path.rename(log.path.with_name("mail.log.1"))
    log.path.touch()
    log.message("5F1A2B3C4D", box.address, fate("5F1A2B3C4D", "b@far.test", "sent"))
    assert counts(box.pk)["delivered"] == 2


def test_a_log_that_was_cut_is_read_from_its_beginning(log: Log, box: Mailbox) -> None:
    log.add("x" * 500, "y" * 500)
    os.truncate(log.path, 0)
    log.message("4F1A2B3C4D", box.address, fate("4F1A2B3C4D", "a@far.test", "sent"))
    assert counts(box.pk)["delivered"] == 1


def test_mail_that_came_in_with_a_forged_sender_does_not_count(log: Log, box: Mailbox) -> None:
    log.add(
        f"{HEAD} postfix/smtpd[9]: 4F1A2B3C4D: client=unknown[192.0.2.7]",
        sender("4F1A2B3C4D", box.address),
        fate("4F1A2B3C4D", "a@far.test", "bounced", dsn="5.1.1"),
    )
    assert not counts(box.pk)


def test_handing_over_to_the_signer_is_no_delivery() -> None:
    line = fate("4F1A2B3C4D", "a@far.test", "sent", relay="127.0.0.1[127.0.0.1]:10025")
    assert parse(line, signer_port="10025") is None
    assert parse(line, signer_port="10099") == Entry("fate", "4F1A2B3C4D", "a@far.test", "sent")


def test_a_login_names_the_mailbox_without_a_signer(log: Log, box: Mailbox) -> None:
    log.add(
        f"{HEAD} postfix/submission/smtpd[9]: 4F1A2B3C4D: client=far[192.0.2.7], "
        f"sasl_method=PLAIN, sasl_username={box.address}",
        sender("4F1A2B3C4D", "alias@example.test"),
        fate("4F1A2B3C4D", "a@far.test", "sent"),
    )
    assert counts(box.pk)["delivered"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        "postfix/qmgr[1]: NOQUEUE: from=<>",
        f"{HEAD} postfix/smtp[13]: 4F1A2B3C4D: to=<unclosed",
        f"{HEAD} postfix/smtp[13]: 4F1A2B3C4D: to=<a@b>, relay=x, dsn=9.9.9, status=sent",
        f"{HEAD} postfix/cleanup[1]: 4F1A2B3C4D: message-id=<status=sent to=<a@b>>",
        "\x00" * 200,
    ],
)
def test_lines_that_say_nothing_are_passed_over(line: str) -> None:
    assert parse(line, signer_port="1") is None


def test_the_command_reads_once_and_explains_what_is_wrong(log: Log, box: Mailbox) -> None:
    log.message("4F1A2B3C4D", box.address)
    call_command("maillog", file=log.path)
    assert LogPosition.objects.get().offset == log.path.stat().st_size
    with pytest.raises(CommandError, match="no mail server"):
        call_command("maillog", file=log.path, server="nowhere")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("maillog", file=log.path.with_name("other"))


# --- Pausing ---------------------------------------------------------------------------------


def bounced(log: Log, box: Mailbox, *, lost: int, delivered: int) -> None:
    outcomes = [fate("4F1A2B3C4D", f"l{n}@far.test", "bounced", dsn="5.1.1") for n in range(lost)]
    outcomes += [fate("4F1A2B3C4D", f"d{n}@far.test", "sent") for n in range(delivered)]
    log.message("4F1A2B3C4D", box.address, *outcomes)


def test_sending_pauses_with_its_reason(log: Log, box: Mailbox) -> None:
    bounced(log, box, lost=3, delivered=27)
    pausing.sweep()
    pausing.sweep()
    box.refresh_from_db()
    assert box.paused_at is not None
    assert box.paused_reason.startswith("3 of the 30 recipients of the last 7 days bounced (10%).")
    assert Event.objects.filter(action="mailbox.paused").count() == 1


@pytest.mark.parametrize(("lost", "delivered"), [(20, 4), (2, 40), (0, 40)])
def test_few_or_rare_bounces_pause_nothing(
    log: Log, box: Mailbox, lost: int, delivered: int
) -> None:
    bounced(log, box, lost=lost, delivered=delivered)
    pausing.sweep()
    box.refresh_from_db()
    assert box.paused_at is None


def test_old_bounces_do_not_pause_what_a_person_resumed(log: Log, box: Mailbox) -> None:
    bounced(log, box, lost=10, delivered=20)
    Mailbox.objects.filter(pk=box.pk).update(resumed_on=today())
    pausing.sweep()
    box.refresh_from_db()
    assert box.paused_at is None
