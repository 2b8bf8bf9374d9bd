"""Mark role addresses, and when a domain was given them.

The columns are nullable: SQLite makes a table with views on it anew for others.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0009_outreach_links_let_go"),
    ]

    operations = [
        migrations.AddField(
            model_name="alias",
            name="is_automatic",
            field=models.BooleanField(null=True),
        ),
        migrations.AddField(
            model_name="maildomain",
            name="roles_at",
            field=models.DateTimeField(null=True),
        ),
    ]
