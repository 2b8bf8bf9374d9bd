"""App `outreach` has its models from here on; their tables stay as they are."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0019_seen_forwards")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel("CampaignSeat"),
                migrations.DeleteModel("WarmupDay"),
                migrations.DeleteModel("OutreachLink"),
            ]
        ),
    ]
