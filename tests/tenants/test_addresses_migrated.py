"""Addresses that were stored before they had one form: written anew, and nobody is lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = ("tenants", "0008_former_addresses"), ("tenants", "0010_one_form_for_good")


@pytest.fixture
def old() -> Iterator[Any]:
    """The apps as they were before addresses had one form."""
    executor = MigrationExecutor(connection)
    executor.migrate([BEFORE])
    yield executor.loader.project_state([BEFORE]).apps
    MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())


def migrate() -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate([AFTER])
    return executor.loader.project_state([AFTER]).apps


def test_each_mailbox_has_one_user_and_every_user_is_kept(old: Any) -> None:
    users = old.get_model("tenants", "User").objects
    oldest = users.create(email="ada@exam\u200bple.com")
    plain = users.create(email="ada@example.com")
    wide = users.create(email="ada@ｅxample.com")
    mueller = users.create(email="bo@müller.example.com")
    later = users.create(email="bo@MÜLLER.example.com")
    nowhere = users.create(email="ıngo@example.com")
    fine = users.create(email="cy@people.test")
    after = migrate().get_model("tenants", "User").objects
    found = {user.pk: (user.email, user.former_email) for user in after.all()}
    # Who had the plain form signs in with it; else the oldest does.
    assert found[plain.pk] == ("ada@example.com", "")
    assert found[mueller.pk] == ("bo@xn--mller-kva.example.com", "")
    assert found[fine.pk] == ("cy@people.test", "")
    # The others are there with all that is theirs, marked, and nobody can ask for their codes.
    for user in (oldest, wide, later, nowhere):
        assert found[user.pk] == (f"{user.pk}@no-mail.invalid", user.email)


def test_other_stored_addresses_are_written_in_the_same_form(old: Any) -> None:
    tenant = old.get_model("tenants", "Tenant").objects.create(name="Ada")
    customers = old.get_model("tenants", "Customer").objects
    customer = customers.create(tenant=tenant, email="Bills@MÜLLER.example.com")
    credentials = old.get_model("tenants", "ProviderCredential").objects
    google = credentials.create(
        tenant=tenant,
        port="mail",
        provider="google-workspace",
        label="G",
        public={"admin_email": "Admin@Example.com"},
    )
    apps = migrate()
    customer = apps.get_model("tenants", "Customer").objects.get(pk=customer.pk)
    assert customer.email == "bills@xn--mller-kva.example.com"
    google = apps.get_model("tenants", "ProviderCredential").objects.get(pk=google.pk)
    assert google.public == {"admin_email": "admin@example.com"}
