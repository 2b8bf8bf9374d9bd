"""The newest migrations on a database with rows: back, and forward again."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.admin.rows import make_rows
from tests.cast import Person
from tests.wizard.rows import estate

pytestmark = pytest.mark.django_db(transaction=True)
# Each names an app's state of before; what depends on the later ones goes back with them.
BEFORE = [
    ("dnszones", "0009_flattened_spf"),
    ("mailboxes", "0012_only_verified_domains"),
    ("tenants", "0010_one_form_for_good"),
]


@pytest.fixture
def back() -> Iterator[None]:
    """However the test ends, the next one finds the database of now."""
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def counts() -> dict[str, int]:
    ours = {app for app, _ in BEFORE}
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        found = {}
        for table in tables:
            if table.partition("_")[0] in ours:
                cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608
                (found[table],) = cursor.fetchone()
    return found


def test_rows_stand_through_the_newest_migrations_back_and_forward(ada: Person, back: None) -> None:
    estate(ada, "ada.test", inboxes=3)
    for model in admin.site._registry:
        if model._meta.app_label in {app for app, _ in BEFORE}:
            make_rows(model, 2)
    full = counts()
    MigrationExecutor(connection).migrate(BEFORE)
    older = counts()
    assert older == {table: full[table] for table in older}
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert counts() == {table: older.get(table, 0) for table in full}
