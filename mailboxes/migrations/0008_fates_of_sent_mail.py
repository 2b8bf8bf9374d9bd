from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0007_organization_unit")]

    operations = [
        migrations.AddField("mailbox", "resumed_on", models.DateField(null=True)),
        migrations.AddField("queuedmessage", "deferred", models.JSONField(default=list)),
        migrations.AlterField(
            "queuedmessage",
            "mailbox",
            models.ForeignKey(
                null=True,
                on_delete=models.deletion.CASCADE,
                related_name="+",
                to="mailboxes.mailbox",
            ),
        ),
    ]
