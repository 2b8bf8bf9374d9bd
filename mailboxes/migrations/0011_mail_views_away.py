"""The views of the mail server go while `domains_domain` changes; 0012 makes them anew."""

import importlib

from django.db import migrations

before = importlib.import_module("mailboxes.migrations.0006_mail_by_mailbox").VIEWS


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0010_role_addresses")]

    operations = [
        migrations.RunSQL(f"DROP VIEW {name}", f"CREATE VIEW {name} AS {query}")
        for name, query in before.items()
    ]
