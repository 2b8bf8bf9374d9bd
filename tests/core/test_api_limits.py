"""Idempotency keys and rate limits, as a client meets them."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import Settings

from mpanel.core.actor import MEMBER, OWNER
from mpanel.core.api import ratelimit
from mpanel.core.api.ratelimit import Limit
from mpanel.core.errors import TooManyRequests
from mpanel.core.models import IdempotentAnswer, RateWindow
from tenants.models import ApiKey, Membership, OneTimeCode, Session
from tests.api import Api
from tests.cast import Person

pytestmark = pytest.mark.django_db
KEYS = "/api/v1/api-keys"
NEW_KEY = {"name": "CI", "scopes": ["account:read"]}


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    ratelimit.forget_portions()
    yield
    ratelimit.forget_portions()


# --- Idempotency-Key -------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_same_answer(ada: Person) -> None:
    api = Api(ada.token)
    first = api.post(KEYS, NEW_KEY, key="one")
    second = api.post(KEYS, NEW_KEY, key="one")
    assert (first.status, second.status) == (201, 201)
    assert first.raw == second.raw
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.count() == 1


def test_an_answer_without_a_body_is_given_again(ada: Person) -> None:
    api, path = Api(ada.token), "/api/v1/auth/sessions/end-others"
    assert [api.post(path, key="one").status for _ in range(2)] == [204, 204]


def test_the_same_key_with_another_body_or_path_is_409(ada: Person) -> None:
    api = Api(ada.token)
    assert api.post(KEYS, NEW_KEY, key="one").status == 201
    assert api.post(KEYS, {**NEW_KEY, "name": "x"}, key="one").error == "IDEMPOTENCY_KEY_REUSED"
    other = api.post("/api/v1/auth/session-token", key="one")
    assert other.error == "IDEMPOTENCY_KEY_REUSED"
    assert ApiKey.objects.count() == 1


def test_what_was_refused_may_be_tried_again(ada: Person) -> None:
    api = Api(ada.token)
    assert api.post(KEYS, {**NEW_KEY, "scopes": ["operator"]}, key="one").status == 400
    assert api.post(KEYS, NEW_KEY, key="one").status == 201


def test_a_key_belongs_to_who_sent_it(ada: Person, cy: Person) -> None:
    mine = Api(ada.token).post(KEYS, NEW_KEY, key="one")
    theirs = Api(cy.token).post(KEYS, NEW_KEY, key="one")
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.body["data"]["key"] != theirs.body["data"]["key"]


def test_an_answer_is_given_again_only_to_the_role_it_was_given_to(ada: Person) -> None:
    api = Api(ada.token)
    assert api.post(KEYS, NEW_KEY, key="one").status == 201
    Membership.objects.filter(user=ada.user).update(role=MEMBER)
    refused = api.post(KEYS, NEW_KEY, key="one")
    assert (refused.status, refused.error) == (403, "FORBIDDEN")
    Membership.objects.filter(user=ada.user).update(role=OWNER)
    assert api.post(KEYS, NEW_KEY, key="one").headers["Idempotent-Replayed"] == "true"


def test_the_browser_is_not_given_what_a_token_was_answered(ada: Person) -> None:
    new = {"name": "CI", "scopes": ["mailboxes:reveal"]}
    assert Api(ada.token).post(KEYS, new, key="one").status == 201
    Session.objects.filter(kind=Session.BROWSER).update(confirmed_at=None)
    for key in ("one", "two"):
        refused = ada.client.post(
            KEYS, new, content_type="application/json", headers={"Idempotency-Key": key}
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "CODE_NEEDED")


@pytest.mark.parametrize("key", [" ", "ä", "a\tb", "x" * 201, "\x7f"])
def test_an_odd_key_is_refused(ada: Person, key: str) -> None:
    assert Api(ada.token).post(KEYS, NEW_KEY, key=key).error == "VALIDATION_ERROR"


def test_kept_answers_are_sealed(ada: Person) -> None:
    made = Api(ada.token).post(KEYS, NEW_KEY, key="one")
    row = IdempotentAnswer.objects.get()
    assert made.body["data"]["key"] not in row.sealed
    assert row.answer().encode() == made.raw


def test_tries_count_although_each_has_its_own_key() -> None:
    api = Api()
    OneTimeCode.objects.all().delete()
    body = {"email": "x@people.test", "password": "wrong"}
    answers = [api.post("/api/v1/auth/login", body, key=f"k{n}").error for n in range(11)]
    assert answers == ["AUTH_INVALID_CREDENTIALS"] * 10 + ["RATE_LIMITED"]


# --- Rate limits -----------------------------------------------------------------------------


def test_every_answer_says_what_is_left(ada: Person, settings: Settings) -> None:
    settings.API_ADDRESS_RATE = 5000
    answer = Api(ada.token).get("/api/v1/profile")
    assert answer.headers["RateLimit-Policy"].startswith('"user";q=')
    assert '"tenant";q=' in answer.headers["RateLimit-Policy"]
    assert '"address";q=5000;w=60' in answer.headers["RateLimit-Policy"]
    assert re.fullmatch(r'"address";r=4999;t=\d+', answer.headers["RateLimit"])


def test_too_many_requests_are_told_when_to_come_back(settings: Settings) -> None:
    settings.API_PUBLIC_RATE = 3
    api = Api()
    statuses = [api.post("/api/v1/auth/login", {}).status for _ in range(4)]
    assert statuses == [400, 400, 400, 429]
    refused = api.post("/api/v1/auth/login", {})
    assert refused.error == "RATE_LIMITED"
    assert 1 <= int(refused.headers["Retry-After"]) <= 61


def test_a_refusal_names_the_limit_that_is_used_up(ada: Person, settings: Settings) -> None:
    settings.API_PLAN_RATE_FACTOR = 0
    refused = Api(ada.token).get("/api/v1/profile")
    assert refused.error == "RATE_LIMITED"
    assert refused.headers["RateLimit"] == f'"user";r=0;t={refused.headers["Retry-After"]}'
    assert refused.headers["RateLimit-Policy"].startswith('"user";q=0;w=60, "address";q=')


def test_a_long_address_fits_what_counts_its_tries() -> None:
    email = f"a@{'.'.join(['b' * 60] * 3)}.test"
    body = {"email": email, "password": "wrong"}
    assert Api().post("/api/v1/auth/login", body).error == "AUTH_INVALID_CREDENTIALS"
    for window in RateWindow.objects.all():
        window.full_clean(validate_unique=False)  # SQLite takes a text of any length


def test_bad_tokens_count_against_the_address(settings: Settings) -> None:
    settings.API_ADDRESS_RATE = 3
    answers = [Api(f"guess-{n}").get("/api/v1/profile").status for n in range(4)]
    assert answers == [401, 401, 401, 429]


def test_several_processes_never_exceed_a_limit() -> None:
    limit = Limit("test", "test:1", most=100)
    allowed = 0
    for _process in range(30):
        ratelimit.forget_portions()  # what another process holds
        for _ in range(4):
            try:
                ratelimit.spend(limit)
            except TooManyRequests:
                continue
            allowed += 1
    # Each process that ended took at most a portion of five with it.
    assert allowed == 80


def test_counting_writes_once_in_twenty() -> None:
    limit = Limit("test", "test:2", most=100)
    with connection.execute_wrapper(count := _Counter()):
        for _ in range(50):
            ratelimit.spend(limit)
    assert count.number == 10
    assert RateWindow.objects.get(bucket__startswith="test:2:").used == 50


class _Counter:
    number = 0

    def __call__(self, execute, sql, params, many, context):
        self.number += 1
        return execute(sql, params, many, context)


def test_a_whole_ipv6_network_is_one_caller(settings: Settings) -> None:
    settings.API_PUBLIC_RATE = 3
    settings.TRUSTED_PROXIES = 1
    callers = ["2001:db8:1:2::1", "[2001:db8:1:2::2]:4711", "2001:db8:1:2:ffff::3"]
    for caller in callers:
        assert Api(**{"X-Forwarded-For": caller}).post("/api/v1/auth/login", {}).status == 400
    beside = Api(**{"X-Forwarded-For": "2001:db8:1:2::9"}).post("/api/v1/auth/login", {})
    assert beside.status == 429
    elsewhere = Api(**{"X-Forwarded-For": "2001:db8:1:3::1"}).post("/api/v1/auth/login", {})
    assert elsewhere.status == 400
