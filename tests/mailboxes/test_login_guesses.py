"""Wrong passwords at mailboxes: who is counted, who is refused, and who hears of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import Event
from mailboxes.logins import gate, guesses
from mailboxes.logins.gate import Attempt, LoginGate, Seen
from mailboxes.logins.guesses import KNOWN, MAILBOX, NETWORK, STRANGER
from mailboxes.logins.selectors import guesses_at
from mailboxes.models import LoginGuesses, LoginNetwork, Mailbox
from mailservers.shared_keys import key_of
from mpanel.core.errors import Forbidden
from tests.cast import Person
from tests.loginpolicy import login_policy
from tests.mailserver.rooms import inbox, move_domain
from tests.wizard.rows import estate

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOME, GUESSER, CAFE = "198.51.100.7", "203.0.113.9", "192.0.2.1"


@pytest.fixture
def box(ada: Person) -> Mailbox:
    return estate(ada, "ada.test").mailboxes[0]


class Machine:
    """One login policy, without its sockets; `now` is its clock."""

    def __init__(self, *trusted: str) -> None:
        self.now = NOW
        self.gate = LoginGate(trusted, clock=self.time)

    def time(self) -> float:
        return self.now.timestamp()

    def login(self, login: str, password: str, address: str, *, is_right: bool = False) -> str:
        """The refusal; where there is none, the login is tried."""
        attempt = Attempt(login, address, password)
        said = self.gate.refusal(attempt)
        if not said:
            self.gate.report(attempt, is_right=is_right)
        return said

    def guess(self, login: str, address: str, times: int, word: str = "guess") -> list[str]:
        return [self.login(login, f"{word} {number}", address) for number in range(times)]

    def step(self) -> None:
        if seen := self.gate.take():
            guesses.write(seen, self.now)
        self.gate.refuse(guesses.refusals(self.now))


@pytest.mark.django_db
def test_a_guesser_waits_longer_each_time_and_nobody_else_does(box: Mailbox) -> None:
    here, there = Machine(), Machine()
    here.guess(box.address, GUESSER, STRANGER.limit)
    here.step()
    there.step()  # another process, or this one after a restart
    waits = []
    for number in range(4):
        said = there.login(box.address, f"more {number}", GUESSER)
        assert "Too many wrong passwords" in said
        assert there.login(box.address, "right", CAFE, is_right=True) == ""
        until = there.gate._refusals.until[box.address, GUESSER]
        waits.append(round((until - there.now.timestamp()) / 60))
        there.now = datetime.fromtimestamp(until + 1, UTC)
        assert there.login(box.address, f"again {number}", GUESSER) == ""
        there.step()
    assert waits == sorted(waits)
    assert waits[0] == 1 < waits[-1]
    # A day without guesses, and nothing is left of them.
    LoginGuesses.objects.update(updated_at=NOW - guesses.FORGOTTEN)
    guesses.forget_old()
    assert not LoginGuesses.objects.exists()


@pytest.mark.django_db
def test_an_ipv6_guesser_is_its_64(box: Mailbox) -> None:
    machine = Machine()
    for number in range(STRANGER.limit):
        machine.login(box.address, f"guess {number}", f"2001:db8::{number + 1:x}")
    machine.step()
    assert machine.login(box.address, "more", "2001:db8::ffff:1")
    assert not machine.login(box.address, "more", "2001:db8:0:1::1")


@pytest.mark.django_db
def test_many_guessers_do_not_shut_the_owner_out(ada: Person, box: Mailbox) -> None:
    machine = Machine()
    machine.login(box.address, "right", HOME, is_right=True)
    machine.step()
    for number in range(MAILBOX.limit // 2):
        machine.guess(box.address, f"203.0.113.{number}", 2)
    machine.step()
    assert machine.login(box.address, "right", CAFE), "strangers wait"
    for number in range(KNOWN.limit):
        assert not machine.login(box.address, f"mistyped {number}", HOME)
        machine.step()
    assert machine.login(box.address, "right", HOME), "a known network has an end as well"
    [event] = Event.objects.filter(action="mailbox.guessed", sentence__contains="networks where")
    assert event.subject_id == box.pk
    row = LoginGuesses.objects.get(mailbox=box, network="")
    assert row.wrong == MAILBOX.limit  # the known network's are its own


@pytest.mark.django_db
def test_a_network_that_tries_all_mailboxes_is_refused_at_each(ada: Person, box: Mailbox) -> None:
    other = box.domain.mailboxes.exclude(pk=box.pk).get()
    machine = Machine()
    machine.login(other.address, "right", GUESSER, is_right=True)  # its own, at the same provider
    machine.step()
    for number in range(NETWORK.limit):
        machine.login(f"name{number}@nowhere.test", "letmein", GUESSER)
    machine.step()
    assert machine.login(box.address, "letmein", GUESSER)
    assert not machine.login(box.address, "right", CAFE, is_right=True)
    assert not machine.login(other.address, "right", GUESSER, is_right=True)
    # Invented names fill nothing.
    assert LoginGuesses.objects.count() == 1
    assert LoginNetwork.objects.count() == 1


@pytest.mark.django_db
def test_trusted_networks_are_never_refused_and_their_guesses_are_told(box: Mailbox) -> None:
    machine = Machine("198.51.100.0/24")
    machine.guess(box.address, HOME, STRANGER.limit)
    machine.step()
    assert machine.login(box.address, "more", HOME) == ""
    assert Event.objects.filter(action="mailbox.guessed").count() == 1
    machine.guess(box.address, HOME, STRANGER.limit, "another")
    machine.step()
    assert Event.objects.filter(action="mailbox.guessed").count() == 1, "once for a wave"


def test_a_repeated_password_is_one_guess_and_slows_itself_only() -> None:
    machine = Machine()
    said = [machine.login("a@a.test", "old", HOME) for _ in range(gate.REPEATS + 2)]
    assert said[-1].startswith("This password was wrong several times.")
    assert machine.login("a@a.test", "right", HOME, is_right=True) == ""
    assert dict(machine.gate.take().wrong) == {("a@a.test", HOME): 1}
    # It is compared again within a minute, since it may have become the right one.
    machine.now += timedelta(seconds=gate.LONGEST_REPEAT + 1)
    assert machine.login("a@a.test", "old", HOME, is_right=True) == ""
    assert machine.login("a@a.test", "old", HOME, is_right=True) == ""


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "REMEMBERED", 50)
    monkeypatch.setattr(gate, "WAITING", 20)
    machine = Machine()
    for number in range(200):
        machine.login(f"name{number}@a.test", "x", GUESSER)
        machine.login(f"name{number}@b.test", "y", HOME, is_right=True)
    assert len(machine.gate._wrong) == 50
    seen = machine.gate.take()
    assert len(seen.wrong) == len(seen.right) == 20


@pytest.mark.django_db
def test_what_a_step_costs_does_not_grow(ada: Person, cy: Person, box: Mailbox) -> None:
    other = estate(cy, "cy.test").mailboxes[0]
    spent = []
    for mailbox, number in ((box, 1), (other, 50)):
        wrong = {(mailbox.address, f"203.0.113.{part}"): 20 for part in range(number)}
        right = frozenset((mailbox.address, f"198.51.100.{part}") for part in range(number))
        with CaptureQueriesContext(connection) as queries:
            guesses.write(Seen(wrong, right), NOW)
            guesses.refusals(NOW)
        spent.append(len(queries))
    assert max(spent) <= 12


@pytest.mark.django_db
def test_an_operator_allows_logins_again(ada: Person, cy: Person, box: Mailbox) -> None:
    machine = Machine()
    machine.guess(box.address, GUESSER, STRANGER.limit)
    machine.step()
    row = LoginGuesses.objects.get(mailbox=box, network=GUESSER)
    with pytest.raises(Forbidden):
        guesses.lift(ada.actor, row.pk)
    guesses.lift(replace(cy.actor, is_operator=True), row.pk)
    machine.step()
    assert machine.login(box.address, "again", GUESSER) == ""
    [event] = Event.objects.filter(action="mailbox.logins_allowed")
    assert event.tenant_id == box.tenant_id


@pytest.mark.django_db(transaction=True)
def test_only_dovecot_is_answered(settings: LazySettings, box: Mailbox) -> None:
    settings.LOGIN_TRUSTED_NETWORKS = []
    question = {"login": box.address.upper(), "remote": GUESSER, "pwhash": "0abc"}
    with login_policy() as running, httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{running.port}/"
        ours = {"X-API-Key": key_of("key")}

        def ask(command: str, headers: dict[str, str] = ours, **more: object) -> httpx.Response:
            asked = question | more
            return client.post(url, params={"command": command}, headers=headers, json=asked)

        assert ask("report", {}, success=True).status_code == 401
        assert ask("report", {"X-API-Key": "guess"}, success=True).status_code == 401
        assert client.post(url, headers=ours, content=b"[" * 9_000).status_code == 400
        assert ask("strange").status_code == 404
        assert ask("allow").json() == {"status": 0, "msg": ""}
        for number in range(STRANGER.limit):
            ask("report", success=False, pwhash=f"{number:04x}")
            # What Dovecot could not compare, or we refused, is no guess.
            ask("report", success=False, pwhash=f"f{number:03x}", fail_type="internal")
            ask("report", success=False, pwhash=f"e{number:03x}", policy_reject=True)
        running.step()
        assert LoginGuesses.objects.get(network=GUESSER, mailbox=box).wrong == STRANGER.limit
        answer = ask("allow").json()
        assert answer["status"] == -1
        assert "Too many wrong passwords" in answer["msg"]


@pytest.mark.django_db
def test_the_page_shows_guesses_to_its_owner_only(ada: Person, cy: Person, box: Mailbox) -> None:
    machine = Machine()
    machine.guess(box.address, GUESSER, STRANGER.limit)
    machine.step()
    page = ada.client.get(f"/mailboxes/{box.pk}/")
    assert "Somebody is guessing this mailbox's password" in page.text
    assert "10 wrong passwords since 2026-11-27 12:00 UTC" in page.text
    assert cy.client.get(f"/mailboxes/{box.pk}/").status_code == 404
    assert not guesses_at(cy.actor, box.pk)


def test_guesses_at_a_former_owners_address_are_not_told_to_them(ada: Person, cy: Person) -> None:
    before = inbox(ada, "ceo@moved.test")
    move_domain(before.domain, cy)
    guesses.write(Seen({(before.address, "192.0.2.7"): 1}, frozenset()), NOW)
    assert not LoginGuesses.objects.exclude(mailbox=None).exists()
    after = inbox(cy, "ceo@moved.test")
    guesses.write(Seen({(after.address, "192.0.2.7"): 1}, frozenset()), NOW)
    told = LoginGuesses.objects.exclude(mailbox=None).values_list("mailbox_id", flat=True)
    assert set(told) == {after.pk}
