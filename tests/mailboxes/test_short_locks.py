"""Making many mailboxes locks the database for its inserts only (SQLite has one writer)."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest
from django.conf import LazySettings
from django.db import connection

from deliverability import health
from events.models import Event
from mailboxes import services
from mailboxes.accounts import NewMailbox, create_mailbox, provision_and_reveal
from mailboxes.imports import Row, import_mailboxes
from mailboxes.models import Mailbox
from mailboxes.services import (
    delete_mailboxes,
    drafts,
    place_domain,
    preview_addresses,
    provision_mailboxes,
)
from mailboxes.states import removal
from provisioning.models import Job
from tests.api import Api
from tests.cast import Person
from tests.locks import Calls, written_together
from tests.mailboxes.test_services import proved, ready_domain
from tests.processes import at_once
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate
from tests.work import until

pytestmark = pytest.mark.django_db(transaction=True)
GIVEN = "A-given-passw0rd"


def watch(monkeypatch: pytest.MonkeyPatch, module: ModuleType, seen: Callable[[], None]) -> None:
    """Call `seen` whenever a password is made; it is made as ever."""
    make = module.make_password

    def make_password() -> str:
        seen()
        return str(make())

    monkeypatch.setattr(module, "make_password", make_password)


def test_passwords_and_rows_are_made_before_anything_is_locked(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = ready_domain(ada)
    locked: list[bool] = []
    watch(monkeypatch, drafts, lambda: locked.append(connection.in_atomic_block))
    provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    _, credentials = provision_and_reveal(ada.actor, domain.pk, count=3, convention="role")
    rows = [Row(email=f"import{number}@{domain.name}") for number in range(3)]
    rows.append(Row(email=f"given@{domain.name}", password=GIVEN))
    outcomes = import_mailboxes(ada.actor, rows)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    given = outcomes[-1].credential
    assert given is not None
    assert given.password == given.mailbox.password() == GIVEN
    assert all(one.password == one.mailbox.password() for one in credentials)
    assert locked == [False] * 9


def test_an_address_that_is_taken_meanwhile_is_not_given_twice(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection writes while passwords are made: it takes the first address."""
    domain = ready_domain(ada)
    first = preview_addresses(ada.actor, domain.pk, count=1, convention="firstname")[0]
    results: list[object] = []

    def take() -> None:
        if not results:
            wanted = NewMailbox(
                domain_id=domain.pk,
                username=first.local_part,
                first_name="Bo",
                last_name="Fast",
                password=GIVEN,
            )
            results.append(None)
            results.extend(at_once(partial(create_mailbox, ada.actor, wanted)))

    watch(monkeypatch, drafts, take)
    batch = provision_mailboxes(ada.actor, domain.pk, count=3, convention="firstname")
    assert not isinstance(results[1], Exception), results
    addresses = list(batch.mailboxes.values_list("local_part", flat=True))
    assert len(addresses) == 3
    assert first.local_part not in addresses
    assert Mailbox.objects.present().filter(domain=domain).count() == 4


def test_a_request_with_a_key_makes_mailboxes_before_its_transaction(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain, calls = ready_domain(ada), Calls()
    calls.watch(monkeypatch, drafts, "make_password")
    api = Api(ada.token)
    wanted = {"domain_id": str(domain.pk), "inbox_count": 3, "naming_convention": "firstname"}
    path = "/api/v1/infrastructure/provision"
    first, again = (api.post(path, wanted, key="one") for _ in range(2))
    assert (first.status, first.raw) == (201, again.raw)
    rows = [{"email": f"import{number}@{domain.name}"} for number in range(3)]
    assert api.post("/api/mailboxes/import", {"rows": rows}, key="two").body["success"]
    assert calls == [False] * 6
    assert Mailbox.objects.present().filter(domain=domain).count() == 6


def test_health_is_written_in_slices(
    ada: Person, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.BLOCKLIST_RESOLVER = ""
    theirs = estate(ada, "ada.test", inboxes=5)
    place_domain(theirs.domain)
    monkeypatch.setattr(health, "ROWS_AT_ONCE", 2)
    calls = Calls()
    calls.watch(monkeypatch, health, "asdict")
    with written_together(Mailbox._meta.db_table) as counts:
        health.sweep()
    assert counts == [2, 2, 1]
    assert calls
    assert not any(calls)
    measured = Mailbox.objects.filter(domain=theirs.domain)
    assert all(one.health_at and one.health for one in measured)


def test_many_mailboxes_are_deleted_a_few_at_a_time(
    ada: Person, monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox
) -> None:
    batch = proved(ada, ready_domain(ada), 3)
    monkeypatch.setattr(removal, "FORGOTTEN_AT_ONCE", 2)
    job = delete_mailboxes(ada.actor, [one.pk for one in batch.mailboxes.all()])
    calls = Calls()
    calls.watch(monkeypatch, services, "forget_mailboxes")
    until(lambda: not Job.objects.active().filter(pk=job.pk).exists())
    assert calls == [False] * 2
    assert not Mailbox.objects.present().exists()
    assert not Mailbox.objects.exclude(sealed_password="").exists()
    assert Event.objects.filter(action="mailbox.deleted").count() == 3
