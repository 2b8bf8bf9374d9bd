"""The database refuses an address that is not in its one form."""

from django.db import migrations, models

from mpanel.core.addresses import CANONICAL


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_addresses_in_one_form")]

    operations = [
        migrations.AddConstraint(
            "user",
            models.CheckConstraint(
                condition=models.Q(email__regex=CANONICAL), name="email_in_its_one_form"
            ),
        ),
    ]
