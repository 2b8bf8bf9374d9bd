"""The database itself refuses to change a sealed event and, where it can tell, to delete any.

SQLite has no trigger on deletion: there, emptying a test's tables is a DELETE like any other.
A migration that makes SQLite copy the table must make the trigger anew.
"""

from django.db import migrations

POSTGRESQL = (
    """
    CREATE FUNCTION events_event_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.seq IS NULL THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'events are final' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER events_event_is_final BEFORE UPDATE OR DELETE ON events_event
    FOR EACH ROW EXECUTE FUNCTION events_event_is_final()
    """,
)
POSTGRESQL_AWAY = (
    "DROP TRIGGER events_event_is_final ON events_event",
    "DROP FUNCTION events_event_is_final()",
)
SQLITE = (
    """
    CREATE TRIGGER events_event_is_final BEFORE UPDATE ON events_event
    WHEN OLD.seq IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'events are final'); END
    """,
)
SQLITE_AWAY = ("DROP TRIGGER events_event_is_final",)


def add(apps, schema_editor):
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


def remove(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRESQL_AWAY if postgresql else SQLITE_AWAY:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("events", "0002_chains_notifications_webhooks")]

    operations = [migrations.RunPython(add, remove)]
