"""Find a mailbox by its address alone, deleted ones too: the policy service asks for each message."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0012_only_verified_domains")]

    operations = [
        migrations.AddIndex(
            model_name="mailbox",
            index=models.Index(fields=["address"], name="mailbox_by_address"),
        ),
    ]
