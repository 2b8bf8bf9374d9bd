"""`Prefer: wait=N` (RFC 7240)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.test import RequestFactory
from rest_framework.request import Request

from mpanel.core.api import waiting
from mpanel.core.api.waiting import WAITS, WaitingSlots, outside, wait, wished
from tests.api import Api
from tests.cast import Person
from tests.processes import eventually


def request(prefer: str, tenant_id: object = "") -> Request:
    found = Request(RequestFactory().get("/", headers={"Prefer": prefer}))
    found.auth = SimpleNamespace(tenant_id=tenant_id)
    return found


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("wait=5", 5),
        ("Wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=5", 5),
        ("wait=5; foo=bar", 5),
        ("wait=5, wait=9", 5),
        ("wait=600", 10),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=5s", 0),
        ("wait", 0),
        ("await=5", 0),
        ("wait=٥", 0),
        ("wait=" + "9" * 5_000, 0),
    ],
)
def test_what_a_header_wishes(header: str, seconds: int) -> None:
    assert wished(header) == seconds


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_it_is_over_or_time_is_up() -> None:
    looks = iter([False, False, True])
    assert wait(request("wait=5"), lambda: next(looks)) == {"Preference-Applied": "wait=5"}
    started = time.monotonic()
    assert wait(request("wait=1"), lambda: False) == {"Preference-Applied": "wait=1"}
    assert time.monotonic() - started > 0.9
    assert wait(request(""), lambda: False) == {}


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_inside_a_transaction() -> None:
    with transaction.atomic():
        assert wait(request("wait=5"), lambda: False) == {}


@pytest.mark.django_db(transaction=True)
def test_some_threads_are_left_for_those_who_do_not_wait(patiently: str) -> None:
    all_wait, may_end = threading.Barrier(WAITS + 1), threading.Event()

    def is_over() -> bool:
        with suppress(threading.BrokenBarrierError):
            all_wait.wait(600)
        return may_end.wait(600)

    with ThreadPoolExecutor(WAITS) as threads:
        waiters = [threads.submit(wait, request(patiently, n), is_over) for n in range(WAITS)]
        all_wait.wait(600)
        assert wait(request("wait=1", WAITS), lambda: True) == {}
        with outside("somebody", patience=0):  # look-ups have places of their own
            may_end.set()
        assert [done.result() for done in waiters] == [{"Preference-Applied": patiently}] * WAITS
    assert wait(request("wait=1"), lambda: True) == {"Preference-Applied": "wait=1"}


@pytest.mark.django_db(transaction=True)
def test_a_tenant_that_waits_leaves_room_for_the_others(patiently: str) -> None:
    waits, may_end = threading.Event(), threading.Event()

    def is_over() -> bool:
        waits.set()
        return may_end.wait(600)

    with ThreadPoolExecutor(1) as threads:
        waiter = threads.submit(wait, request(patiently, 1), is_over)
        assert waits.wait(600)
        assert wait(request(patiently, 1), lambda: True) == {}
        assert wait(request(patiently, 2), lambda: True) == {"Preference-Applied": patiently}
        may_end.set()
        waiter.result()


def test_one_tenants_look_ups_do_not_refuse_another_tenants(ada: Person, cy: Person) -> None:
    asked = {"domain": "example.test", "original_spf": "v=spf1 -all"}
    path = "/api/v1/dns/spf/flatten"
    with outside(ada.actor.tenant_id), ThreadPoolExecutor(1) as threads:
        queued = threads.submit(_takes_a_place, ada.actor.tenant_id)
        eventually(lambda: waiting._lookups._queue.total() == 1)
        refused = Api(ada.token).post(path, asked)  # its one place in the queue is taken, too
        assert (refused.error, refused.headers["Retry-After"]) == ("RATE_LIMITED", "2")
        assert Api(cy.token).post(path, asked).status == 200
        assert Api(ada.token).get("/api/v1/domains").status == 200
        waiting._lookups.give_back(str(ada.actor.tenant_id))
        assert queued.result() is True
        assert waiting._lookups.take(str(ada.actor.tenant_id))
    assert Api(ada.token).post(path, asked).status == 200


def test_who_finds_every_place_taken_waits_for_one() -> None:
    places = WaitingSlots(1, queued=1)
    assert places.take("a")
    with ThreadPoolExecutor(1) as threads:
        queued = threads.submit(places.take, "b", patience=60)
        eventually(lambda: places._queue.total() == 1)
        assert not places.take("c", patience=60)  # the queue is full
        places.give_back("a")
        assert queued.result()
    assert not places.take("a")
    places.give_back("b")
    assert places.take("a")


def _takes_a_place(tenant_id: object) -> bool:
    with outside(tenant_id, patience=60):
        return True
