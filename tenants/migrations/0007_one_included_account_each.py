"""A tenant has one row for each account that the host includes."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_included_accounts_refer_to_settings")]

    operations = [
        migrations.AddConstraint(
            model_name="providercredential",
            constraint=models.UniqueConstraint(
                fields=["tenant", "port", "provider"],
                condition=Q(is_included=True),
                name="one_included_account_each",
            ),
        ),
    ]
