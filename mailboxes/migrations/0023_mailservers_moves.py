"""App `mailservers` has its models from here on; their tables stay as they are."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("deliverability", "0002_servers_elsewhere"),
        ("mailboxes", "0022_how_full_mailboxes_are"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel("LogPosition"),
                migrations.DeleteModel("MailDomain"),
                migrations.DeleteModel("MailServer"),
            ]
        ),
    ]
