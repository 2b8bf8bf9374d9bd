"""App `deliverability` has its models from here on; their tables stay as they are."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0020_outreach_moves")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel("QueuedMessage"),
                migrations.DeleteModel("SendingDay"),
            ]
        ),
    ]
