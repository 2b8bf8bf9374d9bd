"""The newest migrations on a database with rows: back, and forward again."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from mailservers import mailviews
from mailservers.role import grant_views_again
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
# The digests of the views' versions: who changes the views adds a version.
FROZEN = {
    "0001": "040336d1e59939e5",
    "0002": "c40cbfcde2d6fc14",
    "0003": "5213f914e764326f",
    "0004": "3c7a8e979a8102aa",
    "0005": "8c78bea20ed87b07",
    "0006": "caedf2931107377c",
}
# Apps whose models began in app `mailboxes`, and whose tables are named so.
MOVED = {"deliverability", "mailservers", "outreach"}


@pytest.fixture
def back() -> Iterator[None]:
    """However the test ends, the next one finds the database of now, and mail servers read it."""
    readers = roles_that_read()
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    grant_views_again(readers)


def roles_that_read() -> list[str]:
    """Who may read the mail views beside their owner: servers that other tests have started."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
            " WHERE table_name = 'mail_login' AND grantee <> current_user"
        )
        return [role for (role,) in cursor.fetchall()]


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
    assert len(kept) == len(moved) >= 8
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
    MigrationExecutor(connection).migrate([("mailboxes", "0019_seen_forwards")])
    with connection.cursor() as cursor:
        assert tables <= set(connection.introspection.table_names(cursor))


def mail_views() -> dict[str, str]:
    """The views of the mail server as they are, by name."""
    asked = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'view'",
        "postgresql": "SELECT viewname, definition FROM pg_views WHERE viewname LIKE 'mail%'",
    }
    with connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        return dict(cursor.fetchall())


def test_each_version_of_the_mail_views_comes_back(back: None) -> None:
    steps = {
        "0017_outside_senders": 5,
        "0010_role_addresses": 4,
        "0005_mail_that_flows": 3,
        "0004_who_may_not_send": 2,
        "0003_names_in_the_admin": 1,
    }
    only = set() if connection.vendor == "postgresql" else {"mail_report"}
    now, seen = mail_views(), {}
    assert set(now) == set(mailviews.names()) - only
    for step, version in steps.items():
        MigrationExecutor(connection).migrate([("mailboxes", step)])
        seen[step] = mail_views()
        assert set(seen[step]) == set(mailviews.names(version))
    MigrationExecutor(connection).migrate([("mailboxes", "0001_initial")])
    assert mail_views() == {}
    for step in reversed(steps):
        MigrationExecutor(connection).migrate([("mailboxes", step)])
        assert mail_views() == seen[step]
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert mail_views() == now


def test_a_released_version_of_the_mail_views_never_changes() -> None:
    folder = Path(mailviews.__file__).parent
    digests = {
        file.stem: sha256(file.read_bytes()).hexdigest()[:16] for file in folder.glob("*.sql")
    }
    assert digests == FROZEN
    assert f"{mailviews.CURRENT:04}" == max(FROZEN)
