"""What the customer was told that goes dark, while a domain is disconnected."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("domains", "0004_proof_of_control")]

    operations = [
        migrations.AddField("domain", "confirmed_losses", models.JSONField(null=True)),
    ]
