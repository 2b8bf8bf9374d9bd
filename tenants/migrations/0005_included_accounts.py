"""Whether a credential is an account of the host, which has no values here."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_names_in_the_admin")]

    operations = [
        migrations.AddField(
            model_name="providercredential",
            name="is_included",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="providercredential",
            name="sealed",
            field=models.TextField(blank=True),
        ),
        migrations.RemoveConstraint(
            model_name="providercredential", name="one_credential_per_label"
        ),
        migrations.AddConstraint(
            model_name="providercredential",
            constraint=models.UniqueConstraint(
                fields=["tenant", "label"],
                condition=Q(is_included=False),
                name="one_credential_per_label",
            ),
        ),
        migrations.AddConstraint(
            model_name="providercredential",
            constraint=models.CheckConstraint(
                condition=Q(is_included=False) | Q(sealed=""),
                name="included_account_holds_no_secret",
            ),
        ),
    ]
