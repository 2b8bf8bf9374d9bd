"""Mail is kept by the mailbox's id: an address that is given again begins with an empty inbox."""

import importlib

from django.db import migrations

before = importlib.import_module("mailboxes.migrations.0005_mail_that_flows").VIEWS

# Every view as it stands now; a migration that must drop and remake them takes them from here.
VIEWS = {
    name: query.replace(
        "SELECT m.address AS email,", "SELECT m.id AS mailbox_id, m.address AS email,"
    )
    if name in {"mail_login", "mail_recipient"}
    else query
    for name, query in before.items()
}
CHANGED = [name for name in VIEWS if VIEWS[name] != before[name]]


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0005_mail_that_flows")]

    operations = [
        migrations.RunSQL(
            [f"DROP VIEW {name}", f"CREATE VIEW {name} AS {VIEWS[name]}"],
            [f"DROP VIEW {name}", f"CREATE VIEW {name} AS {before[name]}"],
        )
        for name in CHANGED
    ]
