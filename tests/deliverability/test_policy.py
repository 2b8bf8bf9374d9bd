"""The policy service: who may send how much, asked as Postfix asks, over real sockets."""

import logging
import os
import re
import signal
import smtplib
import ssl
import threading
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import bcrypt
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils import timezone

from billing.models import Account
from deliverability import protocol
from deliverability.counting import Over, count, sender_of
from deliverability.limits import today
from deliverability.models import SendingDay
from deliverability.policy import Policy, decide
from mailboxes.models import Mailbox
from mailboxes.services import place_domain
from mailservers.models import MailDomain
from mailservers.serving import LONGEST
from tenants.models import Tenant
from tests.cast import Person
from tests.policy import Postfix, policy_service, request, serving
from tests.processes import Process, at_once, eventually
from tests.sandboxes import RunningSandbox, find_free_port_block
from tests.wizard.rows import estate

NOW = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
real = pytest.mark.django_db(transaction=True)


@pytest.fixture
def box(ada: Person) -> Mailbox:
    """A mailbox of Ada's that works."""
    theirs = estate(ada, "ada.test")
    place_domain(theirs.domain)
    Account.objects.get_or_create(tenant=ada.tenant)
    return theirs.mailboxes[0]


def limit(box: Mailbox, number: int | None) -> None:
    Mailbox.objects.filter(pk=box.pk).update(daily_limit=number)


def sent(subject_id: UUID, day: date | None = None) -> int:
    rows = SendingDay.objects.filter(subject_id=subject_id, day=day or today())
    return sum(rows.values_list("sent", flat=True))


# --- Decisions -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_mailbox_sends_up_to_its_limit_and_is_told_when_it_may_again(box: Mailbox) -> None:
    limit(box, 3)
    assert decide(box.address, 2, now=NOW) == "DUNNO"
    assert decide(box.address, 2, now=NOW) == (
        "450 4.7.1 The daily limit of this mailbox is reached: 2 of 3 recipients used, 2 more asked"
        " for. It starts anew on 2026-11-22 at 00:00 UTC."
    )
    assert decide(box.address, 1, now=NOW) == "DUNNO"
    assert decide(box.address, 1, now=NOW).startswith("450 4.7.1 ")
    day = NOW.date()
    assert {sent(box.pk, day), sent(box.domain_id, day), sent(box.tenant_id, day)} == {3}
    assert decide(box.address, 4, now=NOW) == (
        "550 5.7.1 A message to 4 recipients is more than this mailbox may send today, which is 3."
    )
    # A second later it is another day.
    assert decide(box.address, 3, now=NOW + timedelta(seconds=1)) == "DUNNO"
    assert sent(box.pk, day) == 3


@pytest.mark.django_db
def test_the_usual_limit_and_the_ramp(box: Mailbox) -> None:
    assert decide(box.address, settings.MAILBOX_DAILY_LIMIT + 1, now=NOW).startswith("550 5.7.1 ")
    ramp = {"warmup_since": date(2026, 11, 20), "warmup_start": 4, "warmup_step": 3}
    Mailbox.objects.filter(pk=box.pk).update(status=Mailbox.WARMING, **ramp)
    assert decide(box.address, 7, now=NOW) == "DUNNO"
    assert "7 of 7 recipients used" in decide(box.address, 1, now=NOW)
    limit(box, 5)
    assert "7 of 5 recipients used" in decide(box.address, 1, now=NOW)
    assert decide(box.address, 5, now=NOW + timedelta(days=3)) == "DUNNO"


@pytest.mark.django_db
def test_domain_and_account_have_ceilings_and_nothing_is_half_counted(
    ada: Person, cy: Person, box: Mailbox
) -> None:
    second = box.domain.mailboxes.exclude(pk=box.pk).get()
    MailDomain.objects.filter(domain=box.domain).update(daily_ceiling=5)
    assert decide(box.address, 4, now=NOW) == "DUNNO"
    refused = decide(second.address, 2, now=NOW)
    assert refused.startswith("450 4.7.1 The daily limit of this domain is reached: 4 of 5 ")
    assert sent(second.pk, NOW.date()) == 0
    assert decide(second.address, 1, now=NOW) == "DUNNO"

    MailDomain.objects.filter(domain=box.domain).update(daily_ceiling=None)
    SendingDay.objects.filter(subject_id=ada.tenant.pk).update(sent=999)
    assert decide(second.address, 2, now=NOW).startswith(
        "450 4.7.1 The daily limit of this account is reached: 999 of 1000 "
    )
    assert sent(second.pk, NOW.date()) == 1
    Account.objects.filter(tenant=ada.tenant).update(plan="enterprise")
    assert decide(second.address, 2, now=NOW) == "DUNNO"

    theirs = estate(cy, "cy.test").mailboxes[0]
    assert decide(theirs.address, 2, now=NOW) == "DUNNO"  # nobody else is touched


@pytest.mark.django_db
def test_who_may_not_send_hears_what_the_mail_server_would_say(ada: Person, box: Mailbox) -> None:
    def view() -> str:
        with connection.cursor() as cursor:
            query = "SELECT reason FROM mail_sender_refusal WHERE email = %s"
            cursor.execute(query, [box.address])
            row = cursor.fetchone()
        return str(row[0]) if row else ""

    rows, account = Mailbox.objects.filter(pk=box.pk), Account.objects.filter(tenant=ada.tenant)
    tenant = Tenant.objects.filter(pk=ada.tenant.pk)
    good: dict[str, object] = {"status": Mailbox.ACTIVE, "paused_at": None}
    assert (decide(box.address, 1), view()) == ("DUNNO", "")
    rows.update(paused_at=timezone.now(), paused_reason="9 of 30\nbounced – “spam”")
    assert decide(box.address, 1) == f"550 5.7.1 {view()} 9 of 30 bounced ? ?spam?"
    rows.update(**good | {"status": Mailbox.SUSPENDED})
    assert decide(box.address, 1) == f"550 5.7.1 {view()}" == "550 5.7.1 This mailbox is suspended."
    rows.update(**good)
    account.update(trial_ends_at=timezone.now() - timedelta(days=1))
    assert decide(box.address, 1) == f"550 5.7.1 {view()}"
    tenant.update(status=Tenant.SUSPENDED)
    assert decide(box.address, 1) == f"550 5.7.1 {view()}"
    tenant.update(status=Tenant.ACTIVE)
    account.update(plan="starter")
    assert (decide(box.address, 1), view()) == ("DUNNO", "")
    rows.update(status=Mailbox.DELETED)
    assert decide(box.address, 1) == "550 5.7.1 This mailbox was deleted."
    assert decide("nobody@ada.test", 1) == "550 5.7.1 This mailbox does not exist."


@real
def test_twenty_senders_for_the_last_slot_and_one_wins(box: Mailbox) -> None:
    """Of two mailboxes, so that mailbox, domain and account are all disputed."""
    limit(box, 50)
    other = box.domain.mailboxes.exclude(pk=box.pk).get()
    MailDomain.objects.filter(domain=box.domain).update(daily_ceiling=10)
    assert decide(box.address, 9) == "DUNNO"
    senders = [sender for one in (box, other) if (sender := sender_of(one.address))]
    results = at_once(*[partial(count, senders[n % 2], 1, today()) for n in range(20)])
    assert results.count(None) == 1
    assert {repr(one) for one in results if one} == {repr(Over("domain", 10, 10))}
    assert sent(box.domain_id) == sent(box.tenant_id) == 10
    assert sent(box.pk) + sent(other.pk) == 10


# --- The protocol ----------------------------------------------------------------------------


@real
def test_postfix_asks_over_one_connection(box: Mailbox) -> None:
    limit(box, 3)
    with policy_service() as port, Postfix(port) as smtpd:
        assert smtpd.ask("") == "DUNNO"  # mail that comes in
        assert smtpd.ask(box.address.upper(), recipient_count=2, instance="1") == "DUNNO"
        smtpd.send(request(box.address, instance="2")[:70])
        smtpd.send(request(box.address, instance="2")[70:] + request(box.address, instance="3"))
        assert smtpd.answer() == "DUNNO"
        assert smtpd.answer().startswith("450 4.7.1 ")
        Mailbox.objects.filter(pk=box.pk).update(status=Mailbox.SUSPENDED)
        assert smtpd.ask(box.address, instance="4") == "550 5.7.1 This mailbox is suspended."
    assert sent(box.pk) == 3


@real
def test_a_message_is_counted_once_wherever_postfix_asks(box: Mailbox) -> None:
    limit(box, 4)
    with policy_service() as port, Postfix(port) as smtpd, Postfix(port) as other:

        def ask(state: str, who: Postfix = smtpd, **attributes: object) -> str:
            return who.ask(box.address, protocol_state=state, **attributes)

        assert ask("MAIL", instance="1") == "DUNNO"
        for recipient in ("a@x.test", "b@x.test", "a@x.test"):
            state = ask("RCPT", instance="1", recipient=recipient, recipient_count=0)
            assert state == "DUNNO"
        assert sent(box.pk) == 2
        assert ask("DATA", instance="1", recipient_count=2) == "DUNNO"
        assert ask("END-OF-MESSAGE", instance="1", recipient_count=2) == "DUNNO"
        assert ask("DATA", who=other, instance="1", recipient_count=2) == "DUNNO"
        assert sent(box.pk) == 2
        assert ask("DATA", instance="2", recipient_count=2) == "DUNNO"
        assert ask("END-OF-MESSAGE", instance="2", recipient_count=2) == "DUNNO"
        assert ask("DATA", instance="3").startswith("450 4.7.1 ")
        assert ask("RCPT", instance="4", recipient_count=0).startswith("450 4.7.1 ")
        # A message that was refused and comes again is asked for anew.
        limit(box, 5)
        assert ask("DATA", instance="3") == "DUNNO"
    assert sent(box.pk) == 5


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\n\n",
        b"\n\n",
        b"request=something_else\n\n",
        b"sasl_username=a@b.test\n\n",
        b"\x00\xff\xfe\n\n",
        b"request=smtpd_access_policy\n" + b"x" * LONGEST,
        b"request=smtpd_access_policy\nx=" + b"y" * LONGEST + b"\n\n",
    ],
)
def test_garbage_is_hung_up_on_and_nobody_else_notices(raw: bytes) -> None:
    async def always(asked: protocol.Request) -> str:
        return "DUNNO"

    with serving(always) as port, Postfix(port) as good, Postfix(port) as bad:
        bad.send(raw)
        assert bad.answer() == ""
        assert good.ask("a@b.test", recipient_count="many", instance="=é=") == "DUNNO"


def test_half_a_request_and_silence_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(asked: protocol.Request) -> str:
        return "DUNNO"

    monkeypatch.setattr("mailservers.serving.HALF", 0.1)
    with serving(always) as port, Postfix(port) as half, Postfix(port) as idle:
        assert half.ask("a@b.test") == "DUNNO"
        half.send(b"request=smtpd_acc")
        assert half.answer() == ""
        assert idle.ask("a@b.test") == "DUNNO"


def test_one_connection_too_many_and_one_that_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(asked: protocol.Request) -> str:
        return "DUNNO"

    monkeypatch.setattr("mailservers.serving.MOST_CONNECTIONS", 2)
    with serving(always) as port, Postfix(port) as first, Postfix(port) as second:
        assert first.ask("a@b.test") == second.ask("a@b.test") == "DUNNO"
        with Postfix(port) as third:
            assert third.answer() == ""
        try:
            for _ in range(2_000):
                second.send(request("a@b.test") * 50)
        except OSError:
            pass
        else:
            pytest.fail("it asked on and on")
        assert first.ask("a@b.test") == "DUNNO"


# --- When the database does not answer -------------------------------------------------------


@real
@pytest.mark.parametrize(
    ("fails_open", "action"),
    [(True, "DUNNO"), (False, "451 4.3.0 Sending limits cannot be read just now.")],
)
def test_a_database_that_is_too_slow(
    box: Mailbox, fails_open: bool, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock that is held for longer than anybody waits; nothing is counted afterwards either."""
    assert decide(box.address, 1) == "DUNNO"
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            else:
                cursor.execute("BEGIN")
                cursor.execute("UPDATE mailboxes_sendingday SET deferred = 1")
            locked.set()
            done.wait(120)
            cursor.execute("ROLLBACK")

    with (
        policy_service(fails_open=fails_open) as port,
        Postfix(port) as smtpd,
        caplog.at_level(logging.INFO, "deliverability"),
    ):
        holder = threading.Thread(target=lambda: at_once(hold))
        holder.start()
        assert locked.wait(120)
        assert smtpd.ask(box.address) == action
        done.set()
        holder.join()
        assert smtpd.ask(box.address) == "DUNNO"
    assert sent(box.pk) == 2
    assert [line.split(" (")[0] for line in caplog.messages] == [
        "The database does not answer in time",
        "The database answers again.",
    ]
    assert box.address not in caplog.text


@real
def test_a_lost_connection_is_made_anew(box: Mailbox) -> None:
    policy = Policy(fails_open=False)
    with serving(policy.decide) as port, Postfix(port) as smtpd:
        assert smtpd.ask(box.address) == "DUNNO"
        for opened in list(policy._opened):
            opened.close()
        assert smtpd.ask(box.address) == "DUNNO"
    policy.close()
    assert sent(box.pk) == 2


@real
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is in the same process")
def test_a_decision_is_four_round_trips(box: Mailbox, tmp_path: Path) -> None:
    """The sender, BEGIN, the count, COMMIT; time limits go along with them, and stay with them."""
    wire = tmp_path / "wire"

    def listen(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        connection.connection.pgconn.trace(opened.fileno())

    policy = Policy(fails_open=False, threads=1)
    with serving(policy.decide) as port, Postfix(port) as smtpd, wire.open("wb") as opened:
        connection_created.connect(listen)
        try:
            assert smtpd.ask(box.address) == "DUNNO"
        finally:
            connection_created.disconnect(listen)
        begun = len(queries(wire))
        assert smtpd.ask(box.address) == "DUNNO"
        asked = queries(wire)[begun:]
    policy.close()
    assert len(asked) == 4, asked
    bound = [query for query in asked if "SET LOCAL statement_timeout" in query]
    assert len(bound) == 2
    assert sent(box.pk) == 2


def queries(wire: Path) -> list[str]:
    """What was asked, from a trace of libpq."""
    return [line for line in wire.read_text().splitlines() if re.search(r"\tF\t\d+\tQuery\t", line)]


# --- The process -----------------------------------------------------------------------------


@real
def test_killed_in_the_middle_it_has_counted_what_it_allowed(box: Mailbox) -> None:
    """And told to end it gives the answers under way and ends at once."""
    limit(box, 100_000)
    Account.objects.filter(tenant_id=box.tenant_id).update(plan="enterprise")
    port = find_free_port_block(1)
    allowed, asked = [0] * 4, [0] * 4

    def send(number: int) -> None:
        try:
            with Postfix(port) as smtpd:
                while True:
                    asked[number] += 1
                    if smtpd.ask(box.address, recipient_count=3) != "DUNNO":
                        return
                    allowed[number] += 1
        except OSError:
            return

    with Process("mailpolicy", MAILPOLICY_ADDRESS=f"127.0.0.1:{port}") as service:
        eventually(lambda: "Mail policy:" in service.output)
        senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for sender in senders:
            sender.start()
        eventually(lambda: min(allowed) > 20)
        os.kill(service.pid, signal.SIGKILL)
        for sender in senders:
            sender.join(10)
        service.wait(120)
        counted = sent(box.pk)
        assert counted % 3 == 0
        assert sum(allowed) <= counted // 3 <= sum(asked)
        assert counted == sent(box.domain_id) == sent(box.tenant_id)

        service.start()
        eventually(lambda: service.output.count("Mail policy:") == 2)
        with Postfix(port) as smtpd:
            assert smtpd.ask(box.address) == "DUNNO"
            assert service.terminate(within=5) == 0
            assert smtpd.answer() == ""
        assert box.address not in service.output


# --- Through the sandbox's mail server ---------------------------------------------------------


class Client:
    """A mail program that stays logged in; a context manager."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        self._smtp = smtplib.SMTP("localhost", settings.MAILSERVER_SUBMISSION_PORT, timeout=60)
        context = ssl.create_default_context(cafile=settings.MAILSERVER_CA_FILE)
        self._smtp.starttls(context=context)
        self._smtp.login(box.address, box.password())

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self._smtp.close()

    def send(self, *to: str) -> tuple[int, str]:
        try:
            self._smtp.sendmail(self._box.address, to, b"Subject: x\r\n\r\nHello.\r\n")
        except smtplib.SMTPResponseException as refused:
            self._smtp.rset()
            said = refused.smtp_error
            return refused.smtp_code, said.decode() if isinstance(said, bytes) else said
        return 250, ""


@real
def test_a_mail_program_is_refused_at_once(
    ada: Person, box: Mailbox, sandbox: RunningSandbox
) -> None:
    rows = Mailbox.objects.filter(pk=box.pk)
    hashed = bcrypt.hashpw(box.password().encode(), bcrypt.gensalt(4)).decode()
    rows.update(password_hash=hashed, daily_limit=3)
    with Client(box) as client:
        with policy_service() as port:
            sandbox.set_mail_policy(f"127.0.0.1:{port}")
            assert client.send("a@far.test", "b@far.test") == (250, "")
            code, why = client.send("a@far.test", "b@far.test")
            assert code == 450
            assert why.startswith(
                "4.7.1 <DATA>: Data command rejected: The daily limit of this mailbox is reached"
            )
            assert client.send("c@far.test") == (250, "")
            assert client.send(*(f"{n}@far.test" for n in range(4)))[0] == 550
            assert len(sandbox.mails()) == 2
            rows.update(status=Mailbox.SUSPENDED)
            code, why = client.send("a@far.test")  # the session is still open
            assert (code, "This mailbox is suspended." in why) == (550, True)
            rows.update(status=Mailbox.ACTIVE)
            Account.objects.filter(tenant=ada.tenant).update(trial_ends_at=timezone.now())
            code, why = client.send("a@far.test")
            assert (code, "Your trial has ended." in why) == (550, True)
            Account.objects.filter(tenant=ada.tenant).update(plan="starter")
        # Nobody listens any more: closed.
        assert client.send("d@far.test")[0] == 451
        sandbox.set_mail_policy("")
        assert client.send("d@far.test") == (250, "")
    assert sent(box.pk) == 3
