"""How much mail a mailbox holds, when that was measured, and of which level people were told."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0021_deliverability_moves")]

    operations = [
        migrations.AddField("mailbox", "stored_bytes", models.PositiveBigIntegerField(null=True)),
        migrations.AddField("mailbox", "storage_at", models.DateTimeField(null=True)),
        migrations.AddField("mailbox", "storage_told", models.PositiveSmallIntegerField(null=True)),
        migrations.AddField("maildomain", "storage_at", models.DateTimeField(null=True)),
        migrations.AddField("mailserver", "storage_failed_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "mailbox",
            models.Index(
                fields=["storage_at"],
                name="mailbox_nearly_full",
                condition=models.Q(storage_told__isnull=False),
            ),
        ),
        migrations.AddIndex(
            "maildomain",
            models.Index(fields=["server", "storage_at"], name="mail_domain_to_measure"),
        ),
    ]
