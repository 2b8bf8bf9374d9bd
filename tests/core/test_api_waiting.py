"""`Prefer: wait=N` (RFC 7240)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from django.db import transaction
from django.test import RequestFactory
from rest_framework.request import Request

from mpanel.core.api.waiting import MOST, outside, wait, wished
from tests.api import Api
from tests.cast import Person


def request(prefer: str) -> Request:
    return Request(RequestFactory().get("/", headers={"Prefer": prefer}))


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
def test_some_threads_are_left_for_those_who_do_not_wait() -> None:
    all_wait, may_end = threading.Barrier(MOST + 1), threading.Event()

    def is_over() -> bool:
        with suppress(threading.BrokenBarrierError):
            all_wait.wait(10)
        return may_end.wait(10)

    with ThreadPoolExecutor(MOST) as threads:
        waiting = [threads.submit(wait, request("wait=10"), is_over) for _ in range(MOST)]
        all_wait.wait(10)
        assert wait(request("wait=1"), lambda: True) == {}
        may_end.set()
        assert [done.result() for done in waiting] == [{"Preference-Applied": "wait=10"}] * MOST
    assert wait(request("wait=1"), lambda: True) == {"Preference-Applied": "wait=1"}


def test_who_looks_outside_takes_a_place_or_comes_back(ada: Person) -> None:
    api, asked = Api(ada.token), {"domain": "example.test", "original_spf": "v=spf1 -all"}
    with ExitStack() as others:
        for _ in range(MOST):
            others.enter_context(outside())
        refused = api.post("/api/v1/dns/spf/flatten", asked)
        assert (refused.error, refused.headers["Retry-After"]) == ("RATE_LIMITED", "2")
        assert wait(request("wait=5"), lambda: False) == {}
        assert api.get("/api/v1/domains").status == 200
    assert api.post("/api/v1/dns/spf/flatten", asked).status == 200
