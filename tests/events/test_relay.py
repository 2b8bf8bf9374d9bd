"""The relay seals, and passes on, each event once: whoever dies or comes late."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events import kinds
from events import relay as relay_module
from events.chain import verify
from events.models import Chain, Event, Notification, WebhookDelivery
from events.relay import relay, relay_round
from events.services import create_webhook, record
from mpanel.core.models import new_id
from tests.cast import Person
from tests.processes import ROOT, suite_environment

URL = "http://127.0.0.1:9999/hook"


def happen(person: Person, number: int = 1, action: str = "mailboxes.proved") -> None:
    for _ in range(number):
        record(person.actor, action, person.tenant, "It happened.")


def told() -> tuple[int, int]:
    return (
        Notification.objects.filter(kind="mailboxes.proved").count(),
        WebhookDelivery.objects.count(),
    )


def test_each_event_is_passed_on_once(ada: Person, bo: Person) -> None:
    create_webhook(ada.actor, url=URL, actions=["mailboxes.*"])
    happen(ada, 3)
    relay()
    assert told() == (6, 3)
    relay()
    assert told() == (6, 3)
    assert relay_round() == 0


def test_who_comes_late_is_sealed_late(ada: Person) -> None:
    early = new_id()
    happen(ada)
    relay()
    before = Chain.objects.get(pk=ada.actor.tenant_id).seq
    Event.objects.create(
        id=early, tenant=ada.tenant, actor_name="Ada", action="a.b", sentence="Committed late."
    )
    relay()
    assert Event.objects.get(pk=early).seq == before + 1
    assert verify(ada.actor.tenant_id).broken_at is None


DIES = """
import os, django
django.setup()
from events import kinds
from events.relay import relay
kinds.register("dies", "Dies", action="mailboxes.proved", title="x", link=lambda event: os._exit(9))
relay()
"""


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_dies_leaves_nothing_half_done(ada: Person) -> None:
    create_webhook(ada.actor, url=URL, actions=["mailboxes.proved"])
    happen(ada)
    waiting = Event.objects.waiting().count()
    # A process that ends between the seals and what follows from them.
    died = subprocess.run(
        [sys.executable, "-c", DIES], cwd=ROOT, env=suite_environment(), timeout=120, check=False
    )
    assert died.returncode == 9
    assert Event.objects.waiting().count() == waiting
    assert told() == (0, 0)
    relay()
    assert told() == (1, 1)
    assert verify(ada.actor.tenant_id).broken_at is None


def test_a_slip_in_a_kind_holds_nothing_up(ada: Person) -> None:
    kinds.register("slip", "Slip", action="tenant.tried", title="x", link=lambda event: str(1 // 0))
    try:
        happen(ada, action="tenant.tried")
        relay()
    finally:
        kinds._kinds.pop("slip")
    row = Notification.objects.get(kind="slip")
    assert (row.title, row.link) == ("Slip", "")


@pytest.mark.django_db(transaction=True)
def test_two_relays_at_once_seal_each_event_once(ada: Person, cy: Person) -> None:
    create_webhook(ada.actor, url=URL, actions=["*"])
    for _ in range(3):
        happen(ada, 20)
        happen(cy, 20)

        def run() -> None:
            relay()
            connection.close()

        runners = [threading.Thread(target=run) for _ in range(4)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()
    for person in (ada, cy):
        verdict = verify(person.actor.tenant_id)
        assert verdict.broken_at is None
        assert verdict.events == Event.objects.filter(tenant=person.tenant).count()
    assert told() == (120, 61)


def test_a_round_costs_the_same_for_few_and_many(ada: Person, bo: Person, cy: Person) -> None:
    for person in (ada, cy):
        create_webhook(person.actor, url=URL, actions=["*"])
        create_webhook(person.actor, url=URL, actions=["mailboxes.proved"])

    def cost(number: int) -> int:
        happen(ada, number)
        happen(cy, number)
        with CaptureQueriesContext(connection) as seen:
            assert relay_round() >= 2 * number
        return len(seen)

    cost(1)
    few = cost(1)
    assert cost(40) == few
    assert few <= 20
    with CaptureQueriesContext(connection) as seen:
        assert relay_round() == 0
    assert len(seen) == 1


def test_many_rounds_seal_all(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "ROUND", 4)
    happen(ada, 10)
    relay()
    assert not Event.objects.waiting().exists()
    assert verify(ada.actor.tenant_id).broken_at is None


def test_what_is_old_is_sealed_but_is_no_news(ada: Person) -> None:
    create_webhook(ada.actor, url=URL, actions=["*"])
    relay()
    before = told()
    Event.objects.create(
        tenant=ada.tenant,
        actor_name="Ada",
        action="mailboxes.proved",
        sentence="Long ago.",
        created_at=timezone.now() - timedelta(days=8),
    )
    # Before the webhook was there.
    Event.objects.create(
        tenant=ada.tenant,
        actor_name="Ada",
        action="mailbox.created",
        sentence="An hour ago.",
        created_at=timezone.now() - timedelta(hours=1),
    )
    relay()
    assert not Event.objects.waiting().exists()
    assert told() == before
