"""Queued messages point at mail servers of app `mailservers`; the column stays as it is."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("deliverability", "0001_from_mailboxes"),
        ("mailservers", "0001_from_mailboxes"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "queuedmessage",
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="mailservers.mailserver",
                    ),
                ),
            ]
        ),
    ]
