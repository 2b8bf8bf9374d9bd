"""A place for the address that a user had, where it had to be given up."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_one_included_account_each")]

    operations = [
        migrations.AddField(
            "user",
            "former_email",
            models.CharField(blank=True, default="", editable=False, max_length=254),
            preserve_default=False,
        ),
    ]
