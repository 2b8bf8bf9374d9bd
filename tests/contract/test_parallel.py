"""Twenty requests at once over real HTTP, on the suite's database: one effect, never two."""

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from domains.models import Domain
from mailboxes.models import Batch, Mailbox
from mailboxes.services import provision_mailboxes
from mpanel.core.models import IdempotentAnswer
from provisioning.models import Job
from tests.cast import Person
from tests.contract.test_source_1 import ready, requested
from tests.processes import ROOT, at_once, eventually, suite_environment

pytestmark = pytest.mark.django_db(transaction=True)
TOGETHER = 20
PROVISION = "/api/v1/infrastructure/provision"


@contextlib.contextmanager
def web() -> Iterator[str]:
    """gunicorn over the suite's database, with a thread for each of the requests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "mpanel.wsgi", f"--bind=127.0.0.1:{port}",
               "--workers=2", f"--threads={TOGETHER}", "--log-level=warning"]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=suite_environment(API_PLAN_RATE_FACTOR=100, LOG_LEVEL="ERROR"),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            eventually(partial(_answers, url))
            yield url
        finally:
            process.terminate()
            process.wait(120)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/domains", trust_env=False).status_code == 401
    except httpx.TransportError:
        return False


def posted(
    url: str, person: Person, body: dict[str, Any], *, path: str = PROVISION, **headers: str
) -> httpx.Response:
    return httpx.post(
        f"{url}{path}",
        json=body,
        headers={"Authorization": f"Bearer {person.token}", **headers},
        timeout=120,
        trust_env=False,
    )


def answers(requests: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    found = at_once(*requests)
    assert not [error for error in found if isinstance(error, Exception)]
    return [answer for answer in found if isinstance(answer, httpx.Response)]


def test_of_twenty_for_the_last_free_slot_one_wins(ada: Person) -> None:
    domain = ready(ada)
    provision_mailboxes(ada.actor, domain.pk, count=49, convention="firstname")
    with web() as url:
        body = requested(domain, 1, naming_convention="role")
        found = answers([partial(posted, url, ada, body)] * TOGETHER)
    assert sorted(answer.status_code for answer in found) == [201] + [402] * (TOGETHER - 1)
    for answer in found:
        if answer.status_code == 402:
            details = answer.json()["error"]["details"]
            assert details == {"limit": 50, "used": 50, "requested": 1}
    assert Mailbox.objects.present().count() == 50
    assert Job.objects.filter(workflow="mailboxes.provision").count() == 3  # the estate's is one


def test_lists_and_single_mailboxes_share_the_last_slots(ada: Person) -> None:
    domain = ready(ada)
    provision_mailboxes(ada.actor, domain.pk, count=43, convention="firstname")
    with web() as url:
        single = [
            partial(posted, url, ada, {"email": f"s{number}@acme.test"}, path="/api/mailboxes")
            for number in range(10)
        ]
        lists = [
            partial(
                posted,
                url,
                ada,
                {"rows": [{"email": f"l{number}.{row}@acme.test"} for row in range(3)]},
                path="/api/mailboxes/import",
            )
            for number in range(10)
        ]
        found = answers([*single, *lists])
    made = sum(answer.status_code == 201 for answer in found[:10])
    listed = sum(answer.json()["summary"]["successful"] for answer in found[10:])
    assert {answer.status_code for answer in found} <= {200, 201, 402}
    assert made + listed == 7
    assert Mailbox.objects.present().count() == 50


def test_of_twenty_with_one_key_there_is_one_effect(ada: Person) -> None:
    domain = ready(ada)
    with web() as url:
        key = {"Idempotency-Key": "one and the same"}
        found = answers([partial(posted, url, ada, requested(domain, 5), **key)] * TOGETHER)
    assert {answer.status_code for answer in found} == {201}
    assert len({answer.content for answer in found}) == 1
    assert Mailbox.objects.count() == 5
    assert Batch.objects.filter(count=5).count() == 1
    assert IdempotentAnswer.objects.count() == 1
    fresh = [answer for answer in found if "Idempotent-Replayed" not in answer.headers]
    assert len(fresh) == 1
    assert Domain.objects.count() == 1
