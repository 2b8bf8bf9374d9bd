"""Nothing slow is done while a request with an `Idempotency-Key` holds the database."""

import re
import sys
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import get_hasher
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.response import Response

from domains.models import Domain
from domains.services import forget_domain
from events import csvfiles
from events.selectors import audit
from mailboxes.services import bulk
from mpanel.core import pruning
from mpanel.core.api.idempotency import (
    RUNS_FOR,
    KeyReused,
    StillRunning,
    answered,
    in_slices,
    once,
)
from mpanel.core.models import IdempotentAnswer
from tenants import services
from tenants.models import User
from tenants.services import passwords
from tests.api import Api
from tests.cast import Person
from tests.locks import Calls, written_together
from tests.wizard.rows import estate
from tests.work import work_off

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD, NEW = "a long and good one", "another that is good"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    for name in ("encode", "verify"):
        calls.watch(monkeypatch, type(get_hasher()), name)
    return calls


def post(path: str, body: dict[str, Any], key: str) -> Any:
    first, again = (Api().post(f"/api/v1/auth/{path}", body, key=key) for _ in range(2))
    assert first.status == again.status
    return first


def test_passwords_are_hashed_before_the_transaction_of_a_key(ada: Person, hashed: Calls) -> None:
    ada.user.password = services.HashedPassword.of(PASSWORD).password_hash
    ada.user.save()
    hashed.clear()
    email = ada.user.email
    new = {"email": "new@people.test", "password": PASSWORD}
    assert post("register", new, "one").status == 201
    assert post("login", {"email": email, "password": PASSWORD}, "two").status == 200
    assert Api().post("/api/v1/auth/password/forgot", {"email": email}).status == 202
    work_off()
    (code,) = re.findall(r"\b\d{6}\b", str(mail.outbox[-1].body))
    reset = {"email": email, "code": code, "password": NEW}
    assert post("password/reset", reset, "three").status == 204
    assert User.objects.get(email=email).check_password(NEW)
    assert hashed
    assert not any(hashed)


def test_a_try_counts_before_its_password_is_hashed(ada: Person, hashed: Calls) -> None:
    def register(number: int) -> int:
        new = {"email": f"p{number}@people.test", "password": PASSWORD}
        return Api().post("/api/v1/auth/register", new).status

    for number in range(passwords.PER_NETWORK):
        register(number)
    hashed.clear()
    assert register(99) == 429
    assert Api().post("/api/v1/auth/password/forgot", {"email": ada.user.email}).status == 202
    guess = {"email": ada.user.email, "code": "000000", "password": NEW}
    answers = {Api().post("/api/v1/auth/password/reset", guess).status for _ in range(30)}
    assert answers == {400, 429}
    assert not hashed


def test_a_wrong_password_counts_with_a_key_too(ada: Person, hashed: Calls) -> None:
    ada.user.password = services.HashedPassword.of(PASSWORD).password_hash
    ada.user.save()
    wrong = {"email": ada.user.email, "password": "not this one"}
    codes = [Api().post("/api/v1/auth/login", wrong, key="one").status for _ in range(30)]
    assert codes[0] == 401
    assert codes[-1] == 429


@pytest.mark.parametrize("key", ["", "one"])
@pytest.mark.parametrize(
    ("action", "more"),
    [("suspend", {}), ("reset-password", {}), ("set-quota", {"quotaMb": 2048})],
)
def test_many_mailboxes_are_changed_a_few_at_a_time(
    ada: Person, monkeypatch: pytest.MonkeyPatch, action: str, more: dict[str, int], key: str
) -> None:
    monkeypatch.setattr(bulk, "IN_ONE_TRANSACTION", 2)
    boxes = [str(box.pk) for box in estate(ada, inboxes=5).mailboxes]
    wanted = {"action": action, "ids": boxes, **more}
    with written_together("mailboxes_mailbox") as counts:
        answer = Api(ada.token).post("/api/mailboxes/bulk", wanted, key=key)
    assert (answer.status, answer.body["summary"]["successful"]) == (200, 5), answer.body
    assert [one["id"] for one in answer.body["results"]] == boxes, "in the order of the request"
    assert counts == [2, 2, 1]


def test_the_answer_to_a_key_is_opened_behind_the_transaction(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two at once, the second waits for the first, and finds the row when it inserts its own."""
    opened = Calls()
    opened.watch(monkeypatch, IdempotentAnswer, "answer")
    asked: dict[str, Any] = {"whose": "ada", "request": "the same", "actor": ada.actor}
    for text in ("first", "second"):
        answer = once("one", **asked, work=partial(Response, text))
        assert answer.data == "first"
    assert opened == [False]


def test_work_in_slices_that_was_cut_off_is_done_again(ada: Person) -> None:
    done: list[int] = []

    def work(*, dies: bool) -> Response:
        done.append(len(done))
        if dies:
            raise SystemExit
        return Response({"done": done[-1]})

    asked: dict[str, Any] = {"whose": "ada", "request": "the same", "actor": ada.actor}
    with pytest.raises(SystemExit):
        in_slices("one", **asked, work=partial(work, dies=True))
    with pytest.raises(StillRunning):
        in_slices("one", **asked, work=partial(work, dies=False))
    with pytest.raises(KeyReused):
        in_slices("one", **{**asked, "request": "another"}, work=partial(work, dies=False))
    assert answered("one", **asked) is None
    IdempotentAnswer.objects.update(created_at=timezone.now() - RUNS_FOR - timedelta(seconds=1))
    for _ in range(2):
        answer = in_slices("one", **asked, work=partial(work, dies=False))
        assert answer.data == {"done": 1}
    again = answered("one", **asked)
    assert again is not None
    assert again.data == {"done": 1}
    refused = in_slices("two", **asked, work=lambda: Response({}, 409))
    assert (refused.status_code, IdempotentAnswer.objects.count()) == (409, 1)


def test_who_comes_as_work_in_slices_fails_may_try_again(ada: Person) -> None:
    """Its row was there at the insert, and is gone at the look."""
    asked: dict[str, Any] = {"whose": "ada", "request": "the same", "actor": ada.actor}
    with pytest.raises(SystemExit):
        in_slices("one", **asked, work=sys.exit)
    begun: list[str] = []

    def fails_meanwhile(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("SELECT") and IdempotentAnswer._meta.db_table in sql and not begun:
            begun.append(sql)
            IdempotentAnswer.objects.all().delete()
        return execute(sql, *rest)

    with connection.execute_wrapper(fails_meanwhile), pytest.raises(StillRunning):
        in_slices("one", **asked, work=lambda: Response({}))
    assert begun
    assert in_slices("one", **asked, work=lambda: Response({"done": 1})).status_code == 200


def test_what_goes_with_a_domain_is_deleted_a_few_rows_at_a_time(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = estate(ada, "ada.test", inboxes=5).domain
    Domain.objects.filter(pk=domain.pk).update(status=Domain.DELETING)
    domain.refresh_from_db()
    monkeypatch.setattr(pruning, "ROWS", 2)
    beats: list[int] = []
    with written_together("mailboxes_mailbox") as counts:
        pruning.delete_what_goes_with(domain, beat=beats.append)
        forget_domain(domain)
    assert [number for number in counts if number] == [2, 2, 1]
    assert max(beats) == 2
    assert not Domain.objects.filter(pk=domain.pk).exists()


def test_the_audit_file_is_read_a_page_at_a_time(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csvfiles, "PAGE", 2)
    services.change_profile(ada.actor, tenant_name="One")
    services.change_profile(ada.actor, tenant_name="Two")
    services.change_profile(ada.actor, tenant_name="Three")
    events = audit(ada.actor)
    with CaptureQueriesContext(connection) as seen:
        found = list(csvfiles.in_pages(events))
    assert found == list(events)
    assert len(seen) == len(found) // 2 + 1
    assert all("LIMIT 2" in one["sql"] for one in seen)
