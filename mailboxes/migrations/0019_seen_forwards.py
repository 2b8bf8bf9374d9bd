"""Remember where scripts of mail programs send mail on, so that each address is told of once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0018_addresses_for_reports")]

    operations = [
        migrations.AddField("deliveryrules", "seen_forwards", models.JSONField(default=list)),
    ]
