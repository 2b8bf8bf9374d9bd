"""The newest migrations on a database with rows: back, and forward again."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
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
# Apps whose models began in app `mailboxes`, and whose tables are named so.
MOVED = {"deliverability", "outreach"}


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
        if model._meta.app_label in {app for app, _ in BEFORE} | MOVED:
            make_rows(model, 2)
    full = counts()
    MigrationExecutor(connection).migrate(BEFORE)
    older = counts()
    assert older == {table: full[table] for table in older}
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert counts() == {table: older.get(table, 0) for table in full}


def test_what_names_a_model_that_moved_goes_with_it(back: None) -> None:
    moved = [model for app in sorted(MOVED) for model in apps.get_app_config(app).get_models()]
    kept = {}
    for model in moved:
        named = ContentType.objects.get_for_model(model)
        code = f"view_{model._meta.model_name}"
        may = Permission.objects.get_or_create(content_type=named, codename=code)[0]
        kept[named.pk] = (model._meta.app_label, may.pk)
    assert len(kept) == len(moved) >= 5
    ContentType.objects.clear_cache()
    MigrationExecutor(connection).migrate(BEFORE)
    found = ContentType.objects.filter(pk__in=kept)
    assert set(found.values_list("app_label", flat=True)) == {"mailboxes"}
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    labels = dict(ContentType.objects.filter(pk__in=kept).values_list("pk", "app_label"))
    assert labels == {pk: app for pk, (app, _) in kept.items()}
    allowed = Permission.objects.filter(pk__in=[may for _, may in kept.values()])
    assert set(allowed.values_list("content_type", flat=True)) == set(kept)


def test_tables_stay_when_models_move(back: None) -> None:
    moved = [model for app in sorted(MOVED) for model in apps.get_app_config(app).get_models()]
    tables = {model._meta.db_table for model in moved}
    assert all(table.startswith("mailboxes_") for table in tables)

    def columns() -> dict[str, list[str]]:
        with connection.cursor() as cursor:
            return {
                table: [
                    one.name
                    for one in connection.introspection.get_table_description(cursor, table)
                ]
                for table in sorted(tables)
            }

    now = columns()
    MigrationExecutor(connection).migrate([("mailboxes", "0019_seen_forwards")])
    assert columns() == now
