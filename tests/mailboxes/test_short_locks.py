"""Making many mailboxes locks the database for its inserts only (SQLite has one writer)."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest
from django.db import connection

from mailboxes.accounts import NewMailbox, create_mailbox, provision_and_reveal
from mailboxes.imports import Row, import_mailboxes
from mailboxes.models import Mailbox
from mailboxes.services import drafts, preview_addresses, provision_mailboxes
from tests.cast import Person
from tests.mailboxes.test_services import ready_domain
from tests.processes import at_once

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
