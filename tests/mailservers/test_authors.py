"""Who may write as whom: asked as Postfix asks, over real sockets, on real rows."""

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries

from dnszones.models import DkimKey
from mailboxes.models import Alias, Mailbox, OutsideSender
from mailservers.signing.authors import check
from mailservers.signing.signatures import NotTheAuthor
from tests.cast import Person
from tests.milters import OFFERED, PostfixMilter, author_check, message, packet
from tests.processes import Process
from tests.signers import free_port, wait_for
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db(transaction=True)

OWN, OTHER, TEAM = "ada@ada.test", "bo@ada.test", "team@ada.test"


@pytest.fixture
def box(ada: Person) -> Mailbox:
    """Ada's mailbox, with an alias; Bo has another one on the same domain."""
    theirs = estate(ada, "ada.test")
    first, second = theirs.mailboxes
    for mailbox, address in ((first, OWN), (second, OTHER)):
        rows = Mailbox.objects.filter(pk=mailbox.pk)
        rows.update(address=address, local_part=address.partition("@")[0], password_hash="x")
    Alias.objects.create(
        tenant=ada.tenant, domain=theirs.domain, mailbox=first, local_part="team", address=TEAM
    )
    first.refresh_from_db()
    return first


@pytest.fixture
def asking(box: Mailbox) -> Iterator[PostfixMilter]:
    with author_check() as port, PostfixMilter(port) as postfix:
        yield postfix


def reply(asking: PostfixMilter, author: bytes, **more: bytes) -> str:
    """What a message with this From, and perhaps others, is told."""
    return asking.ask(OWN, [("From", b" " + author), *more.items(), ("Subject", b" Hi")])


def test_a_mailbox_writes_as_itself_and_its_aliases(asking: PostfixMilter) -> None:
    for author in (
        b"ada@ada.test",
        b"Ada <ADA@Ada.Test>",
        b"=?utf-8?q?=C3=84da?= <ada@ada.test>",
        b"=?utf-8?q?ceo=40bank=2Etest?= <ada@ada.test>",  # a name, however it reads
        b'"ceo@bank.test" <ada@ada.test>',
        b"\xc3\x84da <ada@ada.test>",
        b"Ada\n\t(of ceo@bank.test)\n <ada@ada.test>",
        b"team@ada.test",
        b"ada+lists@ada.test",
        b"ada@ada.test, team@ada.test",
        b"Us: ada@ada.test, team@ada.test;",
    ):
        assert reply(asking, author) == "", author
    assert reply(asking, b"team@ada.test", Sender=b" ada@ada.test") == ""
    # Whose words they were stands elsewhere, and is the writer's business.
    more = {"Reply-To": b" ceo@bank.test", "Resent-From": b" bo@ada.test", "X-From": b" a@b.test"}
    assert reply(asking, b"ada@ada.test", **more) == ""


def test_nobody_writes_as_somebody_else(asking: PostfixMilter, cy: Person) -> None:
    estate(cy, "cy.test")
    for listed in (OTHER, "nobody@ada.test", "ceo@cy.test", "ada@ada.test, ceo@cy.test"):
        said = reply(asking, listed.encode())
        named = listed.rpartition(" ")[2]
        assert said == (
            f"554 5.7.1 {named} is not an address of {OWN}. Send as {OWN} or as one of its aliases."
        ), listed
    for author in (
        b"ceo@bank.test",
        b"ada@sub.ada.test",
        b"ada@ada.test, ceo@bank.test",
        b"Us: ada@ada.test, ceo@bank.test;",
        b"ceo@b\xc3\xa4nk.test",
        b"@bank.test",
    ):
        said = reply(asking, author)
        assert said.startswith("554 5.7.1 "), author
        assert said.endswith(" or ask your provider to allow senders of other domains."), author
    assert reply(asking, b"ada@ada.test", Sender=b" ceo@bank.test").startswith("554 5.7.1 ceo@")
    assert reply(asking, b"ada@ada.test", Sender=b" bo@ada.test").startswith("554 5.7.1 bo@ada")
    # Resent by us, but still somebody else's words under somebody else's name.
    assert reply(asking, b"ceo@bank.test", **{"Resent-From": b" ada@ada.test"}).startswith("554")


def test_what_does_not_say_who_wrote_it_is_refused(asking: PostfixMilter) -> None:
    one = ("From", b" ada@ada.test")
    for headers in (
        [],
        [("Subject", b" Hi")],
        [one, one],
        [one, ("FROM ", b" ceo@bank.test")],
        [one, ("Sender", b" ada@ada.test"), ("Sender", b" ada@ada.test")],
        [one, ("Sender", b" ada@ada.test, team@ada.test")],
        *(
            [("From", value)]
            for value in (
                b"",
                b" ",
                b" undisclosed:;",
                b" ada",
                b" =?utf-8?q?ada=40ada=2Etest?=",
                b" ada@ada.test <ceo@bank.test>",
                b" <ada@ada.test> <ceo@bank.test>",
                b" ada@ada.test ceo@bank.test",
                b" ceo@b\xe4nk.test",
                b" " + b"(" * 900 + b")" * 900 + b" ada@ada.test",
                b" " + b", ".join(b"x%d@ada.test" % number for number in range(51)),
            )
        ),
    ):
        said = asking.ask(OWN, headers)
        assert said.startswith("554 5.6.0 "), headers
        assert said.endswith("."), said


def test_whom_an_operator_allowed_it_writes_as_outsiders(
    asking: PostfixMilter, box: Mailbox, cy: Person, settings: LazySettings
) -> None:
    estate(cy, "cy.test")
    outside, ours = b"ceo@bank.test", b"ceo@cy.test"

    def bo_may() -> bool:
        return asking.ask(OTHER, [("From", outside)]) == ""

    for allowed, whole_tenant in ((box, False), (None, True)):
        permission = OutsideSender.objects.create(tenant=box.tenant, mailbox=allowed)
        assert reply(asking, outside) == ""
        assert bo_may() == whole_tenant
        assert reply(asking, outside, Sender=b" ada@ada.test") == ""
        assert reply(asking, ours).startswith("554 5.7.1")
        assert reply(asking, OTHER.encode()).startswith("554 5.7.1")
        # A domain of another tenant is closed without a key of ours, and so is what is below it.
        DkimKey.objects.filter(zone__domain__name="cy.test").delete()
        assert reply(asking, ours).startswith("554 5.7.1")
        assert reply(asking, b"ceo@news.cy.test").startswith("554 5.7.1")
        settings.MAIL_OUTSIDE_FROM = "none"
        assert reply(asking, outside).startswith("554 5.7.1")
        settings.MAIL_OUTSIDE_FROM = "chosen"
        permission.delete()
    assert reply(asking, outside).startswith("554 5.7.1")
    settings.MAIL_OUTSIDE_FROM = "all"
    assert reply(asking, outside) == ""
    assert reply(asking, ours).startswith("554 5.7.1")


def test_ones_own_address_costs_no_query(
    box: Mailbox, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        check(OWN, [("from", b" Ada <ada@ada.test>")])
    with django_assert_num_queries(1):
        check(OWN, [("from", b" team@ada.test")])


def test_other_tenants_domains_are_looked_up_only_for_those_who_may_write_as_outsiders(
    box: Mailbox, settings: LazySettings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    outsider = [("from", b" ceo@bank.test")]
    # Whose the address is, and whether the domain is ours; then the permission, then other tenants.
    for rule, queries in (("none", 2), ("chosen", 3)):
        settings.MAIL_OUTSIDE_FROM = rule
        with django_assert_num_queries(queries), pytest.raises(NotTheAuthor):
            check(OWN, outsider)
    OutsideSender.objects.create(tenant=box.tenant, mailbox=box)
    for rule, queries in (("chosen", 4), ("all", 3)):
        settings.MAIL_OUTSIDE_FROM = rule
        with django_assert_num_queries(queries):
            check(OWN, outsider)


def test_a_session_asks_about_many_messages(asking: PostfixMilter) -> None:
    good, bad = [("From", b" ada@ada.test")], [("From", b" ceo@bank.test")]
    assert asking.negotiated[:1] == b"O"
    assert asking.ask(OWN, good) == ""
    assert asking.ask(OWN, bad).startswith("554")
    # The client goes away in the middle, or begins another message.
    begun = message(OWN, bad).rpartition(packet(b"N"))[0]
    asking.raw(begun + packet(b"A"))
    assert asking.ask(OWN, good) == ""
    asking.raw(begun)
    assert asking.ask(OTHER, [("From", b" bo@ada.test")]) == ""
    # Two at once, one byte after the other.
    for byte in message(OWN, bad) + message(OWN, good):
        asking.raw(bytes([byte]))
    assert asking.answer().startswith(b"y554")
    assert asking.answer() == b"c"
    asking.send(b"K")
    assert asking.ask(OWN, good) == ""
    asking.send(b"Q")
    assert asking.answer() == b""


def test_what_is_no_milter_protocol_is_hung_up_on(box: Mailbox) -> None:
    with author_check() as port:
        for raw in (b"GET / HTTP/1.1\r\n\r\n", packet(b"O", b"\0"), b"\0\0\0\0"):
            with PostfixMilter(port) as postfix:
                postfix.raw(raw)
                assert postfix.answer() == b"", raw
        old = OFFERED[:3] + b"\x02" + OFFERED[4:]
        with PostfixMilter(port, offered=old) as postfix:
            assert postfix.negotiated == b""
        with PostfixMilter(port) as postfix:
            many = [("X", b"x" * 1000)] * 5_000
            assert postfix.ask(OWN, many).startswith("554 5.6.0 The message's headers are too")
            assert postfix.ask(OWN, [("From", b" ada@ada.test")]) == ""


def test_the_command_checks_and_says_later_without_the_database(
    box: Mailbox, tmp_path: object
) -> None:
    team = [("From", b" team@ada.test")]
    for database, expected in (({}, ""), ({"DATABASE_URL": f"sqlite:///{tmp_path}/0"}, "451")):
        ports = [free_port() for _ in range(2)]
        where = {
            "MAILSIGNER_ADDRESS": f"127.0.0.1:{ports[0]}",
            "MAILSIGNER_AUTHORS": f"127.0.0.1:{ports[1]}",
            "MAILSIGNER_NEXT_HOP": f"127.0.0.1:{free_port()}",
        }
        with Process("mailsigner", **where, **database) as process:
            wait_for(ports[1])
            with PostfixMilter(ports[1]) as postfix:
                assert postfix.ask(OWN, team)[:3] == expected
                assert postfix.ask(OWN, [("From", b" ada@ada.test")]) == ""
            assert process.terminate() == 0
            assert "ada" not in process.output
