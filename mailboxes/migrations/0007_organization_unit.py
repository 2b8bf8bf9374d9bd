from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0006_mail_by_mailbox"),
    ]

    operations = [
        migrations.AddField(
            model_name="mailbox",
            name="organization_unit",
            field=models.CharField(blank=True, max_length=200, null=True),
        ),
    ]
