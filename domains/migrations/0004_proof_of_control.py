"""Every domain gets a token of its own, by which its nameservers prove whose it is.

Domains that are verified already stay so: a sweep writes the token into their zones, and only from
then on it is demanded. The views of the mail server are away while the table is made anew (see
mailboxes/migrations/0011).
"""

from django.db import migrations, models

import domains.models


def give_tokens(apps, schema_editor):
    """One each: a default is computed once for all rows that are there."""
    rows = list(apps.get_model("domains", "Domain").objects.only("pk"))
    for row in rows:
        row.proof_token = domains.models.new_token()
    apps.get_model("domains", "Domain").objects.bulk_update(rows, ["proof_token"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [
        ("domains", "0003_complete_zones"),
        ("mailboxes", "0011_mail_views_away"),
    ]

    operations = [
        migrations.AddField(
            "domain",
            "proof_token",
            models.CharField(default=domains.models.new_token, editable=False, max_length=64),
        ),
        migrations.AddField("domain", "proof_written_at", models.DateTimeField(null=True)),
        migrations.AddField("domain", "gone_since", models.DateTimeField(null=True)),
        migrations.AddField("domain", "gone_looks", models.PositiveIntegerField(default=0)),
        migrations.AddField("domain", "revoked_at", models.DateTimeField(null=True)),
        migrations.RunPython(give_tokens, migrations.RunPython.noop),
    ]
