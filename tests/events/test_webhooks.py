"""Webhooks arrive, signed, at a real server that fails, is slow, and comes back."""

import random
import threading
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ
from standardwebhooks import WebhookVerificationError

from events import delivery as delivery_module
from events import sending, services
from events.delivery import FAILS_FOR, LEASE, SCHEDULE, claim, deliver, keep, wait_after
from events.models import (
    Event,
    Notification,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from events.relay import relay
from events.selectors import (
    DeliveryNotFound,
    WebhookNotFound,
    deliveries,
    get_delivery,
    get_webhook,
    webhooks,
)
from events.sending import Outcome
from events.services import (
    change_webhook,
    create_webhook,
    delete_webhook,
    record,
    redeliver,
    rotate_secret,
    send_test,
)
from events.services.webhooks import TooManyWebhooks, WebhookIsOff
from mpanel.core import periodic
from mpanel.core.errors import Forbidden, Invalid
from tests.cast import Person
from tests.events.receiver import Answer, Receiver
from tests.processes import Clock, Worker, eventually
from tests.work import span, work_off


def hook(
    person: Person, receiver: Receiver, *actions: str, path: str = "/hook"
) -> tuple[WebhookEndpoint, str]:
    """A webhook to the receiver; what its making itself tells is not among what it wants."""
    return create_webhook(person.actor, url=receiver.url(path), actions=actions or ["mailbox.*"])


def happen(person: Person, number: int = 1, action: str = "mailbox.created") -> None:
    for one in range(number):
        record(person.actor, action, person.tenant, f"Number {one}.", changes={"n": one})
    relay()


def only() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def at_once() -> None:
    """The time of the next try has come."""
    WebhookDelivery.objects.update(next_at=timezone.now())
    deliver()


# --- Delivered -------------------------------------------------------------------------------


def test_an_event_arrives_signed(ada: Person, receiver: Receiver) -> None:
    endpoint, secret = hook(ada, receiver)
    happen(ada)
    deliver()
    (taken,) = receiver.taken
    event = Event.objects.get(action="mailbox.created")
    assert taken.verified(secret) == {
        "type": "mailbox.created",
        "timestamp": event.created_at.isoformat(),
        "data": {
            "id": str(event.pk),
            "sentence": "Number 0.",
            "subject": {"type": "tenant", "id": str(ada.tenant.pk)},
            "actor": {"id": str(ada.user.pk), "name": ada.user.email, "via": ""},
            "changes": {"n": 0},
        },
    }
    assert taken.headers["content-type"] == "application/json"
    assert taken.id == only().webhook_id
    row = only()
    assert (row.status, row.attempts, row.last_status) == ("delivered", 1, 200)
    assert row.response == "thanks"
    assert row.delivered_at
    assert [attempt.succeeded for attempt in row.log.all()] == [True]
    deliver()
    assert len(receiver.taken) == 1
    with pytest.raises(WebhookVerificationError):
        taken.verified(rotate_secret(ada.actor, endpoint.pk))


def test_an_endpoint_is_told_what_it_wants(ada: Person, cy: Person, receiver: Receiver) -> None:
    hook(ada, receiver, "*", path="/all")
    hook(ada, receiver, "mailbox.*", "domain.ready", path="/some")
    hook(cy, receiver, "*", path="/cy")
    for action in ("mailbox.created", "mailboxes.proved", "domain.ready", "domain.connected"):
        happen(ada, action=action)
    deliver()

    def types(path: str) -> list[str]:
        return sorted(delivery.verified_type for delivery in map(Typed, receiver.at(path)))

    assert types("/some") == ["domain.ready", "mailbox.created"]
    everything = ["domain.connected", "domain.ready", "mailbox.created", "mailboxes.proved"]
    told = [kind for kind in types("/all") if not kind.startswith("webhook.")]
    assert told == everything
    # Nothing of Ada's goes to Cy.
    assert {kind.partition(".")[0] for kind in types("/cy")} <= {"webhook", "session", "tenant"}


class Typed:
    """What came in, by its type; the signature is another test's matter."""

    def __init__(self, delivery: object) -> None:
        import json

        self.verified_type = str(json.loads(delivery.body)["type"])  # type: ignore[attr-defined]


def test_the_clock_and_the_queue_deliver_by_themselves(ada: Person, receiver: Receiver) -> None:
    endpoint, secret = hook(ada, receiver)
    other, _ = hook(ada, receiver, "*", path="/other")
    relay()
    WebhookDelivery.objects.all().delete()
    send_test(ada.actor, endpoint.pk)
    work_off()
    (taken,) = receiver.taken
    assert taken.path == "/hook"
    assert taken.verified(secret)["type"] == "webhook.tested"
    assert not other.deliveries.exists()


@pytest.mark.django_db(transaction=True)
def test_real_processes_deliver(ada: Person, receiver: Receiver) -> None:
    _, secret = hook(ada, receiver)
    receiver.answer = Answer(503)
    record(ada.actor, "mailbox.created", ada.tenant, "Created.")
    with Worker(), Clock():
        eventually(lambda: receiver.taken)
        # It comes back, and five seconds later it is told once more.
        receiver.answer = Answer()
        eventually(lambda: only().status == "delivered")
    assert len({taken.id for taken in receiver.taken}) == 1
    assert {taken.verified(secret)["type"] for taken in receiver.taken} == {"mailbox.created"}


# --- Failing ---------------------------------------------------------------------------------


def test_a_server_fails_is_gone_and_comes_back(ada: Person, receiver: Receiver) -> None:
    _, secret = hook(ada, receiver)
    happen(ada)
    receiver.answer = Answer(500, b"out of order")
    with span() as run:
        deliver()
    row = only()
    assert (row.status, row.attempts, row.last_status) == ("pending", 1, 500)
    assert row.last_error == "The server answered 500."
    assert row.response == "out of order"
    assert run.waits(row.next_at, least=4, most=7)
    WebhookDelivery.objects.update(next_at=timezone.now() + timedelta(minutes=1))
    deliver()
    assert len(receiver.taken) == 1  # not before its time
    WebhookEndpoint.objects.update(url="http://127.0.0.1:9999/hook")
    at_once()
    assert only().last_error == "The server took no connection."
    WebhookEndpoint.objects.update(url=receiver.url())
    receiver.answer = Answer(204, b"")
    at_once()
    row = only()
    assert (row.status, row.attempts, row.last_error) == ("delivered", 3, "")
    first, last = receiver.taken
    assert first.id == last.id
    assert first.verified(secret) == last.verified(secret)
    assert [attempt.status for attempt in row.log.order_by("id")] == [500, None, 204]
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.failures, endpoint.failing_since) == (0, None)


def test_an_answer_that_does_not_come(
    ada: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIME_OUT", 0.3)
    hook(ada, receiver)
    happen(ada)
    answers = threading.Event()

    def silent(path: str) -> Answer:
        answers.wait(120)
        return Answer()

    receiver.answer = silent
    deliver()
    assert not answers.is_set()
    answers.set()
    assert only().last_error.startswith("No answer within")
    assert WebhookEndpoint.objects.get().failures == 1


def test_a_slow_endpoint_delays_no_other(
    ada: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(ada, receiver, path="/slow")
    hook(ada, receiver, path="/fast")
    happen(ada, 12)
    order: list[str] = []

    all_of_the_fast = threading.Event()

    def answer(path: str) -> Answer:
        order.append(path)
        if order.count("/fast") == 12:
            all_of_the_fast.set()
        if path == "/slow":
            all_of_the_fast.wait(120)  # it answers nothing before
        return Answer()

    receiver.answer = answer
    monkeypatch.setattr(sending, "TIME_OUT", 60)
    deliver()
    assert Counter(order) == {"/slow": 12, "/fast": 12}
    assert {row.status for row in WebhookDelivery.objects.all()} == {"delivered"}


def test_what_becomes_due_during_a_run_is_sent_by_it(ada: Person, receiver: Receiver) -> None:
    hook(ada, receiver)
    happen(ada)

    def answer(path: str) -> Answer:
        if len(receiver.taken) == 1:
            return Answer(503, after=0.3)
        return Answer()

    receiver.answer = answer
    deliver()
    assert only().status == "pending"
    at_once()
    assert only().status == "delivered"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_that_says_so(ada: Person, receiver: Receiver, status: int) -> None:
    hook(ada, receiver)
    happen(ada)
    receiver.answer = Answer(status, headers={"location": receiver.url("/elsewhere")})
    deliver()
    assert f"{status}, a redirect" in only().last_error
    assert [taken.path for taken in receiver.taken] == ["/hook"]


def test_who_is_gone_is_switched_off(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver, "*")
    happen(ada, 3)
    receiver.answer = Answer(410)
    deliver()
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    assert "410" in endpoint.disabled_reason
    assert {row.status for row in endpoint.deliveries.all()} == {"failed"}
    assert Event.objects.filter(action="webhook.disabled", subject_id=endpoint.pk).count() == 1
    relay()
    told = Notification.objects.get(kind="webhook.disabled", user=ada.user)
    assert "410" in told.text
    taken = len(receiver.taken)
    happen(ada)
    at_once()
    assert len(receiver.taken) == taken


def test_who_fails_for_days_is_switched_off(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    receiver.answer = Answer(500)
    happen(ada)
    deliver()
    for _ in range(len(SCHEDULE) - 1):
        at_once()
        assert only().status == "pending"
    at_once()
    row = only()
    assert (row.status, row.attempts) == ("failed", len(SCHEDULE) + 1)
    # It failed for a day only.
    endpoint.refresh_from_db()
    assert endpoint.enabled
    assert endpoint.failures == len(SCHEDULE) + 1
    WebhookEndpoint.objects.update(failing_since=timezone.now() - FAILS_FOR - timedelta(minutes=1))
    redeliver(ada.actor, endpoint.pk, row.pk)
    WebhookDelivery.objects.update(tries=len(SCHEDULE))
    at_once()
    now = WebhookEndpoint.objects.get()
    assert not now.enabled
    assert "three days" in now.disabled_reason


def test_tries_spread_over_a_day_with_jitter() -> None:
    rng = random.Random(7)  # noqa: S311
    waits = [wait_after(tries, asked=None, rng=rng) or 0 for tries in range(1, len(SCHEDULE) + 1)]
    assert all(later >= earlier for earlier, later in pairwise(waits[:5]))
    assert 24 * 3600 < sum(SCHEDULE) <= sum(waits) <= 1.25 * sum(SCHEDULE)
    assert all(base <= wait <= 1.25 * base for base, wait in zip(SCHEDULE, waits, strict=True))
    assert len({wait_after(3, asked=None, rng=rng) for _ in range(9)}) > 1
    assert wait_after(len(SCHEDULE) + 1, asked=None) is None


@pytest.mark.parametrize(
    ("status", "header", "about"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (503, "Sun, 01 Jan 2040 00:00:00 GMT", 12 * 3600),
        (429, "999999999999", 12 * 3600),
        (429, "-5", 5),
        (429, "soon", 5),
        (429, "0", 5),
        (500, "120", 5),
    ],
)
def test_a_wish_to_wait_is_honoured_within_bounds(
    ada: Person, receiver: Receiver, status: int, header: str, about: int
) -> None:
    hook(ada, receiver)
    happen(ada)
    receiver.answer = Answer(status, headers={"retry-after": header})
    with span() as run:
        deliver()
    assert run.waits(only().next_at, least=about - 2, most=about + 2)


def test_of_a_long_answer_a_little_is_kept(ada: Person, receiver: Receiver) -> None:
    hook(ada, receiver)
    happen(ada, 2)
    answers = iter([Answer(200, b"a\0\xff" + b"x" * 5_000_000), Answer(200, b"\0" * 50)])
    receiver.answer = lambda path: next(answers)
    deliver()
    kept = sorted((row.response for row in WebhookDelivery.objects.all()), key=len)
    assert kept[0] == ""
    assert kept[1].startswith("a�xx")
    assert len(kept[1].encode()) <= 1030
    assert {row.status for row in WebhookDelivery.objects.all()} == {"delivered"}


def test_an_address_that_turns_inside_is_not_called(
    ada: Person, receiver: Receiver, settings: LazySettings
) -> None:
    hook(ada, receiver)
    happen(ada)
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    deliver()
    assert "not public" in only().last_error
    assert receiver.taken == []


# --- Whoever dies, and whoever is there twice ------------------------------------------------


def test_what_a_dead_runner_held_is_sent_again(ada: Person, receiver: Receiver) -> None:
    hook(ada, receiver)
    happen(ada)
    (request,) = claim(10)
    assert claim(10) == []
    deliver()
    assert receiver.taken == []
    WebhookDelivery.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    deliver()
    assert [taken.id for taken in receiver.taken] == [request.webhook_id]
    assert LEASE.total_seconds() > 3 * sending.TIME_OUT
    assert "whsec_" not in repr(request)


@pytest.mark.django_db(transaction=True)
def test_two_runners_share_the_work(ada: Person, receiver: Receiver) -> None:
    for number in range(4):
        hook(ada, receiver, path=f"/{number}")
    happen(ada, 15)

    def run() -> None:
        deliver()
        connection.close()

    runners = [threading.Thread(target=run) for _ in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert len({taken.id for taken in receiver.taken}) == len(receiver.taken) == 60
    assert {row.status for row in WebhookDelivery.objects.all()} == {"delivered"}


def test_a_webhook_deleted_meanwhile_is_no_error(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    happen(ada)
    (request,) = claim(10)
    delete_webhook(ada.actor, endpoint.pk)
    keep([Outcome(request.delivery_id, 200, "", "thanks", 5)])
    assert not WebhookAttempt.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_an_answer_that_comes_after_the_switch_counts(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    happen(ada, 2)
    good, bad = claim(10)
    change_webhook(ada.actor, endpoint.pk, enabled=False)
    keep(
        [
            Outcome(good.delivery_id, 200, "", "thanks", 5),
            Outcome(bad.delivery_id, 500, "The server answered 500.", "", 5),
        ]
    )
    statuses = {row.pk: row.status for row in WebhookDelivery.objects.all()}
    assert statuses == {good.delivery_id: "delivered", bad.delivery_id: "failed"}


def test_no_endpoint_crowds_out_another(ada: Person, receiver: Receiver) -> None:
    hook(ada, receiver, path="/many")
    happen(ada, 30)
    hook(ada, receiver, path="/few")
    happen(ada)
    places = Counter(request.url[-4:] for request in claim(50))
    assert places == {"many": 4, "/few": 1}
    assert claim(50) == []


# --- Managed ---------------------------------------------------------------------------------


def test_a_backlog_of_others_does_not_come_first(
    ada: Person, cy: Person, receiver: Receiver
) -> None:
    for number in range(10):
        hook(cy, receiver, path=f"/slow/{number}")
    happen(cy, 10)
    endpoint, _ = hook(ada, receiver)
    happen(ada)
    mine = str(endpoint.deliveries.get().webhook_id)
    assert mine in {request.webhook_id for request in claim(11)}
    happen(ada)
    mine = endpoint.deliveries.get(claim=None).webhook_id
    assert mine in {request.webhook_id for request in claim(11)}


def test_two_secrets_sign_while_one_is_rotated(ada: Person, receiver: Receiver) -> None:
    endpoint, old = hook(ada, receiver)
    new = rotate_secret(ada.actor, endpoint.pk)
    assert new != old
    happen(ada)
    deliver()
    (taken,) = receiver.taken
    assert taken.verified(old) == taken.verified(new)
    assert len(taken.headers["webhook-signature"].split(" ")) == 2
    WebhookEndpoint.objects.update(previous_until=timezone.now())
    redeliver(ada.actor, endpoint.pk, only().pk)
    deliver()
    later = receiver.taken[-1]
    later.verified(new)
    with pytest.raises(WebhookVerificationError):
        later.verified(old)


def test_a_secret_is_kept_sealed_and_told_to_nobody(ada: Person, receiver: Receiver) -> None:
    endpoint, secret = hook(ada, receiver, "*")
    newer = rotate_secret(ada.actor, endpoint.pk)
    happen(ada)
    deliver()
    endpoint.refresh_from_db()
    tables = (Event, WebhookDelivery, WebhookAttempt, WebhookEndpoint, Notification)
    stored = str([list(model.objects.values()) for model in tables])
    sent = b"".join(taken.body for taken in receiver.taken).decode()
    for one in (secret, newer):
        assert one.startswith("whsec_")
        assert one.removeprefix("whsec_") not in stored + sent


def test_an_address_is_told_to_nobody_else(ada: Person, receiver: Receiver) -> None:
    hook(ada, receiver, "*")
    endpoint, _ = hook(ada, receiver, "*", path="/a-secret?key=one")
    change_webhook(ada.actor, endpoint.pk, url=receiver.url("/a-secret?key=two"))
    services.send_test(ada.actor, endpoint.pk)
    rotate_secret(ada.actor, endpoint.pk)
    relay()
    claim(50)
    keep([Outcome(row.pk, 410, "Gone.", "", 1) for row in endpoint.deliveries.all()])
    services.delete_webhook(ada.actor, endpoint.pk)
    relay()
    WebhookDelivery.objects.update(claimed_until=None)
    deliver()
    sent = b"".join(taken.body for taken in receiver.taken).decode()
    told = str(list(Event.objects.values())) + str(list(Notification.objects.values())) + sent
    for action in ("created", "updated", "secret_rotated", "disabled", "deleted"):
        assert f'"type":"webhook.{action}"' in sent
    assert '"host":"127.0.0.1"' in sent
    assert "a-secret" not in told


def test_sending_again_keeps_the_id(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    happen(ada)
    deliver()
    redeliver(ada.actor, endpoint.pk, only().pk)
    assert only().status == "pending"
    redeliver(ada.actor, endpoint.pk, only().pk)  # twice is once
    work_off()
    first, second = receiver.taken
    assert first.id == second.id
    assert (only().status, only().attempts) == ("delivered", 2)
    change_webhook(ada.actor, endpoint.pk, enabled=False)
    with pytest.raises(WebhookIsOff):
        redeliver(ada.actor, endpoint.pk, only().pk)
    with pytest.raises(WebhookIsOff):
        send_test(ada.actor, endpoint.pk)


def test_switching_off_and_on(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    happen(ada)
    change_webhook(ada.actor, endpoint.pk, enabled=False)
    assert (only().status, only().last_error) == ("failed", "The webhook was switched off.")
    happen(ada)
    assert WebhookDelivery.objects.count() == 1
    changed = change_webhook(
        ada.actor, endpoint.pk, enabled=True, actions=["domain.*"], description=" Ours \n now "
    )
    assert (changed.disabled_reason, changed.description) == ("", "Ours now")
    assert changed.actions == ["domain.*"]
    happen(ada, action="domain.ready")
    deliver()
    assert [Typed(taken).verified_type for taken in receiver.taken] == ["domain.ready"]


@pytest.mark.parametrize(
    "actions",
    [[], [" "], ["**"], ["mailbox"], ["mailbox."], ["*.created"], ["Mailbox.created"],
     ["mailbox.created.x"], ["a" * 70 + ".b"], ["x\0.y"], [f"a.b{'c' * n}" for n in range(51)]],
)  # fmt: skip
def test_events_that_cannot_be_are_refused(ada: Person, actions: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        create_webhook(ada.actor, url="https://hooks.example.com/", actions=actions)
    assert "actions" in caught.value.details


def test_a_bad_address_is_refused(ada: Person, receiver: Receiver) -> None:
    with pytest.raises(Invalid) as caught:
        create_webhook(ada.actor, url="https://user@hooks.example.com/", actions=["*"])
    assert "url" in caught.value.details
    endpoint, _ = hook(ada, receiver)
    with pytest.raises(Invalid):
        change_webhook(ada.actor, endpoint.pk, url="https://10.0.0.1/")


@pytest.mark.django_db(transaction=True)
def test_there_are_ten_at_most(ada: Person, receiver: Receiver) -> None:
    for _ in range(WebhookEndpoint.MOST - 1):
        hook(ada, receiver)
    refused: list[str] = []

    def add() -> None:
        try:
            hook(ada, receiver)
        except TooManyWebhooks as error:
            refused.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=add) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["WEBHOOK_LIMIT"] * 4
    assert webhooks(ada.actor).count() == WebhookEndpoint.MOST


def test_lists_are_searched_and_filtered(ada: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver, path="/one")
    hook(ada, receiver, path="/two")
    happen(ada, 3)
    deliver()
    assert [row.pk for row in webhooks(ada.actor, search="/ONE")] == [endpoint.pk]
    assert deliveries(ada.actor, endpoint.pk, status="delivered").count() == 3
    assert not deliveries(ada.actor, endpoint.pk, status="failed").exists()


def acts(person: Person, webhook_id: UUID, delivery_id: UUID) -> list[object]:
    actor = person.actor
    return [
        lambda: get_webhook(actor, webhook_id),
        lambda: deliveries(actor, webhook_id),
        lambda: get_delivery(actor, delivery_id, webhook_id=webhook_id),
        lambda: change_webhook(actor, webhook_id, enabled=False),
        lambda: rotate_secret(actor, webhook_id),
        lambda: delete_webhook(actor, webhook_id),
        lambda: send_test(actor, webhook_id),
        lambda: redeliver(actor, webhook_id, delivery_id),
    ]


def test_a_stranger_finds_nothing(ada: Person, cy: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    own, _ = hook(cy, receiver)
    happen(ada)
    before = list(WebhookEndpoint.objects.order_by("pk").values())
    for act in acts(cy, endpoint.pk, only().pk):
        with pytest.raises(WebhookNotFound):
            act()  # type: ignore[operator]
    # Nor through a webhook of one's own.
    with pytest.raises(DeliveryNotFound):
        redeliver(cy.actor, own.pk, only().pk)
    with pytest.raises(WebhookNotFound):
        get_webhook(ada.actor, uuid4())
    assert list(WebhookEndpoint.objects.order_by("pk").values()) == before
    assert [row.pk for row in webhooks(cy.actor)] == [own.pk]


def test_a_member_may_do_nothing_here(ada: Person, bo: Person, receiver: Receiver) -> None:
    endpoint, _ = hook(ada, receiver)
    happen(ada)
    for act in (
        *acts(bo, endpoint.pk, only().pk),
        lambda: hook(bo, receiver),
        lambda: webhooks(bo.actor),
    ):
        with pytest.raises(Forbidden):
            act()  # type: ignore[operator]


def test_old_tries_go(ada: Person, receiver: Receiver) -> None:
    hook(ada, receiver)
    happen(ada, 2)
    deliver()
    long_ago = timezone.now() - timedelta(days=31)
    WebhookAttempt.objects.filter(pk=WebhookAttempt.objects.latest("pk").pk).update(at=long_ago)
    services.forget_old()
    assert WebhookAttempt.objects.count() == 1
    assert WebhookDelivery.objects.count() == 2
    WebhookDelivery.objects.update(created_at=long_ago)
    services.forget_old()
    assert not WebhookDelivery.objects.exists()


def test_a_run_gives_way_to_other_sweeps_and_goes_on_behind_them(
    ada: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic, "SLICE", 0.0)
    hook(ada, receiver)
    happen(ada, 6)
    assert deliver()
    assert len(receiver.taken) == delivery_module.EACH
    periodic.start("events.deliveries")
    OrmQ.objects.exclude(pk=OrmQ.objects.latest("pk").pk).delete()
    work_off()
    assert len(receiver.taken) == 6
    assert not deliver()
